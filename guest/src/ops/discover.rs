//! Discovery (RFC 7644 §4).

use crate::compat::Compat;
use crate::error::{ErrorKind, Result, ScimError};
use crate::host::Host;
use crate::http::{Request, Response};
use crate::render;
use crate::route::{Discovery, Route, route};
use crate::schema::{REGISTRY, discovery};

use super::Context;

/// What a request without credentials is told, if anything (RFC 7643 §5: the authentication schemes should be public). It is the
/// same whatever tenant the URL names, so that nobody learns which there are.
pub fn public(request: &Request) -> Option<Response> {
    let path = request.target.split('?').next().unwrap_or_default();
    match route(&REGISTRY, &request.method, path, &mut Compat::default()) {
        Ok(Route::Discovery(Discovery::ServiceProviderConfig)) => {
            Some(render::json(200, &discovery::public_service_provider_config(&request.base_url)))
        }
        _ => None,
    }
}

/// What the server tells about itself. There is no filter here, and a client must not believe that one was applied.
pub fn run<H: Host>(ctx: &Context<'_, H>, discovery: &Discovery) -> Result<Response> {
    if ctx.query.filter().is_some() {
        return Err(ScimError::new(
            ErrorKind::Forbidden,
            "Discovery takes no filter and always lists everything. Send the request without `filter`.",
        ));
    }
    let (registry, base) = (&*ctx.tenant.registry, ctx.request.base_url.as_str());
    let (found, name) = match discovery {
        Discovery::ServiceProviderConfig => {
            return Ok(render::json(200, &discovery::service_provider_config(&ctx.tenant.features(), base)));
        }
        Discovery::ResourceTypes(None) => return Ok(render::all(&discovery::resource_types(registry, base))),
        Discovery::Schemas(None) => return Ok(render::all(&discovery::schemas(registry, base))),
        Discovery::ResourceTypes(Some(name)) => {
            (registry.by_name(name).map(|found| discovery::resource_type(found, base)), name)
        }
        Discovery::Schemas(Some(urn)) => (registry.schema(urn).map(|found| discovery::schema(found, base)), urn),
    };
    match found {
        Some(found) => Ok(render::json(200, &found)),
        None => {
            Err(ScimError::new(ErrorKind::NotFound, format!("`{name}` is not known here; the list is one level up.")))
        }
    }
}
