//! The only place that builds responses.

mod text;

use serde::Serialize;
use serde_json::{Value, json};

use crate::datetime;
use crate::error::{ErrorKind, ScimError};
use crate::http::{Header, Response};
use crate::limits;
use crate::resource::{Object, Resource};
use crate::schema::{Registry, ResourceType, Source};
use crate::store::edges::Member;
use crate::store::memberships::Membership;
use crate::store::repo::Loaded;

use self::text::Edge;
pub use self::text::{Parts, members};

/// Of every response with a body (RFC 7644 §3.8); without a charset, which some clients trip over.
pub const MEDIA_TYPE: &str = "application/scim+json";

const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";
const BULK_RESPONSE: &str = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";
const LIST: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";

/// Members and memberships, those that are wanted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Edges<'e> {
    /// Of an attribute with [`Source::Members`].
    pub members: &'e [Member],
    /// Of an attribute with [`Source::Memberships`].
    pub memberships: &'e [Membership<'e>],
}

/// A resource in full, before projection (RFC 7643 §3), for whoever looks into it; what clients see is made by [`Parts`].
pub fn resource(
    registry: &Registry,
    resource_type: &ResourceType,
    loaded: Loaded,
    edges: Edges<'_>,
    base_url: &str,
) -> Object {
    let (version, modified) = (loaded.version(), loaded.modified());
    let Resource { id, attributes, created, .. } = loaded.resource;
    let location = location(resource_type, &id, base_url);
    let mut object = Object::with_capacity(attributes.len() + 4);
    object.insert("schemas".into(), urns(resource_type, |urn| attributes.contains_key(urn)).into());
    object.insert("id".into(), id.into());
    object.extend(attributes);
    let mut add = |source, values: Vec<Value>| {
        if let Some(attribute) = resource_type.attribute_from(source).filter(|_| !values.is_empty()) {
            object.insert(attribute.name.to_string(), values.into());
        }
    };
    let members = edges.members.iter().map(|member| Edge::member(registry, base_url, member, &[]).into());
    add(Source::Members, members.collect());
    let memberships = edges.memberships.iter().map(|of| Edge::membership(registry, base_url, of, &[]).into());
    add(Source::Memberships, memberships.collect());
    object.insert(
        "meta".into(),
        json!({
            "resourceType": resource_type.name,
            "created": datetime::format(created),
            "lastModified": datetime::format(modified),
            "location": location,
            "version": version,
        }),
    );
    object
}

/// The absolute URL of a resource.
pub fn location(resource_type: &ResourceType, id: &str, base_url: &str) -> String {
    [base_url, &resource_type.endpoint, "/", id].concat()
}

/// A response with this JSON body.
pub fn json(status: u16, body: &Value) -> Response {
    text(status, body.to_string().into_bytes())
}

fn text(status: u16, body: Vec<u8>) -> Response {
    Response { status, headers: vec![Header::new("content-type", MEDIA_TYPE)], body, log: None }
}

/// A response without a body.
pub fn empty(status: u16) -> Response {
    Response { status, ..Response::default() }
}

/// What a place offers (RFC 9110 §9.3.7).
pub fn options(allow: &str) -> Response {
    let mut response = empty(204);
    response.headers.push(Header::new("allow", allow));
    response
}

/// A response with one resource, its ETag (RFC 7644 §3.14) and its Location.
pub fn single(status: u16, version: &str, location: &str, resource: Vec<u8>) -> Response {
    let mut response = text(status, resource);
    response.headers.push(Header::new("etag", version));
    response.headers.push(Header::new("location", location));
    response
}

/// One page of a list.
#[derive(Clone, Copy, Debug)]
pub struct Page<'p> {
    /// How many match in all; left out where that is not known (RFC 9865 §2).
    pub total: Option<u64>,
    /// The number of the first, from 1; `None` in pages by cursor.
    pub start_index: Option<u64>,
    /// The cursor of the next page; `None` on the last one, and in pages by index.
    pub next_cursor: Option<&'p str>,
    /// The resources of the page, each as JSON text.
    pub resources: &'p [Vec<u8>],
}

/// What a list response tells beside the resources.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Head<'p> {
    schemas: [&'static str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    total_results: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_index: Option<u64>,
    items_per_page: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<&'p str>,
}

/// A list response (RFC 7644 §3.4.2, RFC 9865 §2).
pub fn page(page: &Page<'_>) -> Response {
    let Page { total, start_index, next_cursor, resources } = *page;
    let size: usize = resources.iter().map(|resource| resource.len() + 1).sum();
    let mut body = Vec::with_capacity(size + next_cursor.map_or(0, str::len) + 256);
    let items_per_page = resources.len();
    let head = Head { schemas: [LIST], total_results: total, start_index, items_per_page, next_cursor };
    text::write(&mut body, &head);
    body.pop();
    body.extend_from_slice(b",\"Resources\":[");
    for (i, resource) in resources.iter().enumerate() {
        if i > 0 {
            body.push(b',');
        }
        body.extend_from_slice(resource);
    }
    body.extend_from_slice(b"]}");
    text(200, body)
}

/// A list response with all there is.
pub fn all(resources: &[Value]) -> Response {
    let resources: Vec<Vec<u8>> = resources.iter().map(|resource| resource.to_string().into_bytes()).collect();
    let total = Some(resources.len() as u64);
    page(&Page { total, start_index: Some(1), next_cursor: None, resources: &resources })
}

/// What became of one operation of a bulk request (RFC 7644 §3.7.3).
#[derive(Clone, Debug)]
pub struct Operated<'o> {
    /// `method`, as the request gave it.
    pub method: &'o str,
    /// `bulkId`, where the request gave one.
    pub bulk_id: Option<&'o str>,
    /// Where the resource is; of no failed POST.
    pub location: Option<String>,
    /// The resource's version after the operation.
    pub version: Option<&'o str>,
    /// The status of the answer that the operation alone would have got, or its error.
    pub outcome: Result<u16, &'o ScimError>,
}

/// The response to a bulk request.
pub fn bulk<'o>(operated: impl Iterator<Item = Operated<'o>>) -> Response {
    let operations = operated.map(|Operated { method, bulk_id, location, version, outcome }| {
        let (status, error) = match outcome {
            Ok(status) => (status, None),
            Err(error) => (error.kind.table().0, Some(error_body(error))),
        };
        let mut operation = Object::new();
        let mut put = |name: &str, value: Option<Value>| {
            value.map(|value| operation.insert(name.to_owned(), value));
        };
        put("location", location.map(Value::from));
        put("method", Some(method.into()));
        put("bulkId", bulk_id.map(Value::from));
        put("version", version.map(Value::from));
        put("status", Some(status.to_string().into()));
        put("response", error.map(Value::Object));
        Value::Object(operation)
    });
    json(200, &json!({ "schemas": [BULK_RESPONSE], "Operations": operations.collect::<Vec<_>>() }))
}

/// An error response (RFC 7644 §3.12), with the headers that its status calls for.
pub fn error(error: &ScimError) -> Response {
    let mut response = json(error.kind.table().0, &Value::Object(error_body(error)));
    response.log.clone_from(&error.log);
    match &error.kind {
        ErrorKind::Unauthorized => response.headers.push(Header::new("www-authenticate", "Bearer realm=\"SCIM\"")),
        ErrorKind::InvalidToken => {
            let challenge = "Bearer realm=\"SCIM\", error=\"invalid_token\"";
            response.headers.push(Header::new("www-authenticate", challenge));
        }
        ErrorKind::MethodNotAllowed { allow } => response.headers.push(Header::new("allow", *allow)),
        ErrorKind::RateLimited(seconds) => response.headers.push(Header::new("retry-after", seconds.to_string())),
        ErrorKind::Unavailable => {
            response.headers.push(Header::new("retry-after", limits::RETRY_AFTER_SECONDS.to_string()));
        }
        _ => {}
    }
    response
}

fn error_body(error: &ScimError) -> Object {
    let (status, scim_type) = error.kind.table();
    let mut body = Object::new();
    body.insert("schemas".into(), json!([ERROR]));
    body.insert("status".into(), status.to_string().into());
    if let Some(scim_type) = scim_type {
        body.insert("scimType".into(), scim_type.into());
    }
    body.insert("detail".into(), error.detail.as_str().into());
    body
}

/// The URNs of the core schema and of the extensions that the resource has attributes of (RFC 7643 §3).
fn urns(resource_type: &ResourceType, has: impl Fn(&str) -> bool) -> Vec<&str> {
    let present = |id: &str| id == resource_type.schema.id || has(id);
    resource_type.schemas().map(|schema| schema.id.as_ref()).filter(|id| present(id)).collect()
}
