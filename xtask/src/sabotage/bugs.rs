//! The bugs.
//!
//! They are mistakes that somebody has made in a bank, or might make here in an afternoon. Where this design has no place
//! for one, the nearest that it has a place for is planted, and the story says what that comes to.

use super::bug::{Bug, Edit, Guard};

const LEDGER_CONSUMERS: &str = "services/ledger/src/consumers.rs";
const LEDGER_DOMAIN: &str = "services/ledger/src/domain.rs";
const DELIVER: &str = "shared/runtime/src/deliver.rs";
const COMMIT: &str = "shared/runtime/src/commit.rs";
const ONCE: &str = "shared/runtime/src/once.rs";

/// Every bug.
pub const BUGS: &[Bug] = &[
    Bug {
        name: "no-inbox-check",
        story: "a command that comes again is judged again, and its second verdict written over the first",
        guard: Guard::Simulation,
        edits: &[
            Edit {
                file: LEDGER_CONSUMERS,
                find: "if judged.insert(work.content.operation_id()) {",
                replace: "if judged.insert(work.content.operation_id()) || true {",
            },
            Edit {
                file: LEDGER_CONSUMERS,
                find: "transaction.create(&VerdictRecord { operation_id, delivered_at, verdict })?;",
                replace: "let revision = ports::Revision(now.as_millis().unsigned_abs());
            transaction.supersede(&VerdictRecord { operation_id, delivered_at, verdict }, revision)?;",
            },
        ],
    },
    Bug {
        name: "head-without-expectation",
        story: "a head is written over any that is older by some number, not over the one that was read",
        guard: Guard::Tests { package: "ledger", filter: "concurrent_writers" },
        edits: &[Edit {
            file: LEDGER_CONSUMERS,
            find: "transaction.replace(held.revision, &record)?;",
            replace: "let ahead = (sources.fresh_id().as_u128() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 54;
                    transaction.supersede(&record, Revision(held.revision.0 + 1 + ahead))?;",
        }],
    },
    Bug {
        name: "refused-on-what-is-remembered",
        story: "a command is refused for what its account held when it was last written here, whoever has written it since",
        guard: Guard::Tests { package: "ledger", filter: "no_verdict_rests" },
        edits: &[Edit { file: LEDGER_CONSUMERS, find: "transaction.require(held)?;", replace: "" }],
    },
    Bug {
        name: "pending-for-good",
        story: "an operation that is remembered as PENDING is told to be so, although it has ended",
        guard: Guard::Tests { package: "banking", filter: "elsewhere" },
        edits: &[Edit {
            file: "services/banking/src/lib.rs",
            find: "Some(held) if held.record.has_ended() => Ok(Some(held.record)),",
            replace: "Some(held) => Ok(Some(held.record)),",
        }],
    },
    Bug {
        name: "event-lost-on-retry",
        story: "after a conflict the verdict is decided anew and its event forgotten",
        guard: Guard::Simulation,
        edits: &[Edit {
            file: LEDGER_CONSUMERS,
            find: "transaction.emit(LEDGER_EVENTS, envelope(&event, group, &trace, now, sources))?;",
            replace: "if !is_thorough {
                transaction.emit(LEDGER_EVENTS, envelope(&event, group, &trace, now, sources))?;
            }",
        }],
    },
    Bug {
        name: "projection-takes-what-is-older",
        story: "a balance is guarded by when it came and not by its version: the last to come wins",
        guard: Guard::Simulation,
        edits: &[Edit {
            file: "services/query/src/consumers.rs",
            find: "if writer.supersede(balance, Revision(balance.version)).await? {",
            replace: "let revision = Revision(self.sources.now().as_millis().unsigned_abs());
            if writer.supersede(balance, revision).await? {",
        }],
    },
    Bug {
        name: "old-news-remembered",
        story: "an event that comes again after a restart is remembered in place of what the store has since",
        guard: Guard::Simulation,
        edits: &[
            Edit {
                file: "services/query/src/consumers.rs",
                find: "return Ok(stored.revision == revision);",
                replace: "return Ok(stored.revision >= revision);",
            },
            Edit {
                file: "services/banking/src/consumers.rs",
                find: "if stored.is_none_or(|stored| stored <= account.revision()) {",
                replace: "if stored.is_none_or(|_| true) {",
            },
        ],
    },
    Bug {
        name: "cache-takes-what-is-older",
        story: "a cache takes any record that is not the one it has, older ones too",
        guard: Guard::Tests { package: "runtime", filter: "cache" },
        edits: &[Edit {
            file: "shared/runtime/src/cache.rs",
            find: "offered.held.revision > kept.held.revision",
            replace: "offered.held.revision != kept.held.revision",
        }],
    },
    Bug {
        name: "unknown-decided-anew",
        story: "a transaction of unknown outcome is followed by a new one",
        guard: Guard::Simulation,
        edits: &[Edit {
            file: COMMIT,
            find: "Err(CommitError::Conflict { .. }) => return Ok(Committed::SomebodyWasFirst),",
            replace: "Err(CommitError::Conflict { .. } | CommitError::Unknown(_)) => {
                return Ok(Committed::SomebodyWasFirst);
            }",
        }],
    },
    Bug {
        name: "unknown-taken-for-written",
        story: "a transaction of unknown outcome is acknowledged",
        guard: Guard::Simulation,
        edits: &[Edit {
            file: COMMIT,
            find: "Ok(()) => return Ok(Committed::Yes),",
            replace: "Ok(()) | Err(CommitError::Unknown(_)) => return Ok(Committed::Yes),",
        }],
    },
    Bug {
        name: "settled-before-the-effect",
        story: "deliveries are settled and then handled (a cursor that advances before the effect)",
        guard: Guard::Simulation,
        edits: &[Edit {
            file: DELIVER,
            find: "let verdicts = judge(consumer.as_ref(), policy, &sources, &batch).await;",
            replace: "let early = receipts.iter().map(|receipt| Settled { receipt: *receipt, verdict: Verdict::Done });
        let _ = queues.settle(C::NAME, early.collect()).await;
        let verdicts = judge(consumer.as_ref(), policy, &sources, &batch).await;",
        }],
    },
    Bug {
        name: "floor-checked-before",
        story: "the floor is held against the head as it was read, not as the batch has left it",
        guard: Guard::Simulation,
        edits: &[
            Edit { file: LEDGER_DOMAIN, find: "if minor < 0 {", replace: "if minor < i64::MIN / 2 {" },
            Edit {
                file: LEDGER_CONSUMERS,
                find: "let verdict = domain::decide(&heads, &work.content, now);",
                replace: "let verdict = domain::decide(&heads, &work.content, now);
                let (payer, minor) = match &work.content {
                    Command::Withdraw(withdrawal) => (Some(withdrawal.account_id), withdrawal.amount.minor),
                    Command::Transfer(transfer) => (Some(transfer.from.account_id), transfer.amount.minor),
                    Command::Deposit(_) | Command::Close(_) => (None, 0),
                };
                let before = payer.and_then(|payer| held.get(&payer));
                let is_short = payer.is_some() && before.is_none_or(|before| before.record.balance.minor < minor);
                let verdict = match verdict {
                    Verdict::Posted(_) if is_short => {
                        let head = payer.and_then(|payer| heads.get(&payer));
                        Verdict::Refused(domain::Refusal {
                            command: work.content.clone(),
                            reason: contracts::ledger::FailureReason::InsufficientFunds,
                            balance: head.map(|head| head.balance),
                            version: head.map_or(0, |head| head.version),
                            occurred_at: now,
                        })
                    }
                    verdict => verdict,
                };",
            },
        ],
    },
    Bug {
        name: "wrong-predecessor",
        story: "the head keeps the hash of the entry before the last one, so the next is chained to that",
        guard: Guard::Simulation,
        edits: &[Edit {
            file: LEDGER_DOMAIN,
            find: "head.last_hash = link.hash;",
            replace: "head.last_hash = link.previous_hash;",
        }],
    },
    Bug {
        name: "key-of-anybody",
        story: "a first answer is found by its Idempotency-Key alone, without the user",
        guard: Guard::Simulation,
        edits: &[Edit {
            file: ONCE,
            find: "Key::new(table, user_id.to_string(), format!(\"key#{idempotency_key}\"))",
            replace: "Key::new(table, user_id.to_string().replace(|_| true, \"-\"), format!(\"key#{idempotency_key}\"))",
        }],
    },
    Bug {
        name: "key-for-any-request",
        story: "a key that was used for another request gets the answer of that one",
        guard: Guard::Simulation,
        edits: &[Edit {
            file: ONCE,
            find: ".chain_update([0]).chain_update(request).finalize();",
            replace: ".chain_update([0]).chain_update([request.len() as u8 / 255]).finalize();",
        }],
    },
    Bug {
        name: "replay-tells-what-is-now",
        story: "a repeated request is answered with the operation as it is now, not with the first answer",
        guard: Guard::Simulation,
        edits: &[Edit {
            file: "services/banking/src/submission.rs",
            find: "let answer = Operation { status: Status::Pending, concluded_at: None, ..operation };",
            replace: "let answer = operation;",
        }],
    },
    Bug {
        name: "overtaken-within-a-batch",
        story: "of an account's commands that do not fit one part, a later one is judged with the first",
        guard: Guard::Tests { package: "runtime", filter: "parts" },
        edits: &[Edit {
            file: "shared/runtime/src/parts.rs",
            find: "self.places.extend(shared.into_iter().map(|key| (key, place)));",
            replace: "if place.is_some() {
            self.places.extend(shared.into_iter().map(|key| (key, place)));
        }",
        }],
    },
    Bug {
        name: "dead-letter-dropped",
        story: "a message that cannot be understood is settled as done",
        guard: Guard::Simulation,
        edits: &[Edit {
            file: DELIVER,
            find: "Outcome::Reject { reason } => Verdict::Dead { reason },",
            replace: "Outcome::Reject { .. } => Verdict::Done,",
        }],
    },
    Bug {
        name: "batch-acknowledged-whole",
        story: "where a part of a batch fails, one message of it comes again and the others count as done",
        guard: Guard::Simulation,
        edits: &[Edit {
            file: "shared/runtime/src/batch.rs",
            find: "part.iter().for_each(|work|",
            replace: "part.iter().take(1).for_each(|work|",
        }],
    },
    Bug {
        name: "batch-rejected-whole",
        story: "a message that cannot be understood takes its whole batch to the dead letters",
        guard: Guard::Simulation,
        edits: &[Edit {
            file: "shared/runtime/src/batch.rs",
            find: "Err(reason) => outcomes[index] = Outcome::Reject { reason },",
            replace: "Err(reason) => outcomes.fill(Outcome::Reject { reason }),",
        }],
    },
    Bug {
        name: "duplicate-moves-the-head",
        story: "a command twice in one batch has one verdict, and moves the head twice",
        guard: Guard::Simulation,
        edits: &[Edit {
            file: LEDGER_CONSUMERS,
            find: "if judged.insert(work.content.operation_id()) {
                let verdict = domain::decide(&heads, &work.content, now);
                domain::apply(&mut heads, &verdict);",
            replace: "let verdict = domain::decide(&heads, &work.content, now);
            domain::apply(&mut heads, &verdict);
            if judged.insert(work.content.operation_id()) {",
        }],
    },
    Bug {
        name: "refusal-not-kept",
        story: "a refused command leaves no verdict, and is judged again when it comes again",
        guard: Guard::Simulation,
        edits: &[Edit {
            file: LEDGER_CONSUMERS,
            find: "transaction.create(&VerdictRecord { operation_id, delivered_at, verdict })?;",
            replace: "if !matches!(verdict, Verdict::Refused(_)) {
                transaction.create(&VerdictRecord { operation_id, delivered_at, verdict })?;
            }",
        }],
    },
    Bug {
        name: "payee-not-credited",
        story: "a transfer moves the head of its payer only",
        guard: Guard::Simulation,
        edits: &[Edit {
            file: LEDGER_DOMAIN,
            find: "for link in &entry.links {",
            replace: "for link in entry.links.iter().take(1) {",
        }],
    },
    Bug {
        name: "closing-ignores-the-balance",
        story: "an account is closed with money on it",
        guard: Guard::Simulation,
        edits: &[Edit {
            file: LEDGER_DOMAIN,
            find: "if head.is_some_and(|head| head.balance.minor != 0) {",
            replace: "if head.is_some_and(|head| head.balance.minor < 0) {",
        }],
    },
    Bug {
        name: "deposit-after-the-closing",
        story: "a late deposit is posted to an account that is closed",
        guard: Guard::Simulation,
        edits: &[Edit {
            file: LEDGER_DOMAIN,
            find: "if head.is_closed {",
            replace: "if head.is_closed && entry.debit != Side::CashIn {",
        }],
    },
    Bug {
        name: "stale-answer-concludes",
        story: "an answer to an earlier request to close concludes a later one",
        guard: Guard::Tests { package: "accounts", filter: "domain" },
        edits: &[Edit {
            file: "services/accounts/src/domain.rs",
            find: "if account.status != (Status::Closing { operation_id: conclusion.operation_id }) {",
            replace: "if !matches!(account.status, Status::Closing { .. }) {",
        }],
    },
    Bug {
        name: "anybody-may-move",
        story: "whose account money is moved from is not asked",
        guard: Guard::Simulation,
        edits: &[Edit {
            file: "services/banking/src/domain.rs",
            find: "accounts.own.filter(|account| account.owner == asked.owner).ok_or(",
            replace: "accounts.own.ok_or(",
        }],
    },
    Bug {
        name: "failed-withdrawal-not-heard",
        story: "banking does not hear that a withdrawal failed",
        guard: Guard::Simulation,
        edits: &[Edit {
            file: "services/banking/src/domain.rs",
            find: "Message::DepositFailed(failed) | Message::WithdrawFailed(failed) => {",
            replace: "Message::DepositFailed(failed) => {",
        }],
    },
    Bug {
        name: "notified-again",
        story: "a notification is named anew with every delivery of its event",
        guard: Guard::Simulation,
        edits: &[Edit {
            file: "services/notifications/src/consumers.rs",
            find: ".map(|notice| Notification::new(notice.clone(), now))",
            replace: ".map(|notice| Notification {
                notification_id: NotificationId::new(self.0.sources.fresh_id()),
                ..Notification::new(notice.clone(), now)
            })",
        }],
    },
    Bug {
        name: "trimmed-too-early",
        story: "the log is trimmed behind the fastest consumer and not behind the slowest",
        guard: Guard::Tests { package: "embedded", filter: "queues" },
        edits: &[Edit {
            file: "adapters/embedded/src/settle.rs",
            find: "*least = cursor.min(*least)",
            replace: "*least = cursor.max(*least)",
        }],
    },
    Bug {
        name: "cursor-passes-what-is-under-way",
        story: "a cursor is saved as if all that was handed out were done",
        guard: Guard::Tests { package: "embedded", filter: "queues" },
        edits: &[Edit {
            file: "adapters/embedded/src/consumer.rs",
            find: "self.under_way.first_key_value().map_or(self.next, |(sequence, _)| self.next.min(*sequence));",
            replace: "self.next;",
        }],
    },
    Bug {
        name: "retry-not-kept",
        story: "what is to be delivered again is forgotten, and its cursor goes on",
        guard: Guard::Tests { package: "embedded", filter: "retries" },
        edits: &[Edit {
            file: "adapters/embedded/src/group.rs",
            find: "self.changes.retries.insert(retry_id, Some(retry));\n                return Ok(());",
            replace: "let _ = (retry_id, retry);\n                return Ok(());",
        }],
    },
    Bug {
        name: "dead-letter-not-kept",
        story: "a dead letter is not written down",
        guard: Guard::Tests { package: "embedded", filter: "retries" },
        edits: &[Edit {
            file: "adapters/embedded/src/group.rs",
            find: "self.changes.dead_letters.insert(dead_letter_id.to_string(), Some(letter));",
            replace: "let _ = (dead_letter_id, letter);",
        }],
    },
    Bug {
        name: "the-lower-layer-counts",
        story: "a reader sees what is being moved into the database, and not what has changed since",
        guard: Guard::Tests { package: "embedded", filter: "overlay" },
        edits: &[Edit {
            file: "adapters/embedded/src/overlay.rs",
            find: "self.upper.items.get(key).or_else(|| self.lower.items.get(key))",
            replace: "self.lower.items.get(key).or_else(|| self.upper.items.get(key))",
        }],
    },
    Bug {
        name: "moved-and-not-noted",
        story: "the database does not learn up to which group it has everything, and a start moves old groups over new rows",
        guard: Guard::Tests { package: "embedded", filter: "settle" },
        edits: &[Edit {
            file: "adapters/embedded/src/settle.rs",
            find: "        settle.execute([stored(unsettled.last)])?;",
            replace: "        let _ = (&mut settle, stored(unsettled.last));",
        }],
    },
    Bug {
        name: "part-not-told",
        story: "a database that has a part of what is being moved into it does not say so, and a copy of it passes for whole",
        guard: Guard::Tests { package: "embedded", filter: "settle" },
        edits: &[Edit {
            file: "adapters/embedded/src/settle.rs",
            find: "            moving.execute([stored(unsettled.last)])?;",
            replace: "            let _ = (&mut moving, stored(unsettled.last));",
        }],
    },
    Bug {
        name: "a-gap-in-the-journal-is-passed-over",
        story: "a start goes on behind groups that are missing",
        guard: Guard::Tests { package: "embedded", filter: "journal" },
        edits: &[Edit {
            file: "adapters/embedded/src/journal.rs",
            find: "if number == last + 1 {",
            replace: "if number > last {",
        }, Edit {
            file: "adapters/embedded/src/journal.rs",
            find: "if first > last + 1 {",
            replace: "if first > last + 1 && first == 0 {",
        }],
    },
    Bug {
        name: "a-start-writes-over-its-journal",
        story: "a start takes every file of the journal for one that the database has all of",
        guard: Guard::Tests { package: "embedded", filter: "journal" },
        edits: &[Edit {
            file: "adapters/embedded/src/journal.rs",
            find: "slots.push(Slot { file, last: *last });",
            replace: "slots.push(Slot { file, last: 0 * last });",
        }],
    },
    Bug {
        name: "what-was-not-written-is-known",
        story: "the committer remembers the ends of partitions as a group would have left them that was not written",
        guard: Guard::Tests { package: "embedded", filter: "committer" },
        edits: &[Edit {
            file: "adapters/embedded/src/committer.rs",
            find: "                self.ends = Ends::default();\n",
            replace: "",
        }],
    },
];
