//! Cutting a batch into parts that fit a transaction each.

use std::collections::HashSet;
use std::hash::Hash;

use ports::TRANSACTION_ITEMS_MAX;

/// Cuts `work` into runs that each fit one transaction with an outbox record.
///
/// `own` is how many items a piece writes for itself, at most half a transaction; `shared` names the items that it
/// may share with its neighbours, such as the head of an account, which a run writes once.
pub fn parts<T, K, I>(work: &[T], own: impl Fn(&T) -> usize, shared: impl Fn(&T) -> I) -> Vec<&[T]>
where
    K: Eq + Hash,
    I: IntoIterator<Item = K>,
{
    const ITEMS_MAX: usize = TRANSACTION_ITEMS_MAX - 1;
    let mut parts = Vec::new();
    let (mut start, mut own_items, mut shared_items) = (0, 0, HashSet::new());
    for (index, piece) in work.iter().enumerate() {
        own_items += own(piece);
        shared_items.extend(shared(piece));
        if own_items + shared_items.len() > ITEMS_MAX && index > start {
            parts.push(&work[start..index]);
            start = index;
            own_items = own(piece);
            shared_items = shared(piece).into_iter().collect();
        }
    }
    if start < work.len() {
        parts.push(&work[start..]);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A piece with one item of its own and one of an account.
    fn cut(accounts: &[u32]) -> Vec<usize> {
        parts(accounts, |_| 1, |account| [*account]).iter().map(|part| part.len()).collect()
    }

    #[test]
    fn a_run_ends_where_the_transaction_is_full() {
        let spread: Vec<u32> = (0..120).collect();
        assert_eq!(cut(&spread), [49, 49, 22]);
    }

    #[test]
    fn a_piece_that_no_transaction_has_room_for_is_a_part_of_its_own() {
        let pieces = [150, 1, 1, 150, 150, 1];
        let cut = parts(&pieces, |items| *items, |_| [0; 0]);
        assert_eq!(cut, [&[150][..], &[1, 1], &[150], &[150], &[1]]);
    }

    #[test]
    fn what_is_shared_counts_once() {
        assert_eq!(cut(&[7; 120]), [98, 22]);
        assert_eq!(cut(&[]), [0; 0]);
    }
}
