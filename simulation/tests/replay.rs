//! The same seed is the same run to the last byte: all that was asked, answered, stored, sent and suffered.

use simulation::run;

/// Seeds of several kinds: with and without each fault, mishap and cache.
const SEEDS: std::ops::Range<u64> = 100..112;

#[test]
fn a_seed_is_one_run_and_another_seed_another() {
    let mut runs = Vec::new();
    for seed in SEEDS {
        let [one, again] = [seed, seed].map(|seed| {
            let ended = run(seed).unwrap();
            (format!("{:#?}", ended.record), ended.faults, ended.findings)
        });
        let differs = one.0.lines().zip(again.0.lines()).find(|(first, second)| first != second);
        assert_eq!(differs, None, "seed {seed} went another way");
        assert_eq!(one, again, "seed {seed} went on longer");
        runs.push(one.0);
    }
    runs.sort_unstable();
    runs.dedup();
    assert_eq!(runs.len(), SEEDS.count(), "two seeds are one run");
}
