//! `/admin/explain`: how a search would be run, and what it costs.

use crate::error::{ErrorKind, Result, ScimError, excerpt};
use crate::host::Host;
use crate::http::Response;
use crate::ops::{self, Context};
use crate::query;

/// The type that is meant where none is named.
const TYPE: &str = "User";

/// The parameters are those of a search (RFC 7644 §3.4.2), and `resourceType`.
pub(super) fn show<H: Host>(ctx: &mut Context<'_, H>) -> Result<Response> {
    let name = query::parameter(&ctx.request.target, "resourceType")?.unwrap_or_else(|| TYPE.to_owned());
    let tenant = ctx.tenant;
    let types = &tenant.registry.resource_types;
    let Some(resource_type) = types.iter().find(|ty| ty.name.eq_ignore_ascii_case(&name)) else {
        let names: Vec<&str> = types.iter().map(|ty| ty.name.as_ref()).collect();
        return Err(ScimError::new(
            ErrorKind::InvalidValue,
            format!("resourceType: there is no type `{}`; it takes one of {}", excerpt(&name), names.join(", ")),
        ));
    };
    ops::explain::run(ctx, resource_type)
}
