//! For commands that change something: by way of the bank that serves on the data directory, or on the store itself where
//! none does.
//!
//! Whoever can read the data directory has its signing keys, and signs a token of an operator with them that is good
//! for one command. Requests go to the address that the bank left in the directory, never through a proxy.

use std::time::Duration;

use embedded::OpenError;
use identity::{Keys, mint_operator_token};
use ports::Sources;
use serde::Deserialize;
use serde_json::Value;
use system::sources;
use ureq::Agent;

use crate::cli::BankOptions;
use crate::failure::Failure;
use crate::world::{World, open_existing_store};

/// How long the bank may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// How much of an answer is read.
const ANSWER_BYTES_MAX: u64 = 1024 * 1024;

/// How a command gets at the bank.
pub enum Bank {
    /// It serves: the command asks it.
    Running(Client),
    /// Nobody has it open: the command works on the store itself, and no message is delivered meanwhile.
    Stopped(Box<World>),
}

/// Finds out which way a command has to go.
pub fn reach(options: &BankOptions) -> Result<Bank, Failure> {
    let (sources, data_dir) = (sources(), &options.data.data_dir);
    match open_existing_store(data_dir, &sources) {
        Ok(store) => Ok(Bank::Stopped(Box::new(World::at_rest(store, sources)?))),
        Err(OpenError::InUse { announced: Some(address), .. }) => {
            let keys = Keys::load(data_dir).map_err(Failure::because("the signing keys cannot be read"))?;
            Ok(Bank::Running(Client::new(address, &keys, &options.tokens.issuer, &sources)?))
        }
        Err(error) => Err(error.into()),
    }
}

/// An operator's requests to a bank that serves.
pub struct Client {
    agent: Agent,
    address: String,
    token: String,
}

/// What of a problem is shown at the command line.
#[derive(Deserialize)]
struct Problem {
    code: String,
    detail: String,
}

impl Client {
    fn new(address: String, keys: &Keys, issuer: &str, sources: &Sources) -> Result<Self, Failure> {
        let token = mint_operator_token(keys, issuer, sources)?;
        let config = Agent::config_builder()
            .timeout_global(Some(ANSWER_MAX))
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .build();
        Ok(Self { agent: config.into(), address, token })
    }

    /// Posts `body` to `path`, and succeeds if the bank does.
    pub async fn post(self, path: String, body: Value) -> Result<(), Failure> {
        let asked = tokio::task::spawn_blocking(move || self.post_blocking(&path, &body));
        asked.await.map_err(Failure::because("the bank was not asked"))?
    }

    fn post_blocking(&self, path: &str, body: &Value) -> Result<(), Failure> {
        let Self { agent, address, token } = self;
        let mut response = agent
            .post(format!("{address}{path}"))
            .header("Authorization", format!("Bearer {token}"))
            .send_json(body)
            .map_err(Failure::because(&format!("the bank at {address} cannot be asked")))?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let answer = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_json::<Problem>();
        Err(Failure::new(match answer {
            Ok(Problem { code, .. }) if code == "INVALID_TOKEN" => {
                format!(
                    "the bank at {address} refuses the command's token: was it started with another --issuer?"
                )
            }
            Ok(Problem { detail, .. }) => detail,
            Err(_) => format!("the bank at {address} answered {status}"),
        }))
    }
}
