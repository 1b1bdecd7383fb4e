//! What the administration takes and gives: JSON bodies and queries.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::authenticator::Permissions;
use crate::datetime;
use crate::provider::Response;
use crate::tenants::Tenant;
use crate::tokens::Token;

/// The body of `POST /admin/tenants`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewTenant {
    pub(super) name: String,
    #[serde(default)]
    pub(super) display_name: Option<String>,
}

/// The body of `PATCH /admin/tenants/{name}`: null removes (RFC 7396).
#[derive(Debug, Deserialize)]
#[allow(clippy::option_option, reason = "absent, null and a text are three different changes")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TenantChange {
    #[serde(default, deserialize_with = "present")]
    pub(super) display_name: Option<Option<String>>,
}

/// Tells null from what is not there.
#[allow(clippy::option_option, reason = "see TenantChange")]
fn present<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(value).map(Some)
}

/// The body of `POST /admin/tokens`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(super) struct NewToken {
    pub(super) tenant: Option<String>,
    pub(super) label: String,
    pub(super) permissions: Option<Vec<String>>,
    pub(super) expires: Option<String>,
}

/// Which part of a list.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ListQuery {
    pub(super) tenant: Option<String>,
    pub(super) after: Option<String>,
    pub(super) count: Option<u32>,
}

/// A tenant as responses show it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownTenant<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<&'a str>,
    created: String,
}

impl<'a> From<&'a Tenant> for ShownTenant<'a> {
    fn from(tenant: &'a Tenant) -> Self {
        Self {
            name: &tenant.name,
            display_name: tenant.display_name.as_deref(),
            created: datetime::rfc3339(tenant.created),
        }
    }
}

/// A token's record as responses show it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownToken<'a> {
    id: &'a str,
    tenant: &'a str,
    label: &'a str,
    permissions: Vec<&'static str>,
    created: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    /// Whether it still holds.
    active: bool,
    /// The token itself: in the response that issues it, and nowhere else.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
}

impl<'a> ShownToken<'a> {
    pub(super) fn new(token: &'a Token, secret: Option<&'a str>) -> Self {
        Self {
            id: &token.id,
            tenant: &token.tenant,
            label: &token.label,
            permissions: token.permissions.names().collect(),
            created: datetime::rfc3339(token.created),
            expires: token.expires.map(datetime::rfc3339),
            active: !token.has_expired(),
            token: secret,
        }
    }
}

/// A response with this body.
pub(super) fn json(status: u16, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        // A new token is in some of them: no cache may keep it.
        Ok(body) => Response {
            status,
            headers: [("content-type", "application/json"), ("cache-control", "no-store")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            body,
        },
        Err(error) => {
            tracing::error!(%error, "a response could not be written as JSON");
            Response::error(500, "The server failed on this request; its log has the cause.")
        }
    }
}

/// The refusal of a value: 400 `invalidValue` (RFC 7644 §3.12).
pub(super) fn invalid(detail: &str) -> Response {
    typed(400, "invalidValue", detail)
}

/// A SCIM Error with a `scimType`.
pub(super) fn typed(status: u16, scim_type: &str, detail: &str) -> Response {
    let mut response = Response::error(status, detail);
    if let Ok(Value::Object(mut error)) = serde_json::from_slice(&response.body) {
        error.insert("scimType".to_owned(), scim_type.into());
        response.body = Value::Object(error).to_string().into_bytes();
    }
    response
}

/// The body, or the refusal of one that is not what this route takes.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Response> {
    serde_json::from_slice(body).map_err(|error| match error.is_data() {
        true => invalid(&format!("The body is not what is taken here: {error}.")),
        false => typed(400, "invalidSyntax", &format!("The body is not JSON: {error}.")),
    })
}

/// The query of a list.
pub(super) fn list_query(query: &str) -> Result<ListQuery, Response> {
    let mut found = ListQuery::default();
    for (name, value) in
        query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")))
    {
        // What these take needs no percent-encoding but the `/` of a position.
        let value = value.replace("%2F", "/").replace("%2f", "/");
        match name {
            "tenant" => found.tenant = Some(value),
            "after" => found.after = Some(value),
            "count" => {
                let count = value.parse().map_err(|_| invalid("`count` is no number from 0 to 4294967295."))?;
                found.count = Some(count);
            }
            unknown => {
                return Err(invalid(&format!(
                    "`{unknown}` is no parameter of this list; it takes tenant, after and count."
                )));
            }
        }
    }
    Ok(found)
}

/// A text for people, checked: `attribute` names it in the refusal.
pub(super) fn label(attribute: &str, text: &str) -> Result<(), Response> {
    const LONGEST: usize = 200;
    if text.chars().count() > LONGEST {
        return Err(invalid(&format!("`{attribute}` is longer than {LONGEST} characters; shorten it.")));
    }
    // It is shown in terminals and logs.
    if let Some(at) = text.chars().position(char::is_control) {
        return Err(invalid(&format!("`{attribute}` has a control character at position {}; leave it out.", at + 1)));
    }
    Ok(())
}

/// The permissions of a new token: those of an identity provider, unless others are named.
pub(super) fn permissions(names: Option<&[String]>) -> Result<Permissions, Response> {
    let known = Permissions::NAMES.join(", ");
    match names {
        None => Ok(Permissions::READ_WRITE),
        Some([]) => {
            Err(invalid(&format!("`permissions` is empty: such a token could do nothing. Name some of {known}.")))
        }
        Some(names) => Permissions::named(names.iter().map(String::as_str))
            .map_err(|unknown| invalid(&format!("`permissions`: {unknown:?} is none; there are {known}."))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_not_absence() {
        let change = |body: &str| read::<TenantChange>(body.as_bytes()).map(|change| change.display_name).unwrap();
        assert_eq!(change("{}"), None);
        assert_eq!(change(r#"{"displayName": null}"#), Some(None));
        assert_eq!(change(r#"{"displayName": "A"}"#), Some(Some("A".to_owned())));
    }

    #[track_caller]
    fn check_refused(body: &str, scim_type: &str, says: &str) {
        let refusal = read::<NewToken>(body.as_bytes()).unwrap_err();
        let error: Value = serde_json::from_slice(&refusal.body).unwrap();
        assert_eq!(error["scimType"], scim_type);
        assert!(error["detail"].as_str().unwrap().contains(says), "{error}");
    }

    #[test]
    fn bodies() {
        check_refused("{", "invalidSyntax", "line 1");
        check_refused(r#"{"lable": "x"}"#, "invalidValue", "expected one of `tenant`, `label`");
        check_refused(r#"{"label": 5}"#, "invalidValue", "expected a string");
        check_refused("[1, 2, 3, 4, 5]", "invalidValue", "invalid type");
    }

    #[test]
    fn queries() {
        let found = list_query("tenant=acme&after=acme%2Ftok_1&count=5&").unwrap();
        let expect = ListQuery { tenant: Some("acme".into()), after: Some("acme/tok_1".into()), count: Some(5) };
        assert_eq!(found, expect);
        assert_eq!(list_query("").unwrap(), ListQuery::default());
        assert_eq!(list_query("count=-1").unwrap_err().status, 400);
        assert_eq!(list_query("page=1").unwrap_err().status, 400);
    }
}
