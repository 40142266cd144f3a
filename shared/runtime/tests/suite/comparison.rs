//! A comparison counts everything and names the first hundred.

use runtime::Comparison;

fn of(lagging: u64, wrong: u64) -> Comparison {
    let mut comparison = Comparison { compared: lagging + wrong, ..Comparison::default() };
    (0..lagging).for_each(|number| comparison.lag(format!("late {number}")));
    (0..wrong).for_each(|number| comparison.find(format!("wrong {number}")));
    comparison
}

#[test]
fn only_so_much_is_named() {
    for (lagging, wrong) in [(0, 0), (99, 100), (101, 250)] {
        let comparison = of(lagging, wrong);
        assert_eq!((comparison.behind, comparison.findings_count), (lagging, wrong));
        assert_eq!(comparison.behind_named.len() as u64, lagging.min(100));
        assert_eq!(comparison.findings.len() as u64, wrong.min(100));
    }
}

#[test]
fn results_add_up() {
    let mut sum = of(60, 1);
    sum.add(of(60, 2));
    assert_eq!((sum.compared, sum.behind, sum.findings_count), (123, 120, 3));
    assert_eq!(sum.behind_named.len(), 100);
    assert_eq!(sum.findings, ["wrong 0", "wrong 0", "wrong 1"]);
}
