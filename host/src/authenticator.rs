//! Who is calling, and for which tenant: the trait that an embedder implements. `tokens` implements it for the server.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

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

/// What a caller may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools, reason = "mirrors the WIT flags")]
pub struct Permissions {
    /// Read resources and discovery.
    pub read: bool,
    /// Change resources.
    pub write: bool,
    /// Configure the tenant.
    pub admin: bool,
}

impl Permissions {
    /// Everything.
    pub const ALL: Self = Self { read: true, write: true, admin: true };
    /// What an identity provider needs.
    pub const READ_WRITE: Self = Self { read: true, write: true, admin: false };
    /// The names of all that there are.
    pub const NAMES: [&'static str; 3] = ["read", "write", "admin"];

    /// The permissions of these names, or the first name that is none.
    pub fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, &'a str> {
        let mut permissions = Self::default();
        for name in names {
            match name {
                "read" => permissions.read = true,
                "write" => permissions.write = true,
                "admin" => permissions.admin = true,
                unknown => return Err(unknown),
            }
        }
        Ok(permissions)
    }

    /// The names of what is permitted.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().zip([self.read, self.write, self.admin]).filter_map(|(name, held)| held.then_some(name))
    }
}

/// A caller whose credentials hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The tenant whose store the instance may open.
    pub tenant: String,
    /// A stable, non-secret name for the log: a token's id.
    pub subject: String,
    /// What it may do.
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

/// Takes every request for one principal's: for a caller that was authenticated before.
#[cfg(feature = "server")]
pub(crate) struct Acting(pub(crate) Principal);

#[cfg(feature = "server")]
#[async_trait]
impl Authenticator for Acting {
    async fn authenticate(&self, credentials: Credentials) -> Result<Principal, AuthError> {
        match credentials.tenant_hint {
            Some(tenant) if tenant != self.0.tenant => Err(AuthError::Forbidden),
            _ => Ok(self.0.clone()),
        }
    }
}

/// Takes the tenant that the request names for granted: for the application's own reading of its tenants' logs.
pub(crate) struct Reading;

#[async_trait]
impl Authenticator for Reading {
    async fn authenticate(&self, credentials: Credentials) -> Result<Principal, AuthError> {
        let tenant = credentials.tenant_hint.ok_or(AuthError::Unauthenticated)?;
        // The log is among what a tenant's administrators read.
        let permissions = Permissions { read: true, write: false, admin: true };
        Ok(Principal { tenant, subject: "change-log".to_owned(), permissions })
    }
}

/// Decides who is calling.
///
/// ```
/// use scimwell::authenticator::{AuthError, Authenticator, Credentials, Permissions, Principal};
///
/// /// The company in the client certificate is the tenant.
/// struct Certificates;
///
/// #[async_trait::async_trait]
/// impl Authenticator for Certificates {
///     async fn authenticate(&self, credentials: Credentials) -> Result<Principal, AuthError> {
///         let subject = credentials.client_certificate_subject.ok_or(AuthError::Unauthenticated)?;
///         let organization = subject.split(',').find_map(|part| part.trim().strip_prefix("O="));
///         let tenant = organization.ok_or(AuthError::Unauthenticated)?.to_owned();
///         if credentials.tenant_hint.is_some_and(|hint| hint != tenant) {
///             return Err(AuthError::Forbidden);
///         }
///         Ok(Principal { tenant, subject, permissions: Permissions::READ_WRITE })
///     }
/// }
/// # let runtime = tokio::runtime::Runtime::new()?;
/// # let credentials = Credentials { client_certificate_subject: Some("CN=okta, O=acme".into()), ..Default::default() };
/// # assert_eq!(runtime.block_on(Certificates.authenticate(credentials)).map(|p| p.tenant), Ok("acme".to_owned()));
/// # assert_eq!(runtime.block_on(Certificates.authenticate(Credentials::default())), Err(AuthError::Unauthenticated));
/// # Ok::<(), std::io::Error>(())
/// ```
#[async_trait]
pub trait Authenticator: Send + Sync + 'static {
    /// The principal of these credentials, or why there is none.
    async fn authenticate(&self, credentials: Credentials) -> Result<Principal, AuthError>;

    /// Whether asking takes a trip over a network. The host then assumes that credentials which held a moment ago still do, and
    /// asks while the request's first read is under way rather than before it. Nothing is changed or answered before the authenticator
    /// has given the same principal again; where it does not, the request starts anew and waits for it.
    fn is_remote(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_by_name() {
        for names in [&["read"][..], &["read", "write"], &["read", "write", "admin"], &[]] {
            assert!(Permissions::named(names.iter().copied()).unwrap().names().eq(names.iter().copied()));
        }
        assert_eq!(Permissions::named(["admin", "read"]).unwrap().names().collect::<Vec<_>>(), ["read", "admin"]);
        assert_eq!(Permissions::named(["read", "Admin"]), Err("Admin"));
    }
}
