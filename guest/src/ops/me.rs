//! `/Me`: the resource of whoever asks (RFC 7644 §3.11).

use crate::compat::Compat;
use crate::error::{ErrorKind, Result, ScimError};
use crate::filter::{self, Across};
use crate::host::Host;
use crate::http::{Header, Response};
use crate::project::Projection;
use crate::render;
use crate::route::{self, Me};
use crate::schema::ResourceType;

use super::select::{Budget, Scope, Search, Window, select};
use super::{Context, delete, patch, read, replace};

/// The type whose resources stand for subjects.
const TYPE: &str = "User";

/// Do to one's own user what the method says. Every answer about it names the user's permanent URL (§3.11).
pub fn run<H: Host>(ctx: &mut Context<'_, H>, me: Me) -> Result<Response> {
    let tenant = ctx.tenant;
    let configured = tenant.settings.me_attribute.as_deref();
    let (Some(attribute), Some(resource_type)) = (configured, tenant.registry.by_name(TYPE)) else {
        return Err(ScimError::new(
            ErrorKind::NotImplemented,
            "/Me is not set up here: the tenant's setting `meAttribute` must name the attribute of User that holds the \
             subject of a token. Until then, use /Users/{id}.",
        ));
    };
    let id = match me {
        Me::Create => return Err(route::me_exists()),
        _ => find(ctx, resource_type, attribute)?,
    };
    let done = match me {
        Me::Replace => replace::run(ctx, resource_type, &id),
        Me::Patch => patch::run(ctx, resource_type, &id),
        Me::Delete => delete::run(ctx, resource_type, &id),
        Me::Read | Me::Create => read::run(ctx, resource_type, &id),
    };
    let mut response = done.unwrap_or_else(|error| render::error(&error));
    if !response.headers.iter().any(|header| header.name == "location") {
        response.headers.push(Header::new("location", render::location(resource_type, &id, &ctx.request.base_url)));
    }
    Ok(response)
}

/// The id of the one user whose `attribute` is the principal's subject.
fn find<H: Host>(ctx: &Context<'_, H>, resource_type: &ResourceType, attribute: &str) -> Result<String> {
    let unusable = |error: ScimError| {
        ScimError::new(
            ErrorKind::NotImplemented,
            format!("/Me is not set up here: the tenant's setting `meAttribute` is `{attribute}`: {}.", error.detail),
        )
    };
    let subject = &ctx.principal.subject;
    // Configuration is no client's request: nothing is tolerated on its account, and nothing noted.
    let compat = &mut Compat::default();
    let path = filter::parse_path(attribute, compat).map_err(unusable)?.attribute;
    let filter = filter::equals(path, subject);
    let found = filter::check_across(&filter, resource_type, &[resource_type], compat).map_err(unusable)?;
    let users = match found {
        Across::Some(filter) => {
            let projection = Projection::default_of(resource_type);
            let scope = Scope { resource_type, filter: Some(filter), sort: None, projection };
            let window = Window::Index { skip: 0, count: 2 };
            select(&Search::new(ctx, Budget::default()), &[scope], None, &window)?.page
        }
        Across::All | Across::None => Vec::new(),
    };
    match users.as_slice() {
        [(_, user)] => Ok(user.id().to_owned()),
        [] => Err(ScimError::new(
            ErrorKind::NotFound,
            format!("No {TYPE} has `{attribute}` \"{subject}\", the subject of this token. Provision that user first."),
        )),
        _ => Err(ScimError::new(
            ErrorKind::NotFound,
            format!(
                "More than one {TYPE} has `{attribute}` \"{subject}\", the subject of this token, so /Me is none of them."
            ),
        )),
    }
}
