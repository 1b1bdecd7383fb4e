//! Preconditions of a request (RFC 7644 §3.14, RFC 9110 §13) beside `If-Match` of a write, which is part of the operation.

use crate::error::{ErrorKind, Result, ScimError, excerpt};
use crate::host::Host;
use crate::schema::ResourceType;
use crate::store::edges::EdgeCounter;
use crate::store::{Txn, keys, repo};

use super::{Context, matches_version};

/// What a GET answers instead of the resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// 304: the client has this version.
    Yes,
    /// Nothing: it gets the resource.
    No,
}

impl<H: Host> Context<'_, H> {
    /// `If-Match` and `If-None-Match` of a GET, in the order of RFC 9110 §13.2.2.
    pub(super) fn known(&self, version: &str) -> Result<Known> {
        match self.request.header("if-match") {
            Some(wanted) if !matches_version(wanted, version) => Err(ScimError::new(
                ErrorKind::PreconditionFailed,
                format!(
                    "If-Match is {}, but the resource is at version {version}. Read it without If-Match.",
                    excerpt(wanted)
                ),
            )),
            _ => match self.request.header("if-none-match") {
                Some(known) if matches_version(known, version) => Ok(Known::Yes),
                _ => Ok(Known::No),
            },
        }
    }

    /// Refuse a write whose `If-None-Match` names the version that the resource has, as `*` always does (RFC 9110 §13.1.2).
    pub(super) fn check_if_none_match(
        &self,
        txn: &mut Txn<'_, H::Store>,
        resource_type: &ResourceType,
        id: &str,
    ) -> Result<()> {
        let Some(unwanted) = self.request.header("if-none-match") else { return Ok(()) };
        let mut loaded = repo::read(txn, resource_type, id)?;
        loaded.edges = EdgeCounter::decode(txn.read_one(&keys::edge_revision(id))?.as_deref())?;
        match matches_version(unwanted, &loaded.version()) {
            false => Ok(()),
            true => Err(ScimError::new(
                ErrorKind::PreconditionFailed,
                format!(
                    "If-None-Match is {}, and the resource is at version {}: it exists already. Leave If-None-Match \
                     out to change it.",
                    excerpt(unwanted),
                    loaded.version()
                ),
            )),
        }
    }
}
