//! What the core gets from outside: everything it may read beside the request, and everyone it may ask.

use crate::resource::Timestamp;
use crate::store::{Store, StoreError};

/// What a request offers as proof.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// The Authorization header, as received.
    pub authorization: Option<String>,
    /// The tenant named by the URL, where the URL names one.
    pub tenant_hint: Option<String>,
    /// The subject of the verified TLS client certificate.
    pub client_certificate_subject: Option<String>,
    /// The client's address, where the host knows it.
    pub remote_address: Option<String>,
}

impl Credentials {
    /// Why an Authorization header does not hold, as far as its form tells. Nothing of it is repeated: whatever stands there
    /// may be a secret.
    pub fn mistake(&self) -> &'static str {
        let header = self.authorization.as_deref().unwrap_or_default().trim();
        let (scheme, token) = header.split_once(|c: char| c.is_ascii_whitespace()).unwrap_or((header, ""));
        let bearer = |word: &str| word.trim_end_matches(':').eq_ignore_ascii_case("bearer");
        let twice = token.split_ascii_whitespace().next().is_some_and(bearer);
        match (bearer(scheme), token.is_empty()) {
            (true, false) if twice => {
                "The Authorization header has the word `Bearer` twice: the client puts it before what is entered. Enter the \
                 token alone."
            }
            (true, false) => {
                "The token is not valid here: it is mistyped, expired or revoked. Enter a current SCIM token of this tenant."
            }
            (true, true) => {
                "The Authorization header has no token after `Bearer`. Enter a current SCIM token of this tenant."
            }
            (false, true) => {
                "The Authorization header lacks the word `Bearer`: it must be `Bearer`, a space, and the token. Where the \
                 client's field is for the whole header, enter `Bearer` before the token."
            }
            (false, false) => {
                "The Authorization header has another scheme than `Bearer`. Choose a bearer token as the way to authenticate, \
                 and enter a current SCIM token of this tenant."
            }
        }
    }
}

/// What a caller may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "mirrors the flags of wit/authenticator.wit")]
pub struct Permissions {
    /// Read resources and discovery.
    pub read: bool,
    /// Change resources.
    pub write: bool,
    /// Configure the tenant.
    pub admin: bool,
}

/// A caller whose credentials hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Principal {
    /// The tenant whose store may be opened.
    pub tenant: String,
    /// A stable, non-secret name for the log.
    pub subject: String,
    /// What the caller may do.
    pub permissions: Permissions,
}

/// Why a caller is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthError {
    /// No credentials, or they do not hold.
    Unauthenticated,
    /// They hold, but not for this tenant.
    Forbidden,
    /// Too many requests; try again in so many seconds.
    RateLimited(u32),
    /// It could not be decided for now; for logs only.
    Unavailable(String),
}

/// One resource about to change. Documents are SCIM JSON without secrets and without edges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Whose data.
    pub tenant: String,
    /// Who asks.
    pub subject: String,
    /// What is about to happen.
    pub operation: crate::store::log::Operation,
    /// The resource type's name.
    pub resource_type: String,
    /// The resource's id.
    pub id: String,
    /// The document as it is; `None` at creation.
    pub before: Option<String>,
    /// The document as it would be; `None` at deletion.
    pub after: Option<String>,
}

/// A refused change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// An HTTP status from 400 to 499.
    pub status: u16,
    /// A `scimType`, where one fits.
    pub scim_type: Option<String>,
    /// For the identity provider's administrator.
    pub detail: String,
}

/// Whoever runs the core: the component's imports, or a native embedder.
pub trait Host {
    /// One tenant's store.
    type Store: Store;

    /// Who is calling.
    fn authenticate(&self, credentials: &Credentials) -> Result<Principal, AuthError>;
    /// The store of the tenant that the latest `authenticate` granted.
    fn open(&self, tenant: &str) -> Result<Self::Store, StoreError>;
    /// The embedding application's word on a change, just before it is committed.
    fn review(&self, change: &Change) -> Result<(), Refusal>;
    /// Milliseconds since 1970-01-01T00:00:00Z.
    fn now(&self) -> Timestamp;
    /// Unpredictable bytes, for ids.
    fn random(&self) -> [u8; 16];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_header_is_told_without_what_is_in_it() {
        for (header, expect) in [
            ("Bearer s3cret", "The token is not valid here"),
            ("bearer  s3cret", "The token is not valid here"),
            ("Bearer Bearer s3cret", "The Authorization header has the word `Bearer` twice"),
            ("Bearer bearer: s3cret", "The Authorization header has the word `Bearer` twice"),
            ("Bearer Bearer", "The Authorization header has the word `Bearer` twice"),
            ("Bearer", "The Authorization header has no token"),
            ("s3cret", "The Authorization header lacks the word `Bearer`"),
            ("Bearers3cret", "The Authorization header lacks the word `Bearer`"),
            ("", "The Authorization header lacks the word `Bearer`"),
            ("Basic czNjcmV0", "The Authorization header has another scheme"),
            ("s3cret s3cret", "The Authorization header has another scheme"),
        ] {
            let credentials = Credentials { authorization: Some(header.into()), ..Credentials::default() };
            let mistake = credentials.mistake();
            assert!(mistake.starts_with(expect), "{header}: {mistake}");
            assert!(!mistake.contains("s3cret") && !mistake.contains("czNj"), "{mistake}");
        }
    }
}
