//! The application's word on a change, asked over HTTP: what is sent, and what an answer means.
//!
//! 2xx lets the change through. 4xx with a JSON object that has a string `detail` refuses it; `status` (400 to 499) and
//! `scimType` (RFC 7644 table 9) are taken over where they are given. Everything else is a failure of the application, not
//! its word; `policy_failure` says what comes of it.

use serde_json::{Value, json};

use crate::bindings::exports::scimwell::provider::policy::{Change, Operation, Refusal};

/// What an answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The change may be committed.
    Allowed,
    /// The application says no.
    Refused(Refusal),
    /// It said nothing of use; for the log.
    Failed(String),
}

/// What becomes of a change that the application could not be asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// It is refused: the default.
    Closed,
    /// It is let through.
    Open,
}

impl OnFailure {
    /// The setting `policy_failure`.
    pub fn configured(setting: &str) -> Result<Self, String> {
        match setting {
            "" | "closed" => Ok(Self::Closed),
            "open" => Ok(Self::Open),
            unknown => Err(format!("{unknown:?} is not known; use `closed` or `open`")),
        }
    }
}

/// The body of the question.
pub fn question(change: &Change) -> Vec<u8> {
    let document = |text: &Option<String>| match text {
        None => Value::Null,
        // The core renders documents; one that is no JSON is passed on as text rather than lost.
        Some(text) => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone())),
    };
    let operation = match change.operation {
        Operation::Create => "create",
        Operation::Replace => "replace",
        Operation::Patch => "patch",
        Operation::Delete => "delete",
    };
    let question = json!({
        "tenant": change.tenant,
        "subject": change.subject,
        "operation": operation,
        "resourceType": change.resource_type,
        "id": change.id,
        "before": document(&change.before),
        "after": document(&change.after),
    });
    question.to_string().into_bytes()
}

/// What the answer means.
pub fn verdict(status: u16, body: &[u8]) -> Verdict {
    if (200..300).contains(&status) {
        return Verdict::Allowed;
    }
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    match answer["detail"].as_str() {
        Some(detail) if (400..500).contains(&status) => {
            let named = answer["status"].as_u64().or_else(|| answer["status"].as_str()?.parse().ok());
            let named =
                named.and_then(|status| u16::try_from(status).ok()).filter(|status| (400..500).contains(status));
            let scim_type = answer["scimType"].as_str().map(str::to_owned);
            Verdict::Refused(Refusal { status: named.unwrap_or(status), scim_type, detail: detail.to_owned() })
        }
        _ => Verdict::Failed(format!("it answered {status} without a JSON object that has a `detail`")),
    }
}

/// The refusal of a change that could not be asked about.
pub fn unanswered() -> Refusal {
    Refusal {
        status: 403,
        scim_type: None,
        detail: "The application that decides on changes gives no answer, so nothing was changed. Repeat the request \
                 later; if it stays like this, tell the operator of this server."
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, body: &str, expect: &Verdict) {
        assert_eq!(verdict(status, body.as_bytes()), *expect, "{status} {body}");
    }

    #[test]
    fn answers() {
        let refused = |status, scim_type: Option<&str>, detail: &str| {
            Verdict::Refused(Refusal { status, scim_type: scim_type.map(Into::into), detail: detail.into() })
        };
        check(200, "", &Verdict::Allowed);
        check(204, "", &Verdict::Allowed);
        check(299, r#"{"detail": "fine"}"#, &Verdict::Allowed);
        check(403, r#"{"detail": "No seats left."}"#, &refused(403, None, "No seats left."));
        check(400, r#"{"detail": "No.", "status": 409}"#, &refused(409, None, "No."));
        let scim = r#"{"detail": "Taken.", "status": "409", "scimType": "uniqueness"}"#;
        check(400, scim, &refused(409, Some("uniqueness"), "Taken."));
        check(422, r#"{"detail": "No.", "status": 200}"#, &refused(422, None, "No."));
        for (status, body) in
            [(404, ""), (403, "no"), (403, r#"{"detail": 1}"#), (500, r#"{"detail": "x"}"#), (302, "")]
        {
            assert!(matches!(verdict(status, body.as_bytes()), Verdict::Failed(_)), "{status} {body}");
        }
    }

    #[test]
    fn what_is_asked() {
        let change = Change {
            tenant: "acme".into(),
            subject: "Okta".into(),
            operation: Operation::Create,
            resource_type: "User".into(),
            id: "1".into(),
            before: None,
            after: Some(r#"{"userName":"ann"}"#.into()),
        };
        let asked: Value = serde_json::from_slice(&question(&change)).unwrap();
        assert_eq!(
            asked,
            json!({"tenant": "acme", "subject": "Okta", "operation": "create", "resourceType": "User", "id": "1",
                "before": null, "after": {"userName": "ann"}})
        );
    }

    #[test]
    fn what_comes_of_a_failure() {
        assert_eq!(OnFailure::configured(""), Ok(OnFailure::Closed));
        assert_eq!(OnFailure::configured("open"), Ok(OnFailure::Open));
        assert!(OnFailure::configured("Open").is_err());
    }
}
