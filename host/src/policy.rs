//! The embedding application's word on a change, just before it is committed.

use async_trait::async_trait;

/// The kind of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// POST
    Create,
    /// PUT
    Replace,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
}

/// One resource about to change. Documents are SCIM JSON; secrets are left out.
#[derive(Clone, Debug)]
pub struct Change {
    /// Whose data.
    pub tenant: String,
    /// Who asks: the principal's subject.
    pub subject: String,
    /// What is about to happen.
    pub operation: Operation,
    /// The resource type's name, `User` for example.
    pub resource_type: String,
    /// The resource's id.
    pub id: String,
    /// The document as it is; `None` at creation.
    pub before: Option<String>,
    /// The document as it would be; `None` at deletion.
    pub after: Option<String>,
}

/// A refused change. The client gets it as a SCIM Error; the identity provider's administrator reads `detail`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// An HTTP status from 400 to 499.
    pub status: u16,
    /// A `scimType` of RFC 7644 table 9, where one fits.
    pub scim_type: Option<String>,
    /// What the administrator should know and do.
    pub detail: String,
}

/// Refuses changes, or lets them be committed.
///
/// ```
/// use scimwell::policy::{Change, Operation, Policy, Refusal};
///
/// /// Groups are the application's own affair.
/// struct UsersOnly;
///
/// #[async_trait::async_trait]
/// impl Policy for UsersOnly {
///     async fn review(&self, change: Change) -> Result<(), Refusal> {
///         if change.resource_type == "User" {
///             return Ok(());
///         }
///         let detail = "groups are kept in the application: turn off group push".to_owned();
///         Err(Refusal { status: 403, scim_type: None, detail })
///     }
/// }
/// # let change = Change { tenant: "acme".into(), subject: "t".into(), operation: Operation::Create,
/// #     resource_type: "Group".into(), id: "1".into(), before: None, after: Some("{}".into()) };
/// # let reviewed = tokio::runtime::Runtime::new()?.block_on(UsersOnly.review(change));
/// # assert_eq!(reviewed.map_err(|refusal| refusal.status), Err(403));
/// # Ok::<(), std::io::Error>(())
/// ```
#[async_trait]
pub trait Policy: Send + Sync + 'static {
    /// May be called again for the same change if a commit loses a race.
    async fn review(&self, change: Change) -> Result<(), Refusal>;
}

/// Lets every change through.
#[derive(Clone, Copy, Debug, Default)]
pub struct AllowAll;

#[async_trait]
impl Policy for AllowAll {
    async fn review(&self, _change: Change) -> Result<(), Refusal> {
        Ok(())
    }
}
