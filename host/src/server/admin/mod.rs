//! The administration of the server over HTTP, at `/admin` beside SCIM: which tenants exist, their tokens, and each
//! tenant's configuration.
//!
//! Tenants and tokens are records in the host's own key space ([`records`]). A tenant's configuration is the component's
//! business, so those requests go on to it, as if the caller were that tenant's own administrator.
//!
//! Architecture invariant: whoever calls has the permission `admin`. A token of the tenant `default` is the operator's and
//! reaches everything; another reaches the tokens and the configuration of its own tenant, and sees nothing of others.

pub(super) mod backup;
mod body;
mod records;

use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Request, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use tower_service::Service as _;

pub(crate) use self::records::{Call, records};
use crate::authenticator::{AuthError, Authenticator, Credentials, Permissions, Principal};
use crate::provider::{self, Handled, MEDIA_TYPE, Response};
use crate::service::{self, PeerAddress, ScimService};
use crate::storage::Storage;
use crate::tenants;

/// Where the administration is.
const BASE: &str = "/admin";

/// Whether this path is the administration's.
pub(super) fn serves(path: &str) -> bool {
    path.strip_prefix(BASE).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether the caller may administer the whole server.
fn is_operator(caller: &Principal) -> bool {
    caller.tenant == tenants::DEFAULT && caller.permissions.admin
}

/// Answers what [`serves`] is true of.
pub(super) struct Admin {
    storage: Arc<dyn Storage>,
    authenticator: Arc<dyn Authenticator>,
}

impl Admin {
    pub(super) fn new(storage: Arc<dyn Storage>, authenticator: Arc<dyn Authenticator>) -> Self {
        Self { storage, authenticator }
    }

    pub(super) async fn answer(&self, scim: &ScimService, request: Request<Incoming>) -> http::Response<Full<Bytes>> {
        let (mut parts, body) = request.into_parts();
        let headers = service::headers(&parts.headers);
        let request_id = provider::request_id(&headers);
        let respond =
            |response, principal| service::respond(Handled { response, principal, request_id: request_id.clone() });
        let caller = match self.caller(&parts).await {
            Ok(caller) => caller,
            Err((refusal, caller)) => return respond(refusal, caller),
        };
        let path = parts.uri.path().strip_prefix(BASE).unwrap_or_default().to_owned();
        if let Some((tenant, target)) = configuration(&path) {
            let acting = match acting(&*self.storage, &caller, tenant).await {
                Ok(acting) => acting,
                Err(refusal) => return respond(refusal, Some(caller)),
            };
            let target = parts.uri.query().map_or_else(|| target.clone(), |query| format!("{target}?{query}"));
            let Some(uri) = moved(&parts.uri, &format!("/t/{tenant}/scim/v2{target}")) else {
                return respond(Response::error(404, "This path is malformed."), Some(caller));
            };
            parts.uri = uri;
            let mut scim = scim.on(scim.provider().acting_as(acting));
            let Ok(response) = scim.call(Request::from_parts(parts, body)).await;
            return response;
        }
        if let Some(refusal) = media_type(&parts) {
            return respond(refusal, Some(caller));
        }
        let body = match scim.read(body, &parts.headers).await {
            Ok(body) => body,
            Err((status, detail)) => return respond(Response::error(status, &detail), Some(caller)),
        };
        let query = parts.uri.query().unwrap_or_default();
        let call = Call { method: parts.method.as_str(), path: &path, query, body: &body };
        let response = records(&*self.storage, &caller, &call).await;
        respond(response, Some(caller))
    }

    /// Who is calling, if it may administer anything; else the refusal.
    async fn caller(&self, parts: &Parts) -> Result<Principal, (Response, Option<Principal>)> {
        let authorization = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let offered = authorization.is_some();
        let credentials = Credentials {
            authorization,
            remote_address: parts.extensions.get().map(|PeerAddress(address)| address.ip().to_string()),
            ..Credentials::default()
        };
        let caller =
            self.authenticator.authenticate(credentials).await.map_err(|error| (refused(error, offered), None))?;
        if caller.permissions.admin {
            return Ok(caller);
        }
        let detail = "The token lacks the permission `admin`. Use one that has it: `scimwell token create \
                      --permissions read,write,admin`.";
        Err((Response::error(403, detail), Some(caller)))
    }
}

/// The tenant and the component's own path, where this path below `/admin` is of a tenant's configuration.
fn configuration(path: &str) -> Option<(&str, String)> {
    let (tenant, rest) = path.strip_prefix("/tenants/")?.split_once('/')?;
    let first = rest.split('/').next().unwrap_or_default();
    let known = matches!(first, "settings" | "schemas" | "resource-types" | "log" | "tolerances" | "explain");
    (tenants::is_valid(tenant) && known).then(|| (tenant, format!("{BASE}/{rest}")))
}

/// Whom the component is to take the caller for: the same subject, as an administrator of that tenant.
pub(crate) async fn acting(storage: &dyn Storage, caller: &Principal, tenant: &str) -> Result<Principal, Response> {
    if !is_operator(caller) && caller.tenant != tenant {
        return Err(records::other_tenant(caller));
    }
    match tenants::exists(storage, tenant).await {
        Ok(true) => {
            Ok(Principal { tenant: tenant.to_owned(), subject: caller.subject.clone(), permissions: Permissions::ALL })
        }
        Ok(false) => Err(records::no_tenant(tenant)),
        Err(error) => Err(records::failed(&error)),
    }
}

/// The URI with another path and query.
fn moved(uri: &Uri, target: &str) -> Option<Uri> {
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target).ok()?);
    Uri::from_parts(parts).ok()
}

/// Bodies are JSON, whatever a client calls it.
fn media_type(parts: &Parts) -> Option<Response> {
    let stated = parts.headers.get(CONTENT_TYPE)?.to_str().unwrap_or("?");
    let essence = stated.split(';').next().unwrap_or_default().trim();
    let is_json = ["application/json", MEDIA_TYPE].iter().any(|json| json.eq_ignore_ascii_case(essence));
    (!is_json).then(|| {
        let detail = format!("Content-Type is `{essence}`; send the body as application/json.");
        Response::error(415, &detail)
    })
}

fn refused(error: AuthError, offered: bool) -> Response {
    match error {
        AuthError::Unauthenticated => {
            let detail = match offered {
                true => {
                    "The token is not valid: it is mistyped, expired or revoked. Use a token with the permission `admin`."
                }
                false => {
                    "The request has no Authorization header. Send `Authorization: Bearer` followed by a token with the \
                     permission `admin`."
                }
            };
            let mut response = Response::error(401, detail);
            response.headers.push(("www-authenticate".to_owned(), "Bearer realm=\"scimwell\"".to_owned()));
            response
        }
        AuthError::Forbidden => Response::error(403, "The token is of another tenant than the one asked for."),
        AuthError::RateLimited(seconds) => {
            let mut response =
                Response::error(429, &format!("Too many requests. Repeat the request in {seconds} seconds."));
            response.headers.push(("retry-after".to_owned(), seconds.to_string()));
            response
        }
        AuthError::Unavailable(why) => {
            tracing::error!(why, "a token could not be checked");
            records::unavailable()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        assert!(serves("/admin") && serves("/admin/tokens"));
        assert!(!serves("/administration") && !serves("/scim/v2/admin"));
    }

    #[track_caller]
    fn check(path: &str, expect: Option<(&str, &str)>) {
        let found = configuration(path);
        assert_eq!(found.as_ref().map(|(tenant, target)| (*tenant, target.as_str())), expect);
    }

    #[test]
    fn configuration_of_a_tenant() {
        check("/tenants/acme/settings", Some(("acme", "/admin/settings")));
        check("/tenants/acme/schemas/urn:a:b", Some(("acme", "/admin/schemas/urn:a:b")));
        check("/tenants/acme", None);
        check("/tenants/acme/", None);
        check("/tenants/acme/Users", None);
        check("/tenants/../settings", None);
        check("/tenants//settings", None);
    }

    #[test]
    fn moved_keeps_the_authority() {
        let uri = moved(&"https://h:1/admin/x?y".parse().unwrap(), "/t/a/scim/v2/admin/x?y").unwrap();
        assert_eq!(uri, "https://h:1/t/a/scim/v2/admin/x?y");
        assert_eq!(moved(&"/admin/x".parse().unwrap(), "/t").unwrap(), "/t");
    }
}
