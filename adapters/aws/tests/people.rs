//! The whole life of a person in a user pool, and a letter by SES, on an emulator.
//!
//! The emulator must check codes and tokens, which it does where it enforces permissions. It sends the same code in
//! every letter, and does not rotate refresh tokens.
#![expect(clippy::unwrap_used, reason = "what is missing fails the test")]

use std::env;
use std::time::Duration;

use aws::{Cognito, CognitoDirectory, Confirmation, Connection, SesMailer, Setting};
use aws_sdk_cognitoidentityprovider::Client;
use aws_sdk_cognitoidentityprovider::types::{
    ExplicitAuthFlowsType, PasswordPolicyType, PreventUserExistenceErrorTypes, TimeUnitsType,
    TokenValidityUnitsType, UserPoolPolicyType, UsernameAttributeType, VerifiedAttributeType,
};
use kernel::{Email, UserId};
use ports::{
    Directory, IdentityError, IdentityProvider, IdentityRejection, Letter, MailError, Mailer, Secret,
};
use serde_json::Value;
use uuid::Uuid;

/// The codes of every letter of the emulator.
const CONFIRMATION_CODE: &str = "123456";
const RESET_CODE: &str = "654321";

const PASSWORD: &str = "correct horse battery staple";
const ANOTHER: &str = "purple monkeys dishwasher 42";

/// A pool of the test's own, set up as the deployment template has it.
struct Pool {
    connection: Connection,
    user_pool_id: String,
    app_client_id: String,
}

impl Pool {
    async fn new(password_characters_min: i32) -> Self {
        let connection = connection().await;
        let client = Client::new(&connection.sdk);
        let policy = PasswordPolicyType::builder().minimum_length(password_characters_min).build();
        let pool = client
            .create_user_pool()
            .pool_name("people")
            .policies(UserPoolPolicyType::builder().password_policy(policy).build())
            .username_attributes(UsernameAttributeType::Email)
            .auto_verified_attributes(VerifiedAttributeType::Email);
        let user_pool_id = pool.send().await.unwrap().user_pool.unwrap().id.unwrap();
        let app_client = client
            .create_user_pool_client()
            .user_pool_id(&user_pool_id)
            .client_name("bank")
            .explicit_auth_flows(ExplicitAuthFlowsType::AllowUserPasswordAuth)
            .prevent_user_existence_errors(PreventUserExistenceErrorTypes::Enabled)
            .access_token_validity(15)
            .token_validity_units(
                TokenValidityUnitsType::builder().access_token(TimeUnitsType::Minutes).build(),
            );
        let app_client = app_client.send().await.unwrap().user_pool_client.unwrap();
        Self { connection, user_pool_id, app_client_id: app_client.client_id.unwrap() }
    }

    fn cognito(&self, confirmation: Confirmation) -> Cognito {
        Cognito::new(&self.connection, &self.user_pool_id, &self.app_client_id, confirmation)
    }

    fn directory(&self) -> CognitoDirectory {
        CognitoDirectory::new(&self.connection, &self.user_pool_id)
    }
}

fn endpoint() -> String {
    env::var("AWS_ENDPOINT_URL").unwrap_or_else(|_| {
        panic!(
            "AWS_ENDPOINT_URL is not set: these tests need an AWS emulator, which `cargo xtask test` starts"
        )
    })
}

async fn connection() -> Connection {
    endpoint();
    Connection::from_environment("people-").await
}

#[expect(clippy::disallowed_methods, reason = "the emulator lives on from run to run, so names must be new")]
fn fresh() -> Uuid {
    Uuid::now_v7()
}

fn fresh_email() -> Email {
    format!("ada-{}@example.org", fresh().simple()).parse().unwrap()
}

fn secret(text: &str) -> Secret {
    text.into()
}

#[track_caller]
fn assert_rejected<T>(answer: Result<T, IdentityError>, then: &IdentityRejection) {
    match answer {
        Err(IdentityError::Rejected(rejection)) => assert_eq!(rejection, *then),
        Err(IdentityError::Fault(fault)) => panic!("{then:?} was expected and not {fault:?}"),
        Ok(_) => panic!("{then:?} was expected"),
    }
}

/// A part of a token, which a test may read without checking its signature.
fn part(token: &str, index: usize) -> Value {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(index).unwrap()).unwrap()).unwrap()
}

#[tokio::test]
async fn a_person_confirms_her_address_and_signs_in() {
    let pool = Pool::new(8).await;
    let (cognito, email) = (pool.cognito(Confirmation::ByCode), fresh_email());
    let user_id = cognito.sign_up(&email, &secret(PASSWORD)).await.unwrap();
    assert_rejected(cognito.sign_up(&email, &secret(ANOTHER)).await, &IdentityRejection::EmailTaken);
    assert_eq!(pool.directory().email_address(user_id).await.unwrap(), None, "it may be somebody else's");
    assert_rejected(cognito.sign_in(&email, &secret(PASSWORD)).await, &IdentityRejection::NotConfirmed);
    for wrong in ["", "000000", "12345678"] {
        assert_rejected(cognito.confirm(&email, &secret(wrong)).await, &IdentityRejection::InvalidCode);
    }
    cognito.confirm(&email, &secret(&format!(" {CONFIRMATION_CODE}\n"))).await.unwrap();
    assert_rejected(
        cognito.confirm(&email, &secret(CONFIRMATION_CODE)).await,
        &IdentityRejection::InvalidCode,
    );
    assert_rejected(cognito.sign_in(&email, &secret(ANOTHER)).await, &IdentityRejection::WrongCredentials);
    let signed_in = cognito.sign_in(&email, &secret(PASSWORD)).await.unwrap();
    assert_eq!(signed_in.expires_in, Duration::from_secs(900));
    let claims = part(&signed_in.access_token, 1);
    assert_eq!((&claims["sub"], &claims["token_use"]), (&user_id.to_string().into(), &"access".into()));
}

#[tokio::test]
async fn a_person_is_confirmed_at_once_where_nobody_reads_letters() {
    let pool = Pool::new(8).await;
    let (cognito, email) = (pool.cognito(Confirmation::AtOnce), fresh_email());
    let user_id = cognito.sign_up(&email, &secret(PASSWORD)).await.unwrap();
    cognito.sign_in(&email, &secret(PASSWORD)).await.unwrap();
    let address = pool.directory().email_address(user_id).await.unwrap();
    assert_eq!(address.as_deref(), Some(email.as_str()));
    assert_eq!(pool.directory().email_address(UserId::new(fresh())).await.unwrap(), None);
}

#[tokio::test]
async fn a_session_is_refreshed_until_it_is_signed_out() {
    let pool = Pool::new(8).await;
    let (cognito, email) = (pool.cognito(Confirmation::AtOnce), fresh_email());
    cognito.sign_up(&email, &secret(PASSWORD)).await.unwrap();
    let first = cognito.sign_in(&email, &secret(PASSWORD)).await.unwrap();
    let second = cognito.refresh(&secret(&first.refresh_token)).await.unwrap();
    assert_ne!(first.access_token, second.access_token);
    for broken in ["", "token", "not a token", first.access_token.as_str()] {
        assert_rejected(cognito.refresh(&secret(broken)).await, &IdentityRejection::InvalidRefreshToken);
    }
    cognito.sign_out(&secret(&second.access_token)).await.unwrap();
    cognito.sign_out(&secret(&second.access_token)).await.unwrap();
    assert_rejected(
        cognito.refresh(&secret(&second.refresh_token)).await,
        &IdentityRejection::InvalidRefreshToken,
    );
}

#[tokio::test]
async fn all_sessions_of_a_person_end_at_once() {
    let pool = Pool::new(8).await;
    let (cognito, email) = (pool.cognito(Confirmation::AtOnce), fresh_email());
    cognito.sign_up(&email, &secret(PASSWORD)).await.unwrap();
    let first = cognito.sign_in(&email, &secret(PASSWORD)).await.unwrap();
    let second = cognito.sign_in(&email, &secret(PASSWORD)).await.unwrap();
    cognito.sign_out_everywhere(&secret(&first.access_token)).await.unwrap();
    for ended in [&first, &second] {
        let refreshed = cognito.refresh(&secret(&ended.refresh_token)).await;
        assert_rejected(refreshed, &IdentityRejection::InvalidRefreshToken);
    }
}

#[tokio::test]
async fn a_forgotten_password_is_set_anew() {
    let pool = Pool::new(8).await;
    let (cognito, email) = (pool.cognito(Confirmation::AtOnce), fresh_email());
    cognito.sign_up(&email, &secret(PASSWORD)).await.unwrap();
    cognito.forgot_password(&email).await.unwrap();
    assert_rejected(
        cognito.reset_password(&email, &secret("000000"), &secret(ANOTHER)).await,
        &IdentityRejection::InvalidCode,
    );
    cognito.reset_password(&email, &secret(RESET_CODE), &secret(ANOTHER)).await.unwrap();
    assert_rejected(cognito.sign_in(&email, &secret(PASSWORD)).await, &IdentityRejection::WrongCredentials);
    cognito.sign_in(&email, &secret(ANOTHER)).await.unwrap();
}

#[tokio::test]
async fn an_unknown_address_is_answered_like_a_known_one() {
    let pool = Pool::new(8).await;
    let (cognito, nobody) = (pool.cognito(Confirmation::ByCode), fresh_email());
    let code = secret(CONFIRMATION_CODE);
    assert_rejected(cognito.sign_in(&nobody, &secret(PASSWORD)).await, &IdentityRejection::WrongCredentials);
    assert_rejected(cognito.confirm(&nobody, &code).await, &IdentityRejection::InvalidCode);
    cognito.forgot_password(&nobody).await.unwrap();
    let reset = cognito.reset_password(&nobody, &code, &secret(ANOTHER)).await;
    assert_rejected(reset, &IdentityRejection::InvalidCode);
}

#[tokio::test]
async fn a_pool_may_ask_for_more_than_the_bank() {
    let pool = Pool::new(40).await;
    let signed_up = pool.cognito(Confirmation::AtOnce).sign_up(&fresh_email(), &secret(PASSWORD)).await;
    assert!(
        matches!(&signed_up, Err(IdentityError::Rejected(IdentityRejection::WeakPassword(_)))),
        "{signed_up:?}"
    );
}

#[tokio::test]
async fn the_public_keys_name_the_key_of_a_token() {
    let pool = Pool::new(8).await;
    let (cognito, email) = (pool.cognito(Confirmation::AtOnce), fresh_email());
    cognito.sign_up(&email, &secret(PASSWORD)).await.unwrap();
    let signed_in = cognito.sign_in(&email, &secret(PASSWORD)).await.unwrap();
    let key_id = part(&signed_in.access_token, 0)["kid"].clone();
    let keys = cognito.public_keys().await.unwrap();
    let key = keys.iter().find(|key| key_id == key.key_id.as_str()).unwrap();
    assert!(key.modulus.len() >= 2048 / 6 && !key.exponent.is_empty(), "{key:?}");
}

#[tokio::test]
async fn a_pool_that_is_not_there_is_a_fault_and_no_rejection() {
    let cognito = Cognito::new(&connection().await, "us-east-1_none", "none", Confirmation::ByCode);
    let answer = cognito.sign_in(&fresh_email(), &secret(PASSWORD)).await.map(drop);
    assert!(matches!(&answer, Err(IdentityError::Fault(_))), "{answer:?}");
    assert!(cognito.public_keys().await.is_err());
}

#[tokio::test]
async fn a_letter_is_sent_by_ses_from_the_sender_that_is_set() {
    let connection = connection().await;
    let name = format!("/people-{}/mail_from", fresh());
    let mailer = SesMailer::new(&connection, Setting::new(&connection, &name));
    let letter = Letter {
        letter_id: fresh().to_string(),
        to: fresh_email().into(),
        subject: "Your account is open".to_owned(),
        body: "Your account “Savings” is open.\n".to_owned(),
    };
    let unset = mailer.send(&letter).await;
    assert!(matches!(&unset, Err(MailError::Later(_))), "{unset:?}");

    let sender = "bank@example.org";
    let ses = aws_sdk_sesv2::Client::new(&connection.sdk);
    // Another run may have made it before.
    let _ = ses.create_email_identity().email_identity(sender).send().await;
    let ssm = aws_sdk_ssm::Client::new(&connection.sdk).put_parameter();
    let parameter = ssm.name(&name).value(sender).r#type(aws_sdk_ssm::types::ParameterType::String);
    parameter.send().await.unwrap();
    mailer.send(&letter).await.unwrap();

    let sent = ureq::get(format!("{}/_ministack/ses/messages", endpoint())).call().unwrap();
    let sent = sent.into_body().read_to_string().unwrap();
    for part in [&letter.to, sender, &letter.subject, "Savings"] {
        assert!(sent.contains(part), "{part}: {sent}");
    }
}
