//! What a reader gets: her own accounts only, every row once, and the version she waits for.

use ports::Store;

use super::*;
use crate::domain::Direction;
use crate::fixture::*;

const EVER: Filter = Filter { from: Timestamp::EPOCH, to: Timestamp::from_millis(i64::MAX), kind: None };

impl World {
    /// Reads a history to its end, and answers its operations and how many pages there were.
    async fn read_history(&self, filter: Filter, limit: usize) -> (Vec<u64>, usize) {
        let (mut numbers, mut pages, mut after) = (Vec::new(), 0, None);
        loop {
            let page = self.query.transactions(owner(1), account(1), filter, after, limit).await;
            let (rows, next) = page.unwrap();
            assert!(rows.len() <= limit);
            numbers.extend(rows.iter().map(|row| row.transaction.operation_id.uuid().as_u64_pair().1));
            pages += 1;
            match next {
                Some(next) => after = Some(next),
                None => return (numbers, pages),
            }
        }
    }

    async fn balance(&self, version_min: u64, patience: Duration) -> Result<(i64, u64), Rejection> {
        match self.query.balance(owner(1), account(1), version_min, patience).await {
            Ok(standing) => Ok((standing.balance.balance.minor, standing.balance.version)),
            Err(Refusal::Rejected(rejection)) => Err(rejection),
            Err(refusal) => panic!("{refusal}"),
        }
    }
}

fn newest_first(numbers: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut numbers: Vec<u64> = numbers.collect();
    numbers.reverse();
    numbers
}

#[tokio::test(start_paused = true)]
async fn a_history_is_read_in_pages_that_lose_and_double_nothing() {
    let world = world();
    world.take(&[opened(1), opened(2)]).await;
    world.take(&deposits(250, 1)).await;
    world.take(&deposits(5, 2)).await;
    for (limit, pages) in [(1, 250), (7, 36), (50, 5), (100, 3), (250, 1), (1_000, 1)] {
        assert_eq!(world.read_history(EVER, limit).await, (newest_first(1..=250), pages), "limit {limit}");
    }
}

#[tokio::test(start_paused = true)]
async fn rows_of_one_instant_are_in_the_order_of_the_journal() {
    let world = world();
    let at_once = |number: u64| {
        let after = After(number.cast_signed() * 100, number);
        let moved = moved(100 - number, 1, 100, after);
        contracts::Message::Deposited(contracts::ledger::MovedEvent { occurred_at: minute(1), ..moved })
    };
    world.take(&[opened(1)]).await;
    world.take(&(1..=30).map(at_once).collect::<Vec<_>>()).await;
    assert_eq!(world.read_history(EVER, 4).await.0, (70..100).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_history_is_filtered_by_time_and_kind() {
    use TransactionKind::{Deposit, Transfer, Withdraw};
    let world = world();
    world.take(&[opened(1)]).await;
    world.take(&deposits(120, 1)).await;
    let paid = transferred(130, 5, (1, After(11_995, 121)), (2, After(5, 1)));
    world.take(&[paid, withdraw_failed(125, 1, 99_999, After(12_000, 120))]).await;
    let millisecond = Duration::from_millis(1);
    for (from, to, kind, expected) in [
        (minute(10), minute(12), None, newest_first(10..=12)),
        (minute(10) + millisecond, minute(12) - millisecond, None, vec![11]),
        (minute(12), minute(10), None, vec![]),
        (minute(131), EVER.to, None, vec![]),
        (EVER.from, EVER.to, Some(Deposit), newest_first(1..=120)),
        // Far apart, so that whole pages have none of them.
        (EVER.from, EVER.to, Some(Withdraw), vec![125]),
        (EVER.from, EVER.to, Some(Transfer), vec![130]),
        (minute(100), minute(128), Some(Transfer), vec![]),
    ] {
        for limit in [1, 3, 100] {
            let filter = Filter { from, to, kind };
            assert_eq!(world.read_history(filter, limit).await.0, expected, "{filter:?} {limit}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_transfer_is_in_the_history_of_both() {
    let world = world();
    world.take(&[opened(1), opened(2), transferred(1, 5, (1, After(0, 2)), (2, After(5, 1)))]).await;
    for (number, direction) in [(1, Direction::Debit), (2, Direction::Credit)] {
        let (rows, _) =
            world.query.transactions(owner(number), account(number), EVER, None, 10).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.transaction.direction).collect::<Vec<_>>(), [direction]);
        let transaction = &rows[0].transaction;
        let key = records::transaction_key(
            account(number),
            transaction.occurred_at,
            transaction.account_version,
            operation(1),
        );
        assert_eq!(world.query.transaction(key).await.unwrap().as_ref(), Some(&rows[0]));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_anothers_is_as_unknown_as_what_does_not_exist() {
    let world = world();
    world.take(&[opened(1), opened(2), deposited(1, 1, 100, After(100, 1))]).await;
    for (reader, number) in [(2, 1), (1, 2), (1, 3), (3, 1)] {
        let (reader, account_id) = (owner(reader), account(number));
        let balance = world.query.balance(reader, account_id, 0, Duration::ZERO).await;
        assert!(
            matches!(balance, Err(Refusal::Rejected(Rejection::AccountNotFound))),
            "{reader} {account_id}"
        );
        let history = world.query.transactions(reader, account_id, EVER, None, 10).await;
        assert!(
            matches!(history, Err(Refusal::Rejected(Rejection::AccountNotFound))),
            "{reader} {account_id}"
        );
    }
    assert!(world.query.balances(owner(3), None, 10).await.unwrap().0.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_balance_is_read_at_the_version_that_is_asked_for() {
    let world = world();
    world.take(&[opened(1)]).await;
    assert_eq!(world.balance(0, Duration::ZERO).await, Ok((0, 0)));
    world.take(&deposits(2, 1)).await;
    assert_eq!(world.balance(2, Duration::ZERO).await, Ok((200, 2)));
    assert_eq!(world.balance(1, Duration::ZERO).await, Ok((200, 2)));
    assert_eq!(world.balance(3, Duration::ZERO).await, Err(Rejection::NotProjectedYet));
    let began = tokio::time::Instant::now();
    assert_eq!(world.balance(3, Duration::from_secs(5)).await, Err(Rejection::NotProjectedYet));
    assert!(began.elapsed() >= Duration::from_secs(5));

    let later = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        world.take(&deposits(3, 1)).await;
    };
    let began = tokio::time::Instant::now();
    let (read, ()) = tokio::join!(world.balance(3, Duration::from_secs(5)), later);
    assert_eq!(read, Ok((300, 3)));
    assert!(began.elapsed() < Duration::from_millis(3_100), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_process_without_events_reads_what_others_project() {
    let world = world();
    let elsewhere = Query::new(world.store.clone(), world.sources.clone(), Caching::NONE);
    world.take(&[opened(1)]).await;
    for count in 1..=3 {
        let read = elsewhere.balance(owner(1), account(1), count, Duration::from_secs(1));
        let project = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            world.take(&deposits(count, 1)).await;
        };
        let (standing, ()) = tokio::join!(read, project);
        assert_eq!(standing.unwrap().balance.version, count);
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_that_was_just_opened_is_waited_for() {
    let world = world();
    let account_id = AccountId::new(world.sources.fresh_id());
    let opened =
        contracts::Message::CreateAccount(contracts::accounts::AccountState { account_id, ..state(1) });
    let read = world.query.balance(owner(1), account_id, 0, Duration::ZERO);
    let open = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        world.take(&[opened]).await;
    };
    let (standing, ()) = tokio::join!(read, open);
    assert_eq!(standing.unwrap().account.0.account_id, account_id);

    let (began, made_up) = (tokio::time::Instant::now(), AccountId::new(world.sources.fresh_id()));
    assert!(world.query.balance(owner(1), made_up, 0, Duration::ZERO).await.is_err());
    assert!(began.elapsed() <= Duration::from_secs(3));
    world.clock.advance(Duration::from_secs(60));
    let began = tokio::time::Instant::now();
    assert!(world.query.balance(owner(1), made_up, 0, Duration::ZERO).await.is_err());
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_persons_balances_are_read_in_pages() {
    let world = world();
    let hers = |number: u64| {
        contracts::Message::CreateAccount(contracts::accounts::AccountState {
            owner: owner(1),
            ..state(number)
        })
    };
    world.take(&(1..=10).map(hers).collect::<Vec<_>>()).await;
    world.take(&[opened(11), deposited(1, 4, 100, After(100, 1))]).await;
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let (standings, next) = world.query.balances(owner(1), after, 3).await.unwrap();
        seen.extend(
            standings.iter().map(|standing| (standing.account.0.account_id, standing.balance.balance.minor)),
        );
        match next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    let expected: Vec<_> =
        (1..=10).map(|number| (account(number), if number == 4 { 100 } else { 0 })).collect();
    assert_eq!(seen, expected);
    assert!(world.store.scan(records::BALANCES, None, 10).await.unwrap().items.len() == 1);
}
