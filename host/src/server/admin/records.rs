//! Tenants and tokens: what the administration keeps in the host's own key space.
//!
//! The server calls this for a request over HTTP, and the command line for its own data: both do and say the same.

use serde_json::json;

use super::body::{self, ListQuery, NewTenant, NewToken, ShownTenant, ShownToken, TenantChange};
use super::is_operator;
use crate::authenticator::Principal;
use crate::error::Error;
use crate::provider::Response;
use crate::storage::{Storage, StoreError};
use crate::{datetime, tenants, tokens};

/// Entries of a list in one response at most.
const PAGE: u32 = 1000;

/// A request, below `/admin`.
pub(crate) struct Call<'a> {
    /// `GET`, `POST`, ….
    pub(crate) method: &'a str,
    /// `/tokens/tok_1`, for example.
    pub(crate) path: &'a str,
    /// What follows the `?`.
    pub(crate) query: &'a str,
    /// The body; empty where there is none.
    pub(crate) body: &'a [u8],
}

/// Answers a request of a caller that has the permission `admin`.
pub(crate) async fn records(storage: &dyn Storage, caller: &Principal, call: &Call<'_>) -> Response {
    let segments: Vec<&str> = call.path.split('/').filter(|segment| !segment.is_empty()).collect();
    // HTTP leaves the body out of what HEAD gets.
    let method = if call.method == "HEAD" { "GET" } else { call.method };
    let answered = match (segments.as_slice(), method) {
        (["tenants", ..], _) if !is_operator(caller) => Err(other_tenant(caller)),
        (["tenants"], "GET") => list_tenants(storage, call).await,
        (["tenants"], "POST") => create_tenant(storage, call).await,
        (["tenants", name], "GET") => show_tenant(storage, name).await,
        (["tenants", name], "PATCH") => change_tenant(storage, name, call).await,
        (["tokens"], "GET") => list_tokens(storage, caller, call).await,
        (["tokens"], "POST") => create_token(storage, caller, call).await,
        (["tokens", id], "GET") => show_token(storage, caller, id).await,
        (["tokens", id], "DELETE") => revoke_token(storage, caller, id).await,
        (["tenants" | "tokens"], _) => Err(not_allowed(call, "GET, HEAD, POST")),
        (["tenants", _], _) => Err(not_allowed(call, "GET, HEAD, PATCH")),
        (["tokens", _], _) => Err(not_allowed(call, "GET, HEAD, DELETE")),
        _ => Err(Response::error(
            404,
            "There is no such path. The administration is at /admin/tenants, /admin/tenants/{name}, \
             /admin/tenants/{name}/settings, …/schemas, …/resource-types, …/log, …/tolerances, …/explain, \
             /admin/tokens, /admin/tokens/{id} and /admin/backup.",
        )),
    };
    answered.unwrap_or_else(|refusal| refusal)
}

async fn list_tenants(storage: &dyn Storage, call: &Call<'_>) -> Result<Response, Response> {
    let ListQuery { after, count, .. } = body::list_query(call.query)?;
    let limit = count.unwrap_or(PAGE).min(PAGE);
    let found = tenants::list(storage, after.as_deref(), limit).await.map_err(|error| failed(&error))?;
    let mut list = json!({ "tenants": found.iter().map(ShownTenant::from).collect::<Vec<_>>() });
    if let Some(last) = found.last().filter(|_| found.len() == limit as usize) {
        list["next"] = last.name.as_str().into();
    }
    Ok(body::json(200, &list))
}

async fn create_tenant(storage: &dyn Storage, call: &Call<'_>) -> Result<Response, Response> {
    let NewTenant { name, display_name } = body::read(call.body)?;
    if let Some(text) = &display_name {
        body::label("displayName", text)?;
    }
    match tenants::create(storage, &name).await {
        Ok(true) => {}
        Ok(false) => {
            let detail = format!("`name`: there is a tenant {name:?} already; choose another name.");
            return Err(body::typed(409, "uniqueness", &detail));
        }
        Err(error @ Error::TenantName(_)) => return Err(body::invalid(&format!("`name`: {error}."))),
        Err(error) => return Err(failed(&error)),
    }
    if display_name.is_some() {
        tenants::rename(storage, &name, display_name).await.map_err(|error| failed(&error))?;
    }
    let mut response = show_tenant(storage, &name).await?;
    response.status = 201;
    response.headers.push(("location".to_owned(), format!("/admin/tenants/{name}")));
    Ok(response)
}

async fn show_tenant(storage: &dyn Storage, name: &str) -> Result<Response, Response> {
    let found = tenants::find(storage, name).await.map_err(|error| failed(&error))?;
    found.map(|tenant| body::json(200, &ShownTenant::from(&tenant))).ok_or_else(|| no_tenant(name))
}

async fn change_tenant(storage: &dyn Storage, name: &str, call: &Call<'_>) -> Result<Response, Response> {
    let TenantChange { display_name } = body::read(call.body)?;
    let Some(display_name) = display_name else { return show_tenant(storage, name).await };
    if let Some(text) = &display_name {
        body::label("displayName", text)?;
    }
    let changed = tenants::rename(storage, name, display_name).await.map_err(|error| failed(&error))?;
    changed.map(|tenant| body::json(200, &ShownTenant::from(&tenant))).ok_or_else(|| no_tenant(name))
}

async fn list_tokens(storage: &dyn Storage, caller: &Principal, call: &Call<'_>) -> Result<Response, Response> {
    let ListQuery { tenant, after, count } = body::list_query(call.query)?;
    let tenant = match tenant {
        Some(tenant) if !may(caller, &tenant) => return Err(other_tenant(caller)),
        Some(tenant) if !exists(storage, &tenant).await? => return Err(no_tenant(&tenant)),
        None if !is_operator(caller) => Some(caller.tenant.clone()),
        tenant => tenant,
    };
    let limit = count.unwrap_or(PAGE).min(PAGE);
    let page =
        tokens::list(storage, tenant.as_deref(), after.as_deref(), limit).await.map_err(|error| failed(&error))?;
    let mut list =
        json!({ "tokens": page.tokens.iter().map(|token| ShownToken::new(token, None)).collect::<Vec<_>>() });
    if let Some(next) = page.next {
        list["next"] = next.into();
    }
    Ok(body::json(200, &list))
}

async fn create_token(storage: &dyn Storage, caller: &Principal, call: &Call<'_>) -> Result<Response, Response> {
    let NewToken { tenant, label, permissions, expires } = match call.body {
        [] => NewToken::default(),
        body => body::read(body)?,
    };
    let tenant = tenant.unwrap_or_else(|| caller.tenant.clone());
    if !may(caller, &tenant) {
        return Err(other_tenant(caller));
    }
    body::label("label", &label)?;
    let permissions = body::permissions(permissions.as_deref())?;
    let now = tokens::now();
    let expires = match expires.as_deref() {
        None => Some(now + tokens::LIFETIME),
        // Not what RFC 7644 §7.4 wants of a bearer token, so it takes a word.
        Some("never") => None,
        Some(text) => {
            let moment = datetime::expiry(text, now);
            Some(moment.map_err(|error| body::invalid(&format!("`expires` {text:?}: {error}.")))?)
        }
    };
    if !exists(storage, &tenant).await? {
        let detail = format!("`tenant`: there is no tenant {tenant:?}; create it first, with POST /admin/tenants.");
        return Err(body::invalid(&detail));
    }
    let issued = tokens::issue(storage, &tenant, &label, permissions, expires).await.map_err(|error| failed(&error))?;
    tracing::info!(token = issued.token.id, tenant, caller = caller.subject, "token issued");
    let mut response = body::json(201, &ShownToken::new(&issued.token, Some(&issued.secret)));
    response.headers.push(("location".to_owned(), format!("/admin/tokens/{}", issued.token.id)));
    Ok(response)
}

async fn show_token(storage: &dyn Storage, caller: &Principal, id: &str) -> Result<Response, Response> {
    match tokens::find(storage, id).await.map_err(|error| failed(&error))? {
        Some(token) if may(caller, &token.tenant) => Ok(body::json(200, &ShownToken::new(&token, None))),
        // That another tenant has it is none of the caller's business.
        _ => Err(no_token(id)),
    }
}

async fn revoke_token(storage: &dyn Storage, caller: &Principal, id: &str) -> Result<Response, Response> {
    show_token(storage, caller, id).await?;
    match tokens::revoke(storage, id).await.map_err(|error| failed(&error))? {
        Some(token) => {
            tracing::info!(token = token.id, tenant = token.tenant, caller = caller.subject, "token revoked");
            Ok(Response { status: 204, headers: Vec::new(), body: Vec::new() })
        }
        None => Err(no_token(id)),
    }
}

/// Whether the caller may administer this tenant.
fn may(caller: &Principal, tenant: &str) -> bool {
    is_operator(caller) || caller.tenant == tenant
}

async fn exists(storage: &dyn Storage, tenant: &str) -> Result<bool, Response> {
    tenants::exists(storage, tenant).await.map_err(|error| failed(&error))
}

pub(super) fn other_tenant(caller: &Principal) -> Response {
    let detail = format!(
        "The token administers the tenant {:?} only: its tokens, at /admin/tokens, and its configuration. For other tenants, \
         use a token of the tenant `{}` with the permission `admin`.",
        caller.tenant,
        tenants::DEFAULT
    );
    Response::error(403, &detail)
}

pub(super) fn no_tenant(name: &str) -> Response {
    Response::error(404, &format!("There is no tenant {:?}; GET /admin/tenants lists those that exist.", excerpt(name)))
}

fn no_token(id: &str) -> Response {
    let detail = format!("There is no token with the id {:?}; GET /admin/tokens lists those that hold.", excerpt(id));
    Response::error(404, &detail)
}

/// As much of what a client sent as an error needs.
fn excerpt(text: &str) -> &str {
    text.char_indices().nth(80).map_or(text, |(end, _)| &text[..end])
}

fn not_allowed(call: &Call<'_>, allow: &str) -> Response {
    let mut response =
        Response::error(405, &format!("{} is not offered here. It takes {allow}.", excerpt(call.method)));
    response.headers.push(("allow".to_owned(), allow.to_owned()));
    response
}

/// The cause goes to the log, never to the client.
pub(super) fn failed(error: &Error) -> Response {
    tracing::error!(%error, "the administration failed");
    match error {
        Error::Storage(StoreError::Unavailable(_)) => unavailable(),
        _ => Response::error(500, "The server failed on this request; its log has the cause."),
    }
}

pub(super) fn unavailable() -> Response {
    let mut response = Response::error(503, "The storage does not answer for now. Repeat the request in a moment.");
    response.headers.push(("retry-after".to_owned(), "1".to_owned()));
    response
}
