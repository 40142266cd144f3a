//! Who is signed in.

use kernel::UserId;
use serde_json::{Map, Value};

/// The group whose members may use the endpoints for operators.
pub const OPERATORS: &str = "operators";

/// Who sends a request, as her token says. The world's authentication puts it into the request's extensions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Principal {
    /// The subject of the token.
    pub user_id: UserId,
    /// The groups she is in.
    pub groups: Vec<String>,
}

/// Why a token is not accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    /// It was good once.
    #[error("The access token has expired.")]
    Expired,
    /// It is no access token of this bank.
    #[error("The access token is not valid.")]
    Invalid,
}

impl Principal {
    /// Reads the claims of a token that somebody else has checked. A gateway hands them over as texts, the groups
    /// joined (`a,b` or `[a b]`); in the token itself they are a list. All shapes are taken.
    ///
    /// # Errors
    /// [`Refused::Invalid`] without a subject of this bank, or if the token was issued for something other than access.
    pub fn from_claims(claims: &Map<String, Value>) -> Result<Self, Refused> {
        if claims.get("token_use").is_some_and(|token_use| token_use != "access") {
            return Err(Refused::Invalid);
        }
        let subject = claims.get("sub").and_then(Value::as_str).ok_or(Refused::Invalid)?;
        let user_id = subject.parse().map_err(|_| Refused::Invalid)?;
        let groups = match claims.get("cognito:groups") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::String(joined)) => groups_in(joined),
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            Some(_) => return Err(Refused::Invalid),
        };
        Ok(Self { user_id, groups })
    }

    /// Whether she is in this group.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|of_hers| of_hers == group)
    }
}

fn groups_in(joined: &str) -> Vec<String> {
    let is_between = |letter: char| matches!(letter, ',' | '[' | ']' | '"') || letter.is_whitespace();
    joined.split(is_between).filter(|group| !group.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SUBJECT: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

    fn read(claims: Value) -> Result<Principal, Refused> {
        let Value::Object(claims) = claims else { panic!("claims are an object") };
        Principal::from_claims(&claims)
    }

    #[test]
    fn groups_come_in_every_shape() {
        for (shape, groups) in [
            (json!(null), vec![]),
            (json!(""), vec![]),
            (json!("[]"), vec![]),
            (json!("operators"), vec!["operators"]),
            (json!("tellers,operators"), vec!["tellers", "operators"]),
            (json!("[tellers operators]"), vec!["tellers", "operators"]),
            (json!("[\"tellers\", \"operators\"]"), vec!["tellers", "operators"]),
            (json!(["tellers", "operators"]), vec!["tellers", "operators"]),
        ] {
            let principal = read(json!({"sub": SUBJECT, "cognito:groups": shape})).unwrap();
            assert_eq!(principal.groups, groups, "{shape}");
            assert_eq!(principal.is_in(OPERATORS), groups.contains(&OPERATORS), "{shape}");
        }
        assert_eq!(
            read(json!({"sub": SUBJECT, "exp": "Sun Nov 22 10:00:00 UTC 2026"})).unwrap().groups,
            [""; 0]
        );
    }

    #[test]
    fn other_claims_are_refused() {
        for claims in [
            json!({}),
            json!({"sub": ""}),
            json!({"sub": 1}),
            json!({"sub": "somebody"}),
            json!({"sub": SUBJECT, "token_use": "id"}),
            json!({"sub": SUBJECT, "cognito:groups": 1}),
        ] {
            assert_eq!(read(claims.clone()), Err(Refused::Invalid), "{claims}");
        }
    }
}
