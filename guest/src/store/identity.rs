//! Who a resource stands for: the values by which a later request may mean the same person or thing again.

use crate::error::{ErrorKind, Result};
use crate::limits;
use crate::resource::Object;
use crate::schema::order::Span;
use crate::schema::{ResourceType, Target};

use super::keys::{self, Digest};
use super::repo::{self, Loaded};
use super::{Read, Store, Txn};

/// The common attribute that clients keep their own id of a resource in (RFC 7643 §3.1). It is not unique.
const EXTERNAL_ID: &str = "externalId";

/// One such value.
#[derive(Clone, Debug)]
pub struct Identity<'t> {
    /// Whose value it is.
    pub target: Target<'t>,
    /// The value, as keys have it.
    text: String,
}

/// All such values that a resource with these attributes has: those that are unique, and its `externalId`.
pub fn identities<'t>(resource_type: &'t ResourceType, attributes: &Object) -> Vec<Identity<'t>> {
    let external = resource_type.resolve(None, EXTERNAL_ID, None).filter(|target| !target.is_unique());
    let mut found = Vec::new();
    for target in resource_type.targets().filter(Target::is_unique).chain(external) {
        repo::each_text(attributes, &target, &mut |_, text| found.push(Identity { target, text: text.to_owned() }));
    }
    found
}

impl Identity<'_> {
    /// What tombstones know it by.
    pub fn digest(&self, resource_type: &ResourceType) -> Digest {
        keys::value_digest(resource_type, &self.target, &self.text)
    }

    /// The resources that have it, at most [`limits::FORMER_HOLDERS`]; their documents must be the same at the commit, and so
    /// must be who has a unique value.
    pub fn holders<S: Store>(&self, txn: &mut Txn<'_, S>, resource_type: &ResourceType) -> Result<Vec<Loaded>> {
        if self.target.is_unique() {
            let holder = txn.read_one(&keys::unique(resource_type, &self.target, &self.text))?;
            let id = holder.map(|id| String::from_utf8_lossy(&id).into_owned());
            return Ok(id.map(|id| there(txn, resource_type, &id)).transpose()?.flatten().into_iter().collect());
        }
        if !resource_type.serves(self.target.leaf()) {
            return Ok(Vec::new());
        }
        let equal = keys::index_span(resource_type, &self.target, &Span::Equal(self.text.as_str().into()));
        let mut holders = Vec::new();
        for entry in txn.entries(&equal, true, limits::FORMER_HOLDERS)? {
            let Some(loaded) = there(txn, resource_type, &keys::last_part(&entry.key))? else { continue };
            // The index has the beginning of a long value only.
            let mut same = false;
            repo::each_text(&loaded.resource.attributes, &self.target, &mut |_, text| same |= text == self.text);
            if same {
                holders.push(loaded);
            }
        }
        Ok(holders)
    }
}

/// The resource, unless it has been deleted since its id was read.
fn there<S: Store>(txn: &mut Txn<'_, S>, resource_type: &ResourceType, id: &str) -> Result<Option<Loaded>> {
    match repo::read(txn, resource_type, id) {
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}
