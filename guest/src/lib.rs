//! The SCIM 2.0 protocol core of scimwell (RFC 7643, RFC 7644): a pure function from a request to a response, over a store.
//!
//! [`handle`] is the whole pipeline; everything outside it comes through [`Host`]. The components are made of it by
//! `component`, the only module that knows wit-bindgen.
//!
//! ```
//! use scimwell_guest::{handle, Host, http::Request};
//!
//! fn ping(host: &impl Host) -> u16 {
//!     let request = Request { method: "GET".into(), target: "/Users?count=0".into(), ..Request::default() };
//!     handle(host, &request).status
//! }
//! ```

pub mod admin;
pub mod compat;
#[cfg(all(feature = "component", target_family = "wasm"))]
pub mod component;
pub mod datetime;
pub mod error;
pub mod filter;
pub mod host;
pub mod http;
pub mod limits;
pub mod ops;
pub mod password;
pub mod patch;
pub mod precis;
pub mod project;
pub mod query;
pub mod render;
pub mod resource;
pub mod route;
pub mod schema;
pub mod service;
pub mod store;
pub mod suggest;
pub mod tenant;
pub mod validate;

use compat::Compat;
use error::{ErrorKind, Result, ScimError};
pub use host::Host;
use host::{AuthError, Credentials, Principal};
use http::{Request, Response};
use ops::Context;
use ops::expected::Expected;
use query::Query;
use route::{Action, Me, Route};
use store::Mode;
use store::ahead::Ahead;
use tenant::Tenant;

/// Answer one request. Never fails: what goes wrong becomes a SCIM Error response (RFC 7644 §3.12).
pub fn handle<H: Host>(host: &H, request: &Request) -> Response {
    let mut response = match answer(host, request) {
        Ok(response) => response,
        // What a place would list in its 405 is the answer to OPTIONS (RFC 9110 §9.3.7).
        Err(ScimError { kind: ErrorKind::MethodNotAllowed { allow }, .. }) if request.method == "OPTIONS" => {
            render::options(allow)
        }
        Err(error) => render::error(&error),
    };
    // RFC 9110 §9.3.2: the headers of GET, without its content.
    if request.method == "HEAD" {
        response.body.clear();
    }
    response
}

fn answer<H: Host>(host: &H, request: &Request) -> Result<Response> {
    let principal = match authenticate(host, request) {
        Err(error) if error.kind == ErrorKind::Unauthorized => {
            return ops::discover::public(request).ok_or(error);
        }
        authenticated => authenticated?,
    };
    let store = host.open(&principal.tenant).map_err(store::failure)?;
    // One trip to the store for the configuration and, where the URL says enough, for what it is about.
    let Expected { mut keys, range, follow } = Expected::of(request);
    keys.push(store::keys::tenant());
    let ahead = Ahead::fetch(&store, keys, range, &follow)?;
    let tenant = Tenant::load(&ahead.over(&store))?;
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let (query_text, query, mode) = (query, Query::default(), Mode::Commit);
    let (compat, now) = (tenant.settings.compat(), host.now());
    let ctx = &mut Context { host, store, ahead, principal, tenant: &tenant, request, query, compat, now, mode };
    let answer = dispatch(ctx, path, query_text);
    ops::tolerated::note(ctx);
    answer
}

/// Find out what is asked for, and do it.
fn dispatch<H: Host>(ctx: &mut Context<'_, H>, path: &str, query: &str) -> Result<Response> {
    let route = route::route(&ctx.tenant.registry, &ctx.request.method, path, &mut ctx.compat)?;
    permit(&route, &ctx.principal)?;
    if matches!(route, Route::Admin(_)) {
        // The profile is about what identity providers send.
        ctx.compat = Compat::default();
    }
    ctx.query = Query::parse(query, &mut ctx.compat)?;
    if route.writes() {
        ctx.mode = ops::dry_run::mode(ctx.request)?;
    }
    let (resource_type, action) = match route {
        Route::Discovery(discovery) => return ops::discover::run(ctx, &discovery),
        Route::Admin(segments) => return admin::run(ctx, &segments),
        Route::Bulk => return Ok(written(ctx, ops::bulk::run)),
        Route::Root(parameters) => return ops::search::root(ctx, parameters),
        Route::Me(Me::Read) => return ops::me::run(ctx, Me::Read),
        Route::Me(me) => return Ok(written(ctx, |ctx| ops::me::run(ctx, me))),
        Route::Resources(resource_type, action) => (resource_type, action),
    };
    match action {
        Action::Search(parameters) => ops::search::run(ctx, resource_type, parameters),
        Action::Read(id) => ops::read::run(ctx, resource_type, &id),
        Action::Create => Ok(written(ctx, |ctx| ops::create::run(ctx, resource_type))),
        Action::Replace(id) => Ok(written(ctx, |ctx| ops::replace::run(ctx, resource_type, &id))),
        Action::Patch(id) => Ok(written(ctx, |ctx| ops::patch::run(ctx, resource_type, &id))),
        Action::Delete(id) => Ok(written(ctx, |ctx| ops::delete::run(ctx, resource_type, &id))),
    }
}

/// Run an operation that writes, and what follows it.
fn written<'a, H: Host>(
    ctx: &mut Context<'a, H>,
    operation: impl FnOnce(&mut Context<'a, H>) -> Result<Response>,
) -> Response {
    let response = operation(ctx);
    if response.is_ok() && ctx.mode == Mode::Commit {
        // The write stands whatever becomes of these steps; the next write goes on with them.
        let (ahead, since) = (ctx.ahead.over(&ctx.store), ctx.tenant.settings.deletions_since(ctx.now));
        let _ = store::sweep::step_if_marked(&ahead, &ctx.store, ctx.now, since);
        if ctx.tenant.unfinished {
            let _ = admin::change::step(&ctx.store, ctx.now);
        }
    }
    let response = response.unwrap_or_else(|error| render::error(&error));
    ops::dry_run::mark(ctx.mode, response)
}

fn authenticate<H: Host>(host: &H, request: &Request) -> Result<Principal> {
    let credentials = Credentials {
        authorization: request.header("authorization").map(str::to_owned),
        tenant_hint: request.tenant_hint.clone(),
        client_certificate_subject: request.client_certificate_subject.clone(),
        remote_address: request.remote_address.clone(),
    };
    host.authenticate(&credentials).map_err(|error| match error {
        AuthError::Unauthenticated if credentials.authorization.is_none() => ScimError::new(
            ErrorKind::Unauthorized,
            "The request has no Authorization header. Send `Authorization: Bearer` followed by the tenant's SCIM token.",
        ),
        AuthError::Unauthenticated => ScimError::new(ErrorKind::InvalidToken, credentials.mistake()),
        AuthError::Forbidden => ScimError::new(
            ErrorKind::Forbidden,
            "The token belongs to another tenant than the one in the URL. Use the token and the URL of one tenant.",
        ),
        AuthError::RateLimited(seconds) => ScimError::new(
            ErrorKind::RateLimited(seconds),
            format!("Too many requests. Repeat the request in {seconds} seconds."),
        ),
        AuthError::Unavailable(why) => {
            ScimError::new(ErrorKind::Unavailable, "The token can't be checked for now. Repeat the request in a moment.")
                .with_log(why)
        }
    })
}

fn permit(route: &Route<'_>, principal: &Principal) -> Result<()> {
    let (permitted, needed) = match route {
        Route::Admin(_) => (principal.permissions.admin, "admin"),
        route if route.writes() => (principal.permissions.write, "write"),
        _ => (principal.permissions.read, "read"),
    };
    match permitted {
        true => Ok(()),
        false => Err(ScimError::new(
            ErrorKind::Forbidden,
            format!("The token lacks the permission `{needed}`. Use a token that has it."),
        )),
    }
}
