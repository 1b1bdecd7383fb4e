//! Who is calling, and for which tenant: the trait that an embedder implements. `tokens` implements it for the server.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// What a request offers as proof.
#[derive(Clone, Debug, Default)]
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

/// Decides who is calling.
#[async_trait]
pub trait Authenticator: Send + Sync + 'static {
    /// The principal of these credentials, or why there is none.
    async fn authenticate(&self, credentials: Credentials) -> Result<Principal, AuthError>;
}
