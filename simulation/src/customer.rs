//! A customer: she does one thing after the other, drawn from her own dice, and asks again where she got no answer.
//!
//! Every request that makes something has a word of its own in it, as the name of an account or the description of a
//! movement, so that the auditor can tell what came of which. A request without a key that was not answered is sent again
//! only now and then, since it may then be done twice.

use std::sync::Arc;
use std::time::Duration;

use kernel::UserId;
use serde_json::{Value, json};

use crate::counter::{Ask, Counter};
use crate::dice::Dice;
use crate::plan::{Action, Plan};
use crate::record::Answer;
use crate::town::{KnownAccount, Town};
use crate::world::pause;

/// How often a request is sent at most.
const TRIES_MAX: u64 = 8;
/// How long a customer waits who does not hang up: longer than the bank lets any request take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many accounts count as those that everybody uses.
const HOT_ACCOUNTS: usize = 2;

/// A customer of the bank.
pub struct Customer {
    plan: Arc<Plan>,
    user: UserId,
    counter: Counter,
    town: Town,
    dice: Dice,
    /// The most entries that she has seen an account of hers have, for reads that wait.
    seen: Vec<(String, u64)>,
    /// A notification that she has seen.
    notification_id: Option<String>,
}

impl Customer {
    /// The customer who draws from the dice of this number.
    pub fn new(plan: Arc<Plan>, number: u64, user: UserId, counter: Counter, town: Town) -> Self {
        let dice = Dice::new(plan.seed, number);
        Self { plan, user, counter, town, dice, seen: Vec::new(), notification_id: None }
    }

    /// Does everything that she will ever do.
    pub async fn live(mut self) {
        self.open().await;
        for _ in 0..self.plan.steps {
            pause(self.dice.between(0, self.plan.pause_ms_max)).await;
            let Some(action) = self.dice.weighed(&self.plan.actions) else { return };
            match action {
                Action::Open => self.open().await,
                Action::Deposit => self.move_one("/deposit").await,
                Action::Withdraw => self.move_one("/withdraw").await,
                Action::Transfer => self.transfer().await,
                Action::Close => self.close().await,
                Action::Read => self.read().await,
                Action::Trespass => self.trespass().await,
                Action::Repeat => self.repeat().await,
                Action::ReuseKey => self.reuse_key().await,
                Action::Mistake => self.mistake().await,
            }
        }
    }

    async fn open(&mut self) {
        let currency = *self.dice.pick(&self.plan.currencies).unwrap_or(&"EUR");
        let body = json!({"name": self.town.label(), "currency": currency});
        let ask = self.request("/accounts", body);
        if let Some(answer) = self.pursue(&ask).await.filter(|answer| answer.status == 201) {
            let account_id = text(&answer.body, "account_id");
            self.town.add_account(KnownAccount { account_id, owner: self.user, currency });
        }
    }

    async fn move_one(&mut self, path: &str) {
        let Some(account) = self.own() else { return };
        let body = self.movement(account.currency, json!({"account_id": account.account_id}));
        self.begin(path, body).await;
    }

    async fn transfer(&mut self) {
        let Some(from) = self.own() else { return };
        let among = self.town.accounts(|to| to.currency == from.currency && to.account_id != from.account_id);
        let Some(to) = self.choose(among) else { return };
        let sides = json!({"from_account_id": from.account_id, "to_account_id": to.account_id});
        let body = self.movement(from.currency, sides);
        self.begin("/transfer", body).await;
    }

    async fn begin(&mut self, path: &str, body: Value) {
        let ask = self.request(path, body);
        let answer = self.pursue(&ask).await;
        self.learn(answer.as_ref());
    }

    /// Remembers what a granted movement came to.
    fn learn(&mut self, answer: Option<&Answer>) {
        let Some(answer) = answer.filter(|answer| answer.status == 200) else { return };
        if let Some(operation_id) = answer.body["operation_id"].as_str() {
            self.town.add_operation(self.user, operation_id);
        }
        let account = answer.body["account_id"].as_str().or(answer.body["from_account_id"].as_str());
        if let (Some(account), Some(version)) = (account, answer.body["account_version"].as_u64()) {
            self.seen.push((account.to_owned(), version));
        }
    }

    /// Asks to close an account, and again where there is money on it, so that an answer may come to another request than
    /// the last one.
    async fn close(&mut self) {
        let Some(KnownAccount { account_id, currency, .. }) = self.own() else { return };
        for _ in 0..self.dice.between(1, 4) {
            let ask = self.request(format!("/accounts/{account_id}/close"), Value::Null);
            self.pursue(&ask).await;
            if self.dice.percent(50) {
                self.empty(&account_id, currency).await;
            }
        }
    }

    /// Takes out what an account holds as far as she knows.
    async fn empty(&mut self, account_id: &str, currency: &str) {
        let balance = self.pursue(&Ask::to_read(format!("/balances/{account_id}"))).await;
        let Some(amount) = balance.and_then(|answer| Some(answer.body["balance"].as_str()?.to_owned()))
        else {
            return;
        };
        if amount.chars().any(|digit| ('1'..='9').contains(&digit)) {
            let mut body = self.movement(currency, json!({"account_id": account_id}));
            body["amount"] = json!(amount);
            self.begin("/withdraw", body).await;
        }
    }

    async fn read(&mut self) {
        let Some(KnownAccount { account_id, .. }) = self.own() else { return };
        let operation = self.dice.pick(&self.town.operations(|owner| owner == self.user)).cloned();
        let limit = self.dice.between(1, 100);
        let path = match self.dice.between(0, 8) {
            0 => format!("/accounts?limit={limit}"),
            1 => format!("/balances?limit={limit}"),
            2 => format!("/operations?limit={limit}"),
            3 => format!("/notifications?limit={limit}"),
            4 => format!("/transactions/{account_id}?limit={limit}"),
            5 => format!("/accounts/{account_id}"),
            6 => match operation {
                Some(operation_id) => format!("/operation-status/{operation_id}"),
                None => return,
            },
            7 => match self.dice.pick(&self.seen) {
                Some((account_id, version)) => format!("/balances/{account_id}?min_version={version}"),
                None => return,
            },
            _ => format!("/balances/{account_id}"),
        };
        let ask = match &self.notification_id {
            Some(id) if self.dice.percent(10) => {
                Ask { method: "POST", ..Ask::to_read(format!("/notifications/{id}/read")) }
            }
            _ => Ask::to_read(path),
        };
        let answer = self.pursue(&ask).await;
        if let Some(id) =
            answer.and_then(|answer| Some(answer.body["items"][0]["notification_id"].as_str()?.to_owned()))
        {
            self.notification_id = Some(id);
        }
    }

    async fn trespass(&mut self) {
        let foreign = self.town.accounts(|account| account.owner != self.user);
        let Some(foreign) = self.dice.pick(&foreign).cloned() else { return };
        let account_id = &foreign.account_id;
        let operation = self.dice.pick(&self.town.operations(|owner| owner != self.user)).cloned();
        let sides = match self.own() {
            Some(own) => json!({"from_account_id": account_id, "to_account_id": own.account_id}),
            None => return,
        };
        let one = self.movement(foreign.currency, json!({"account_id": account_id}));
        let two = self.movement(foreign.currency, sides);
        let ask = match self.dice.between(0, 7) {
            0 => Ask::to_read(format!("/balances/{account_id}")),
            1 => Ask::to_read(format!("/transactions/{account_id}")),
            2 => Ask::to_read(format!("/accounts/{account_id}")),
            3 => match operation {
                Some(operation_id) => Ask::to_read(format!("/operation-status/{operation_id}")),
                None => return,
            },
            4 => self.request("/deposit", one),
            5 => self.request("/withdraw", one),
            6 => self.request("/transfer", two),
            _ => self.request(format!("/accounts/{account_id}/close"), Value::Null),
        };
        self.pursue(&ask).await;
    }

    /// Sends one of her requests with a key once more, as it was.
    async fn repeat(&mut self) {
        let mine = self.town.keyed(|user| user == self.user);
        let Some(mut ask) = self.dice.pick(&mine).cloned() else { return };
        ask.is_waiting = self.dice.percent(self.plan.waiting_percent);
        let answer = self.pursue(&ask).await;
        self.learn(answer.as_ref());
    }

    /// Does something new under a key that somebody has used, herself or another.
    async fn reuse_key(&mut self) {
        let from_another = self.dice.percent(50);
        let used = self.town.keyed(|user| (user != self.user) == from_another);
        let Some(key) = self.dice.pick(&used).and_then(|ask| ask.key.clone()) else { return };
        let Some(account) = self.own() else { return };
        let body = self.movement(account.currency, json!({"account_id": account.account_id}));
        // The request has this key alone: with one of its own, too, it might rightly be done twice.
        let is_waiting = self.dice.percent(self.plan.waiting_percent);
        let ask = Ask { method: "POST", path: "/deposit".to_owned(), key: Some(key), is_waiting, body };
        self.town.add_keyed(self.user, &ask);
        let answer = self.pursue(&ask).await;
        self.learn(answer.as_ref());
    }

    async fn mistake(&mut self) {
        let Some(account) = self.own() else { return };
        let mut body = self.movement(account.currency, json!({"account_id": account.account_id}));
        let (field, wrong) = match self.dice.between(0, 7) {
            0 => ("amount", json!("0")),
            1 => ("amount", json!("-5")),
            2 => ("amount", json!("1.2345")),
            3 => ("amount", json!("99999999999999999999")),
            4 => ("amount", json!("1e3")),
            5 => ("currency", json!("SEK")),
            6 => ("account_id", json!("nobody")),
            _ => ("more", json!("than is known")),
        };
        body[field] = wrong;
        let path = *self.dice.pick(&["/deposit", "/withdraw"]).unwrap_or(&"/deposit");
        let ask = self.request(path, body);
        self.pursue(&ask).await;
    }

    /// A request to make something, with or without a key.
    fn request(&mut self, path: impl Into<String>, body: Value) -> Ask {
        let is_keyed = self.dice.percent(self.plan.keyed_percent);
        let key = is_keyed.then(|| format!("key-{}", self.town.label()));
        let is_waiting = self.dice.percent(self.plan.waiting_percent);
        let ask = Ask { method: "POST", path: path.into(), key, is_waiting, body };
        if is_keyed {
            self.town.add_keyed(self.user, &ask);
        }
        ask
    }

    fn movement(&mut self, currency: &str, mut body: Value) -> Value {
        let decimals = match currency {
            "JPY" => 0,
            "BHD" => 3,
            _ => 2,
        };
        let (minor, unit) = (self.dice.between(1, self.plan.amount_max), 10_u64.pow(decimals));
        let (whole, fraction, width) = (minor / unit, minor % unit, decimals as usize);
        body["amount"] = match decimals {
            _ if fraction == 0 && whole > 0 && self.dice.percent(30) => json!(whole),
            0 => json!(whole.to_string()),
            _ => json!(format!("{whole}.{fraction:0width$}")),
        };
        if self.dice.percent(30) {
            body["currency"] = json!(currency);
        }
        body["description"] = json!(self.town.label());
        body
    }

    fn own(&mut self) -> Option<KnownAccount> {
        let own = self.town.accounts(|account| account.owner == self.user);
        self.choose(own)
    }

    /// One of these; one of the first of them where those are hot.
    fn choose(&mut self, mut among: Vec<KnownAccount>) -> Option<KnownAccount> {
        if self.dice.percent(self.plan.hot_percent) {
            among.truncate(HOT_ACCOUNTS);
        }
        self.dice.pick(&among).cloned()
    }

    /// Asks until there is an answer that will not change by asking again.
    async fn pursue(&mut self, ask: &Ask) -> Option<Answer> {
        for _ in 0..TRIES_MAX {
            let hangs_up = self.dice.percent(self.plan.hang_up_percent);
            let patience = if hangs_up { Duration::from_millis(self.dice.between(0, 100)) } else { PATIENCE };
            let answer = self.counter.ask(self.user, ask, patience).await;
            match answer {
                Some(answer) if !is_passing(&answer) => return Some(answer),
                _ if ask.method == "POST" && ask.key.is_none() && self.dice.percent(70) => return None,
                _ => pause(self.dice.between(1, 1_000)).await,
            }
        }
        None
    }
}

/// Whether the bank says that it may be done later.
fn is_passing(answer: &Answer) -> bool {
    matches!(answer.status, 503 | 504) || answer.body["code"] == "REQUEST_IN_FLIGHT"
}

fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap_or_default().to_owned()
}
