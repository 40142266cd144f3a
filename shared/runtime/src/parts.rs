//! Cutting a batch into parts that fit a transaction each, in rounds: the parts of a round share nothing, so that they
//! are written at the same time, and what shares something is written in its order, one round behind the other.

use std::collections::HashMap;
use std::hash::Hash;

use ports::TRANSACTION_ITEMS_MAX;

/// What one part may write, beside an outbox record.
const ITEMS_MAX: usize = TRANSACTION_ITEMS_MAX - 1;

/// Cuts `work` into rounds of parts.
///
/// `own` is how many items a piece writes for itself, at most half a transaction; `shared` names the items that it may
/// share with others, such as the head of an account, which a part writes once.
pub fn rounds<T, K, I>(work: &[T], own: impl Fn(&T) -> usize, shared: impl Fn(&T) -> I) -> Vec<Vec<Vec<&T>>>
where
    K: Eq + Hash,
    I: IntoIterator<Item = K>,
{
    let mut left: Vec<&T> = work.iter().collect();
    let items_max: usize = work.iter().map(|piece| own(piece) + shared(piece).into_iter().count()).sum();
    if !work.is_empty() && items_max <= ITEMS_MAX {
        return vec![vec![left]];
    }
    let mut rounds = Vec::new();
    while !left.is_empty() {
        let mut round = Round { parts: Vec::new(), places: HashMap::new() };
        left.retain(|&piece| !round.takes(piece, own(piece), shared(piece).into_iter().collect()));
        rounds.push(round.parts.into_iter().map(|part| part.pieces).collect());
    }
    rounds
}

struct Round<'a, T, K> {
    parts: Vec<Part<'a, T>>,
    /// Which part writes what is shared; none if a piece that does is left for a later round.
    places: HashMap<K, Option<usize>>,
}

struct Part<'a, T> {
    pieces: Vec<&'a T>,
    /// How many items it writes.
    items: usize,
}

impl<'a, T, K: Eq + Hash> Round<'a, T, K> {
    /// Whether the piece is in one of the parts now. One that is left makes all wait that share something with it.
    fn takes(&mut self, piece: &'a T, own: usize, shared: Vec<K>) -> bool {
        let known: Vec<Option<usize>> =
            shared.iter().filter_map(|key| self.places.get(key)).copied().collect();
        let items = own + shared.len() - known.len();
        let has_room = |place: &usize| self.parts[*place].items + items <= ITEMS_MAX;
        let place = match known.first() {
            Some(first) if known.iter().all(|place| place == first) => first.filter(has_room),
            Some(_) => None,
            None => self.parts.len().checked_sub(1).filter(has_room).or(Some(self.parts.len())),
        };
        if place == Some(self.parts.len()) {
            self.parts.push(Part { pieces: Vec::new(), items: 0 });
        }
        if let Some(place) = place {
            self.parts[place].pieces.push(piece);
            self.parts[place].items += items;
        }
        self.places.extend(shared.into_iter().map(|key| (key, place)));
        place.is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    /// Pieces with one item of their own and one of each account: how many are in each part of each round.
    fn cut(pieces: &[Vec<u32>]) -> Vec<Vec<usize>> {
        let rounds = rounds(pieces, |_| 1, |accounts| accounts.clone());
        rounds.iter().map(|round| round.iter().map(Vec::len).collect()).collect()
    }

    #[test]
    fn a_part_ends_where_the_transaction_is_full() {
        let spread: Vec<Vec<u32>> = (0..120).map(|account| vec![account]).collect();
        assert_eq!(cut(&spread), [[49, 49, 22]]);
    }

    #[test]
    fn a_piece_that_no_transaction_has_room_for_is_a_part_of_its_own() {
        let pieces = [150, 1, 1, 150, 150, 1];
        let rounds = rounds(&pieces, |items| *items, |_| [0; 0]);
        assert_eq!(rounds, [[vec![&150], vec![&1, &1], vec![&150], vec![&150], vec![&1]]]);
    }

    #[test]
    fn what_is_shared_counts_once_and_has_one_part_a_round() {
        assert_eq!(cut(&vec![vec![7]; 120]), [[98], [22]]);
        assert_eq!(cut(&[]), [[0; 0]; 0]);
    }

    #[test]
    fn what_two_parts_have_waits_and_makes_others_wait() {
        let spread = (0..50).map(|account| vec![account]);
        let joined = [vec![0, 49], vec![49, 77], vec![77], vec![78]];
        let pieces: Vec<Vec<u32>> = spread.chain(joined).collect();
        assert_eq!(cut(&pieces), [vec![49, 2], vec![3]]);
    }

    proptest! {
        #[test]
        fn every_piece_has_its_turn(
            pieces in prop::collection::vec((1..40_usize, prop::collection::vec(0..30_u32, 0..3)), 0..300),
        ) {
            let numbered: Vec<_> = pieces.iter().enumerate().collect();
            let rounds = rounds(&numbered, |(_, (own, _))| *own, |(_, (_, accounts))| accounts.clone());
            let mut turns: HashMap<u32, Vec<usize>> = HashMap::new();
            let mut taken = Vec::new();
            for round in &rounds {
                let mut of_round = HashSet::new();
                for part in round {
                    let accounts: HashSet<u32> =
                        part.iter().flat_map(|(_, (_, accounts))| accounts.iter().copied()).collect();
                    let own: usize = part.iter().map(|(_, (own, _))| own).sum();
                    prop_assert!(own + accounts.len() <= ITEMS_MAX, "a part fits a transaction");
                    prop_assert!(accounts.is_disjoint(&of_round), "the parts of a round share nothing");
                    of_round.extend(accounts);
                    for (index, (_, accounts)) in part {
                        taken.push(*index);
                        accounts.iter().for_each(|account| turns.entry(*account).or_default().push(*index));
                    }
                }
            }
            taken.sort_unstable();
            prop_assert_eq!(taken, (0..pieces.len()).collect::<Vec<_>>(), "each is taken once");
            prop_assert!(turns.values().all(|turns| turns.is_sorted()), "an account's pieces keep their order");
        }
    }
}
