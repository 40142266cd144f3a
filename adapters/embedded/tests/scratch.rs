#[path = "suite/support.rs"]
#[expect(dead_code)]
mod support;
use ports::{Revision, Store};
use std::time::{Duration, Instant};
use support::*;
#[test]
fn speed() {
    for concurrency in [1usize, 64, 512] {
        let rt = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        rt.block_on(async {
            let directory = Directory::new();
            let store = open(&directory.data());
            let until = Instant::now() + Duration::from_secs(5);
            let cpu0 = threads();
            let t0 = Instant::now();
            let tasks: Vec<_> = (0..concurrency)
                .map(|c| {
                    let store = store.clone();
                    tokio::spawn(async move {
                        let mut n = 0u64;
                        let heads: Vec<_> = (0..2)
                            .map(|i| Thing { text: "x".repeat(300), ..thing(format!("{c}-head-{i}")) })
                            .collect();
                        let mut t = transaction();
                        for h in &heads {
                            t.create(h).unwrap();
                        }
                        store.commit(&t).await.unwrap();
                        while Instant::now() < until {
                            let mut t = transaction();
                            for h in &heads {
                                t.replace(Revision(n + 1), h).unwrap();
                            }
                            for i in 0..3 {
                                t.create(&Thing {
                                    text: "x".repeat(300),
                                    ..thing(format!("{}-{i}", sources().fresh_id()))
                                })
                                .unwrap();
                            }
                            t.emit(OUTBOX, message("OTHER")).unwrap();
                            store.commit(&t).await.unwrap();
                            n += 1;
                        }
                        n
                    })
                })
                .collect();
            let mut total = 0;
            for t in tasks {
                total += t.await.unwrap();
            }
            let secs = t0.elapsed().as_secs_f64();
            println!("{concurrency}: {:.0} tx/s", total as f64 / secs);
            let cpu1 = threads();
            for (name, ticks) in cpu1 {
                let before = cpu0.iter().find(|(n, _)| *n == name).map_or(0, |x| x.1);
                println!("   {name}: {:.0}% cpu", (ticks - before) as f64 / secs);
            }
            println!(
                "   wal {} MB",
                std::fs::metadata(directory.data().join("bank.sqlite3-wal")).unwrap().len() >> 20
            );
            store.close().await;
        });
    }
}
fn threads() -> Vec<(String, u64)> {
    let mut v = std::collections::BTreeMap::new();
    for e in std::fs::read_dir("/proc/self/task").unwrap() {
        let s = std::fs::read_to_string(e.unwrap().path().join("stat")).unwrap_or_default();
        let (a, b) = s.rsplit_once(')').unwrap_or(("", ""));
        let f: Vec<_> = b.split_whitespace().collect();
        if f.len() > 13 {
            *v.entry(a.split_once('(').unwrap().1.to_owned()).or_insert(0) +=
                f[11].parse::<u64>().unwrap() + f[12].parse::<u64>().unwrap();
        }
    }
    v.into_iter().collect()
}
