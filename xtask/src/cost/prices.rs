//! What AWS charges, read from `xtask/prices.toml`, and what a tally comes to.

use std::collections::BTreeMap;
use std::fs;

use super::counter::Tally;
use super::decimal::Decimal;
use crate::{Fault, Workspace};

const FILE: &str = "xtask/prices.toml";

/// Every number that the file names.
pub(super) struct Prices(BTreeMap<String, Decimal>);

/// One line of a bill: what is charged, how much of it an operation takes, and what a million operations cost.
pub(super) struct Charge {
    pub(super) name: &'static str,
    pub(super) amount: Decimal,
    pub(super) dollars: Decimal,
}

impl Prices {
    pub(super) fn read(workspace: &Workspace) -> Result<Self, Fault> {
        let path = workspace.root.join(FILE);
        let text = fs::read_to_string(&path).map_err(Fault::file(&path))?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let numbers = lines.map(|line| {
            let (name, number) = line.split_once('=')?;
            Some((name.trim().to_owned(), number.trim().parse().ok()?))
        });
        let unreadable = || Fault::Output {
            command: FILE.to_owned(),
            reason: "a line is not a name and a number".to_owned(),
        };
        numbers.collect::<Option<_>>().map(Self).ok_or_else(unreadable)
    }

    /// What a million operations cost that come to `tally` together.
    pub(super) fn bill(&self, tally: &Tally, operations: usize) -> Result<Vec<Charge>, Fault> {
        let requests = Decimal::from(tally.store_requests + tally.queue_requests_of_functions);
        let invocations = Decimal::from(tally.invocations);
        let gateway_requests = Decimal::from(tally.gateway_requests);
        let billed_ms = invocations.times(self.number("own_milliseconds")?)
            + requests.times(self.number("request_milliseconds")?);
        let log_lines = Decimal::from(tally.log_lines + tally.gateway_requests);
        let log_bytes = Decimal::from(tally.log_bytes)
            + log_lines.times(self.number("line_overhead_bytes")?)
            + gateway_requests.times(self.number("access_line_bytes")?);
        // A trace begins at the gateway, and with every batch.
        let traces = invocations.times(self.number("traces_recorded")?);
        // A million of a thousandth of a second, and of a thousand-millionth of a gigabyte.
        let thousand = Decimal::from(1_000);
        let millisecond =
            thousand.times(self.number("gigabyte_seconds")?).times(self.number("memory_gigabytes")?);
        let log_byte = self.number("log_gigabytes")?.divided_by(1_000);
        let charge = |name, amount: Decimal, price| {
            let amount = amount.divided_by(operations);
            Charge { name, amount, dollars: amount.times(price) }
        };
        Ok(vec![
            charge("write units", tally.written(), self.number("write_units")?),
            charge("read units", tally.read(), self.number("read_units")?),
            charge("gateway requests", gateway_requests, self.number("gateway_requests")?),
            charge("invocations", invocations, self.number("invocations")?),
            charge("billed milliseconds", billed_ms, millisecond),
            charge("queue requests", Decimal::from(tally.queue_requests), self.number("queue_requests")?),
            charge("log bytes", log_bytes, log_byte),
            charge("traces", traces, self.number("traces")?),
        ])
    }

    fn number(&self, name: &str) -> Result<Decimal, Fault> {
        self.0
            .get(name)
            .copied()
            .ok_or_else(|| Fault::Output { command: FILE.to_owned(), reason: format!("{name} is missing") })
    }
}
