//! DELETE (RFC 7644 §3.6).

use crate::compat::Compat;
use crate::error::Result;
use crate::host::Host;
use crate::http::Response;
use crate::render;
use crate::schema::ResourceType;
use crate::store::log::{self, Operation};
use crate::store::{Txn, edges, keys, repo};

use super::{Context, check_if_match, reprovision};

/// A resource to be deleted.
#[derive(Clone, Debug)]
pub struct Delete<'t> {
    /// Its type.
    pub resource_type: &'t ResourceType,
    /// Its id.
    pub id: String,
    /// The version that it must have.
    pub if_match: Option<String>,
    /// What the request was tolerated for, for the log.
    pub compat: Compat,
}

/// Delete `id` and take it out of every group; 204.
pub fn run<H: Host>(ctx: &Context<'_, H>, resource_type: &ResourceType, id: &str) -> Result<Response> {
    let delete = Delete { resource_type, id: id.to_owned(), if_match: ctx.if_match(), compat: ctx.compat.clone() };
    ctx.transact(|txn| {
        ctx.check_if_none_match(txn, resource_type, id)?;
        delete.apply(ctx, txn)
    })?;
    Ok(render::empty(204))
}

impl Delete<'_> {
    /// Delete it in a transaction.
    pub fn apply<H: Host>(&self, ctx: &Context<'_, H>, txn: &mut Txn<'_, H::Store>) -> Result<()> {
        let Self { resource_type, id, if_match, compat } = self;
        let mut old = repo::read(txn, resource_type, id)?;
        check_if_match(txn, if_match.as_deref(), &mut old)?;
        let documents = (Some(&old.resource.attributes), None);
        ctx.review(Operation::Delete, resource_type, id, documents)?;
        repo::remove(txn, resource_type, &old.resource)?;
        let members = edges::detach(txn, id)?;
        // With edges still to be swept the id can't be used again.
        if txn.read_one(&keys::gone(id))?.is_none() {
            reprovision::remember(ctx, txn, resource_type, &old.resource)?;
        }
        log::append(txn, &ctx.cause(Operation::Delete, compat), resource_type, id, documents, &members)
    }
}
