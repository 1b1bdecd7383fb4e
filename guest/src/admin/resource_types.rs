//! `/admin/resource-types`: the tenant's own resource types, and its extensions of the built-in ones, in the form of
//! RFC 7643 §6.

use serde_json::{Value, json};

use crate::error::{ErrorKind, Result, ScimError};
use crate::host::Host;
use crate::http::Response;
use crate::ops::Context;
use crate::render;
use crate::schema::{REGISTRY, Registry, ResourceType, define, discovery};
use crate::suggest::did_you_mean;
use crate::tenant::Stored;

use super::change::{self, Subject};
use super::schemas::stored;

/// All resource types.
pub(super) fn list<H: Host>(ctx: &Context<'_, H>) -> Response {
    let types = ctx.tenant.registry.resource_types.iter();
    render::all(&types.map(|found| document(found, &ctx.request.base_url)).collect::<Vec<_>>())
}

/// One of them.
pub(super) fn show<H: Host>(ctx: &Context<'_, H>, name: &str) -> Result<Response> {
    find(&ctx.tenant.registry, name).map(|found| render::json(200, &document(found, &ctx.request.base_url)))
}

/// Define a resource type, or the extensions of a built-in one: 201 or 200 with the resource type.
pub(super) fn put<H: Host>(ctx: &Context<'_, H>, name: &str) -> Result<Response> {
    let body = super::body(ctx)?;
    let (created, registry) = change::publish(ctx, Subject { kind: "ResourceType", id: name }, |configuration| {
        let defined = define::resource_type(name, &body, &configuration.definitions)?;
        let all = &mut configuration.definitions.resource_types;
        let at = all.iter().position(|other| other.name == defined.name);
        let built_in = REGISTRY.by_name(name).is_some();
        // A built-in resource type without extensions of the tenant's is not worth keeping.
        let nothing = built_in && defined.schema_extensions.is_empty();
        match at {
            Some(at) if nothing => _ = all.remove(at),
            Some(at) => all[at] = defined,
            None if nothing => {}
            None => all.push(defined),
        }
        Ok((at.is_none() && !built_in, configuration.clone().registry()?))
    })?;
    let found = find(&registry, name)?;
    Ok(render::json(if created { 201 } else { 200 }, &document(found, &ctx.request.base_url)))
}

/// Forget a resource type that has no resources; 204.
pub(super) fn delete<H: Host>(ctx: &Context<'_, H>, name: &str) -> Result<Response> {
    if REGISTRY.by_name(name).is_some() {
        return Err(ScimError::new(ErrorKind::Mutability, format!("{name} is built in and can't be deleted.")));
    }
    let known = |stored: &Stored| stored.configuration.definitions.resource_types.iter().any(|t| t.name == name);
    if !known(&stored(ctx)?) {
        return Err(unknown(&ctx.tenant.registry, name));
    }
    change::publish(ctx, Subject { kind: "ResourceType", id: name }, |configuration| {
        configuration.definitions.resource_types.retain(|defined| defined.name != name);
        Ok(())
    })?;
    Ok(render::empty(204))
}

fn find<'r>(registry: &'r Registry, name: &str) -> Result<&'r ResourceType> {
    registry.by_name(name).ok_or_else(|| unknown(registry, name))
}

fn unknown(registry: &Registry, name: &str) -> ScimError {
    let known = registry.resource_types.iter().map(|t| t.name.as_ref());
    ScimError::new(
        ErrorKind::NotFound,
        format!(
            "There is no resource type `{name}`{}; GET /admin/resource-types lists what there is.",
            did_you_mean(name, known)
        ),
    )
}

fn document(resource_type: &ResourceType, base_url: &str) -> Value {
    let mut document = discovery::resource_type(resource_type, base_url);
    document["meta"]["location"] = json!(format!("{base_url}/admin/resource-types/{}", resource_type.name));
    document
}
