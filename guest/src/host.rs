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
