//! The question who is calling, where the application decides that, and what its answer means.

use serde::{Deserialize, Serialize};

use crate::authenticator::{AuthError, Credentials, Permissions, Principal};

/// Bytes of an answer at most.
pub const ANSWER_BYTES: usize = 64 * 1024;
/// Seconds until the next try, where the application says no number.
const RETRY_AFTER: u32 = 1;
/// Bytes of a tenant's name at most.
const MAX_TENANT: usize = 64;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Asked<'a> {
    authorization: Option<&'a str>,
    tenant_hint: Option<&'a str>,
    client_certificate_subject: Option<&'a str>,
    remote_address: Option<&'a str>,
}

#[derive(Deserialize)]
struct Known {
    tenant: String,
    subject: String,
    permissions: Vec<Permission>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Permission {
    Read,
    Write,
    Admin,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Limited {
    retry_after: Option<u32>,
}

/// The body of the question.
pub fn question(credentials: &Credentials) -> Result<Vec<u8>, AuthError> {
    let asked = Asked {
        authorization: credentials.authorization.as_deref(),
        tenant_hint: credentials.tenant_hint.as_deref(),
        client_certificate_subject: credentials.client_certificate_subject.as_deref(),
        remote_address: credentials.remote_address.as_deref(),
    };
    serde_json::to_vec(&asked).map_err(|error| AuthError::Unavailable(format!("the question is no JSON: {error}")))
}

/// The principal, or why there is none.
pub fn principal(status: u16, body: &[u8]) -> Result<Principal, AuthError> {
    match status {
        200 => {}
        401 => return Err(AuthError::Unauthenticated),
        403 => return Err(AuthError::Forbidden),
        429 => {
            let limited: Limited = serde_json::from_slice(body).unwrap_or_default();
            return Err(AuthError::RateLimited(limited.retry_after.unwrap_or(RETRY_AFTER)));
        }
        _ => return Err(AuthError::Unavailable(format!("it answers {status}"))),
    }
    let known: Known = serde_json::from_slice(body).map_err(|error| {
        let place = format!("line {} column {}", error.line(), error.column());
        let expected = r#"{"tenant": "acme", "subject": "Okta", "permissions": ["read", "write"]}"#;
        AuthError::Unavailable(format!("the answer is not like {expected}; it differs at {place}"))
    })?;
    if known.tenant.is_empty() || known.tenant.len() > MAX_TENANT || known.tenant.contains('\0') {
        return Err(AuthError::Unavailable(format!("`tenant` is a name of 1 to {MAX_TENANT} bytes")));
    }
    let permissions = known.permissions.iter().fold(Permissions::empty(), |all, one| {
        all | match one {
            Permission::Read => Permissions::READ,
            Permission::Write => Permissions::WRITE,
            Permission::Admin => Permissions::ADMIN,
        }
    });
    Ok(Principal { tenant: known.tenant, subject: known.subject, permissions })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked() {
        let credentials = Credentials {
            authorization: Some("Bearer T".into()),
            tenant_hint: None,
            client_certificate_subject: None,
            remote_address: Some("10.0.0.1".into()),
        };
        assert_eq!(
            String::from_utf8(question(&credentials).unwrap()).unwrap(),
            r#"{"authorization":"Bearer T","tenantHint":null,"clientCertificateSubject":null,"remoteAddress":"10.0.0.1"}"#
        );
    }

    #[test]
    fn who_it_is() {
        let body = br#"{"tenant": "acme", "subject": "Okta", "permissions": ["read", "admin"]}"#;
        let found = principal(200, body).unwrap();
        assert_eq!((&found.tenant[..], &found.subject[..]), ("acme", "Okta"));
        assert_eq!(found.permissions, Permissions::READ | Permissions::ADMIN);
    }

    #[test]
    fn who_it_is_not() {
        assert!(matches!(principal(401, b""), Err(AuthError::Unauthenticated)));
        assert!(matches!(principal(403, b""), Err(AuthError::Forbidden)));
        assert!(matches!(principal(429, br#"{"retryAfter": 30}"#), Err(AuthError::RateLimited(30))));
        assert!(matches!(principal(429, b"slowly"), Err(AuthError::RateLimited(1))));
        for (status, body) in [
            (500, ""),
            (204, ""),
            (200, ""),
            (200, r#"{"tenant": "", "subject": "x", "permissions": []}"#),
            (200, r#"{"tenant": "a", "subject": "x", "permissions": ["all"]}"#),
            (200, r#"{"tenant": "a", "subject": "x"}"#),
        ] {
            assert!(matches!(principal(status, body.as_bytes()), Err(AuthError::Unavailable(_))), "{status} {body}");
        }
    }
}
