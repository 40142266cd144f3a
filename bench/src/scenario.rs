//! What the trial of speed measures, by the names on the command line.

use clap::ValueEnum;

use crate::step::Step;

/// One thing that is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Scenario {
    /// Deposits until they are accepted, and how fast the bank is done with them
    Accepted,
    /// Deposits until they are COMPLETED
    EndToEnd,
    /// Deposits on one account until they are COMPLETED, beside the rate of end-to-end
    HotAccount,
    /// Deposits until the balance shows them
    Seen,
    /// Deposits (60 of 100), withdrawals (25) and transfers (15) until they are COMPLETED
    Mixed,
    /// Deposits in batches of 128, and how fast the bank is done with them
    Batch,
    /// Balances
    Balance,
    /// The newest entries of accounts
    History,
    /// Passwords for tokens, and how long a balance takes meanwhile
    SignIn,
    /// Deposits at a constant rate, half of what the bank sustains
    Steady,
    /// A store that grows: its rate, its size, and how long the bank takes to start on it
    Growth,
}

/// How a scenario is measured.
pub enum Way {
    /// In a closed loop: every caller takes this step again and again.
    Closed(Step),
    /// Sign-ins in a closed loop, beside balances at a fixed rate.
    Storm,
    /// At a constant rate.
    Open,
    /// With a bank of its own.
    Apart,
}

impl Scenario {
    /// Its name on the command line and in the report.
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// How it is measured.
    pub fn way(self) -> Way {
        match self {
            Self::Accepted => Way::Closed(Step::Accept),
            Self::EndToEnd => Way::Closed(Step::Complete),
            Self::HotAccount => Way::Closed(Step::CompleteOnOne),
            Self::Seen => Way::Closed(Step::See),
            Self::Mixed => Way::Closed(Step::CompleteAny),
            Self::Batch => Way::Closed(Step::AcceptBatch),
            Self::Balance => Way::Closed(Step::Balance),
            Self::History => Way::Closed(Step::History),
            Self::SignIn => Way::Storm,
            Self::Steady => Way::Open,
            Self::Growth => Way::Apart,
        }
    }

    /// Those that were asked for, in the order in which they are measured; all of them if none was. One hot account is
    /// measured beside all the others.
    pub fn chosen(asked: &[Self]) -> Vec<Self> {
        let is_chosen = |scenario: &Self| {
            asked.is_empty()
                || asked.contains(scenario)
                || (*scenario == Self::EndToEnd && asked.contains(&Self::HotAccount))
        };
        Self::value_variants().iter().copied().filter(is_chosen).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_hot_account_is_measured_beside_the_others() {
        assert_eq!(Scenario::chosen(&[Scenario::HotAccount]), [Scenario::EndToEnd, Scenario::HotAccount]);
        let asked = [Scenario::Mixed, Scenario::Accepted, Scenario::Mixed];
        assert_eq!(Scenario::chosen(&asked), [Scenario::Accepted, Scenario::Mixed]);
        assert_eq!(Scenario::chosen(&[]), Scenario::value_variants());
    }

    #[test]
    fn names_are_those_of_the_command_line() {
        assert_eq!(Scenario::HotAccount.name(), "hot-account");
    }
}
