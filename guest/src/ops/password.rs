//! Passwords on their way from a request to the store: taken out before anything else sees them, hashed before the
//! transaction, which may run more than once.

use serde_json::Value;

use crate::error::Result;
use crate::host::Host;
use crate::password::{self, Password};
use crate::patch::{Operation, Place};
use crate::resource::Object;
use crate::schema::{ResourceType, Source};

use super::Context;

/// What the attributes of a POST or PUT do to the password. One that isn't there stays as it is: a client that replaces
/// what it has read could not have read the password.
pub(super) fn sent<H: Host>(
    ctx: &Context<'_, H>,
    resource_type: &ResourceType,
    attributes: &Object,
) -> Result<Password> {
    let attribute = resource_type.attribute_from(Source::Password).filter(|_| ctx.tenant.settings.passwords);
    match attribute.and_then(|attribute| attributes.get(attribute.name.as_ref())).and_then(Value::as_str) {
        Some(text) => Ok(Password::Set(password::hash(text, ctx.host.random())?)),
        None => Ok(Password::Kept),
    }
}

/// What the operations of a PATCH do to it: the last one that names it decides.
pub(super) fn patched<H: Host>(ctx: &Context<'_, H>, operations: &[Operation<'_>]) -> Result<Password> {
    let named = operations.iter().rev().find_map(|operation| match &operation.place {
        Place::Attribute(target) if target.attribute.source == Source::Password => Some(&operation.value),
        _ => None,
    });
    match named {
        Some(value) if ctx.tenant.settings.passwords => match value.as_ref().and_then(Value::as_str) {
            Some(text) => Ok(Password::Set(password::hash(text, ctx.host.random())?)),
            None => Ok(Password::Removed),
        },
        _ => Ok(Password::Kept),
    }
}
