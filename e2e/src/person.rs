//! Somebody who uses the bank.

use serde_json::{Value, json};

use crate::{Answer, Api, Call, text, wait_until};

/// A person who has signed up and signed in.
#[derive(Clone)]
pub struct Person {
    /// The bank.
    pub api: Api,
    /// The subject of her tokens.
    pub user_id: String,
    /// Her address, never used by another test.
    pub email: String,
    /// Her password, which no list of common ones has.
    pub password: String,
    /// What she shows with every request.
    pub access_token: String,
    /// What she gets the next pair of tokens for, once.
    pub refresh_token: String,
}

/// Something that moves money.
#[derive(Clone, Debug)]
pub enum Operation {
    /// Money comes in.
    Deposit {
        /// To this account.
        account_id: String,
        /// So much, in cents.
        minor: i64,
    },
    /// Money goes out.
    Withdraw {
        /// From this account.
        account_id: String,
        /// So much, in cents.
        minor: i64,
    },
    /// Money changes accounts.
    Transfer {
        /// From this account.
        from_account_id: String,
        /// To this one.
        to_account_id: String,
        /// So much, in cents.
        minor: i64,
    },
}

impl Operation {
    /// Where it is asked for.
    #[must_use]
    pub fn path(&self) -> &'static str {
        match self {
            Self::Deposit { .. } => "/deposit",
            Self::Withdraw { .. } => "/withdraw",
            Self::Transfer { .. } => "/transfer",
        }
    }

    /// How it is asked for.
    #[must_use]
    pub fn body(&self) -> Value {
        match self {
            Self::Deposit { account_id, minor } | Self::Withdraw { account_id, minor } => {
                json!({"account_id": account_id, "amount": crate::decimal(*minor)})
            }
            Self::Transfer { from_account_id, to_account_id, minor } => json!({
                "from_account_id": from_account_id, "to_account_id": to_account_id, "amount": crate::decimal(*minor),
            }),
        }
    }
}

impl Person {
    /// A new person, signed in.
    #[track_caller]
    pub fn sign_up(api: &Api) -> Self {
        let luck = rand::random::<u64>();
        let (email, password) =
            (format!("person-{luck:016x}@example.com"), format!("Tulip/{:016x}", luck ^ u64::MAX));
        let credentials = json!({"email": email, "password": password});
        let user = api.post("/auth/sign-up").json(&credentials).send().must_be(201).json();
        assert_eq!(user["email"], email.as_str());
        let tokens = api.post("/auth/sign-in").json(&credentials).send().must_be(200).json();
        assert_eq!(tokens["token_type"], "Bearer");
        Self {
            api: api.clone(),
            user_id: text(&user, "user_id").to_owned(),
            email,
            password,
            access_token: text(&tokens, "access_token").to_owned(),
            refresh_token: text(&tokens, "refresh_token").to_owned(),
        }
    }

    /// The same person, talking to a bank that has moved to another address.
    pub fn at(&self, api: &Api) -> Self {
        Self { api: api.clone(), ..self.clone() }
    }

    /// Starts a GET in her name.
    pub fn get(&self, path: impl Into<String>) -> Call<'_> {
        self.api.get(path).bearer(&self.access_token)
    }

    /// Starts a POST in her name.
    pub fn post(&self, path: impl Into<String>) -> Call<'_> {
        self.api.post(path).bearer(&self.access_token)
    }

    /// Opens an account, and waits until every service has heard of it.
    #[track_caller]
    pub fn open_account(&self, name: &str, currency: &str) -> String {
        let account = self
            .post("/accounts")
            .json(&json!({"name": name, "currency": currency}))
            .send()
            .must_be(201)
            .json();
        assert_eq!(account["status"], "OPEN");
        let account_id = text(&account, "account_id").to_owned();
        self.account_is_known(&account_id, currency);
        account_id
    }

    /// Waits until every service has heard of an account.
    #[track_caller]
    pub fn account_is_known(&self, account_id: &str, currency: &str) {
        wait_until("banking knows a new account", || self.banking_knows(account_id, currency).then_some(()));
        wait_until("a new account has a balance", || {
            (self.get(format!("/balances/{account_id}")).send().status == 200).then_some(())
        });
    }

    /// Asks for a deposit in another currency. It is refused either way, but as 404 only while the account is unknown.
    #[track_caller]
    fn banking_knows(&self, account_id: &str, currency: &str) -> bool {
        let other = if currency == "EUR" { "USD" } else { "EUR" };
        let body = json!({"account_id": account_id, "amount": "1", "currency": other});
        let status = self.post("/deposit").json(&body).send().status;
        assert!(
            matches!(status, 404 | 422),
            "a deposit in {other} on an account in {currency} was answered with {status}"
        );
        status == 422
    }

    /// Opens an account in euros that holds `minor` cents.
    #[track_caller]
    pub fn open_account_with(&self, minor: i64) -> String {
        let account_id = self.open_account("current", "EUR");
        self.complete(&Operation::Deposit { account_id: account_id.clone(), minor });
        account_id
    }

    /// Starts a request for an operation.
    pub fn ask(&self, operation: &Operation) -> Call<'_> {
        self.post(operation.path()).json(&operation.body())
    }

    /// Asks for an operation and waits until it has ended, one way or the other.
    #[track_caller]
    pub fn end(&self, operation: &Operation) -> Value {
        let asked = self.ask(operation).wait().send().must_be(200).json();
        self.ended(text(&asked, "operation_id"))
    }

    /// Asks for an operation that must succeed, and waits for it.
    #[track_caller]
    pub fn complete(&self, operation: &Operation) -> Value {
        let ended = self.end(operation);
        assert_eq!(ended["status"], "COMPLETED", "{ended}");
        ended
    }

    /// The operation, once it has ended.
    #[track_caller]
    pub fn ended(&self, operation_id: &str) -> Value {
        wait_until("an operation has ended", || {
            let operation = self.get(format!("/operation-status/{operation_id}")).send().must_be(200).json();
            (operation["status"] != "PENDING").then_some(operation)
        })
    }

    /// The account as it is now.
    #[track_caller]
    pub fn account(&self, account_id: &str) -> Value {
        self.get(format!("/accounts/{account_id}")).send().must_be(200).json()
    }

    /// The balance in cents, once it shows at least the given version of the account.
    #[track_caller]
    pub fn balance_at(&self, account_id: &str, version: u64) -> i64 {
        wait_until("the balance shows an ended operation", || {
            let path = format!("/balances/{account_id}?min_version={version}");
            let balance = self.get(path).send().must_be(200).json();
            let is_new = balance["version"].as_u64().is_some_and(|shown| shown >= version);
            is_new.then(|| crate::minor(text(&balance, "balance")))
        })
    }

    /// The balance in cents, as it is shown now.
    #[track_caller]
    pub fn balance(&self, account_id: &str) -> i64 {
        self.balance_at(account_id, 0)
    }

    /// Waits until the balance is so many cents.
    #[track_caller]
    pub fn balance_becomes(&self, account_id: &str, minor: i64) {
        wait_until(&format!("the balance is {minor} cents"), || {
            (self.balance(account_id) == minor).then_some(())
        });
    }

    /// Every item of a list, page by page. A page that is too long or a list that never ends fails the test.
    #[track_caller]
    pub fn all(&self, path: &str, limit: usize) -> Vec<Value> {
        self.items(path, limit, |_| false)
    }

    /// The items of a list, page by page, to its end or until a page is enough.
    #[track_caller]
    pub fn items(&self, path: &str, limit: usize, is_enough: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        const PAGES_MAX: usize = 10_000;
        let separator = if path.contains('?') { '&' } else { '?' };
        let mut items = Vec::new();
        let mut cursor = String::new();
        for _ in 0..PAGES_MAX {
            let page = self.get(format!("{path}{separator}limit={limit}{cursor}")).send().must_be(200).json();
            let Some(found) = page["items"].as_array() else { panic!("{path} has no items: {page}") };
            assert!(found.len() <= limit, "{path} gave {} items where {limit} were asked for", found.len());
            items.extend(found.iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) if !is_enough(found) => cursor = format!("&cursor={next}"),
                Some(_) | None => return items,
            }
        }
        panic!("{path} has more than {PAGES_MAX} pages")
    }

    /// Every line of an account's history, newest first.
    #[track_caller]
    pub fn history(&self, account_id: &str) -> Vec<Value> {
        self.all(&format!("/transactions/{account_id}"), 100)
    }

    /// The same person, with tokens as new as they come.
    #[track_caller]
    #[must_use]
    pub fn signed_in_again(&self) -> Self {
        let tokens = self.sign_in_with(&self.password).must_be(200).json();
        Self {
            access_token: text(&tokens, "access_token").to_owned(),
            refresh_token: text(&tokens, "refresh_token").to_owned(),
            ..self.clone()
        }
    }

    /// Signs in again with a password of her choice.
    pub fn sign_in_with(&self, password: &str) -> Answer {
        self.api.post("/auth/sign-in").json(&json!({"email": self.email, "password": password})).send()
    }
}
