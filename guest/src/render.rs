//! The only place that builds responses.

use serde_json::{Value, json};

use crate::datetime;
use crate::error::{ErrorKind, ScimError};
use crate::http::{Header, Response};
use crate::limits;
use crate::resource::{Object, Resource};
use crate::schema::{Registry, ResourceType, Source};
use crate::store::edges::{Member, Membership};
use crate::store::repo::Loaded;

/// Of every response with a body (RFC 7644 §3.8); without a charset, which some clients trip over.
pub const MEDIA_TYPE: &str = "application/scim+json";

const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";
const LIST: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";

/// Members and memberships, where they are wanted.
#[derive(Clone, Debug, Default)]
pub struct Edges {
    /// Of an attribute with [`Source::Members`].
    pub members: Option<Vec<Member>>,
    /// Of an attribute with [`Source::Memberships`].
    pub memberships: Option<Vec<Membership>>,
}

/// A resource in full, before projection (RFC 7643 §3).
pub fn resource(
    registry: &Registry,
    resource_type: &ResourceType,
    loaded: Loaded,
    edges: &Edges,
    base_url: &str,
) -> Object {
    let (version, modified) = (loaded.version(), loaded.modified());
    let Resource { id, attributes, created, .. } = loaded.resource;
    let location = location(resource_type, &id, base_url);
    let mut object = Object::with_capacity(attributes.len() + 4);
    object.insert("schemas".into(), schemas(resource_type, &attributes));
    object.insert("id".into(), id.into());
    object.extend(attributes);
    if let Some(members) = edges.members.as_ref().filter(|m| !m.is_empty()) {
        let element = |m: &Member| edge(registry, base_url, &m.id, &m.resource_type, &m.display, &m.resource_type);
        insert(&mut object, resource_type, Source::Members, members.iter().map(element).collect());
    }
    if let Some(memberships) = edges.memberships.as_ref().filter(|m| !m.is_empty()) {
        let element = |m: &Membership| {
            let how = if m.direct { "direct" } else { "indirect" };
            edge(registry, base_url, &m.id, &m.resource_type, &m.display, how)
        };
        insert(&mut object, resource_type, Source::Memberships, memberships.iter().map(element).collect());
    }
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
    format!("{base_url}{}/{id}", resource_type.endpoint)
}

/// A response with this JSON body.
pub fn json(status: u16, body: &Value) -> Response {
    // Serialising a `Value` can't fail: its keys are strings.
    let body = serde_json::to_vec(body).unwrap_or_default();
    Response { status, headers: vec![Header::new("content-type", MEDIA_TYPE)], body }
}

/// A response without a body.
pub fn empty(status: u16) -> Response {
    Response { status, headers: Vec::new(), body: Vec::new() }
}

/// What a place offers (RFC 9110 §9.3.7).
pub fn options(allow: &str) -> Response {
    let mut response = empty(204);
    response.headers.push(Header::new("allow", allow));
    response
}

/// A response with one resource, its ETag (RFC 7644 §3.14) and its Location.
pub fn single(status: u16, version: &str, location: &str, resource: Object) -> Response {
    let mut response = json(status, &Value::Object(resource));
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
    /// The resources of the page.
    pub resources: &'p [Value],
}

/// A list response (RFC 7644 §3.4.2, RFC 9865 §2).
pub fn page(page: &Page<'_>) -> Response {
    let mut body = Object::new();
    body.insert("schemas".into(), json!([LIST]));
    if let Some(total) = page.total {
        body.insert("totalResults".into(), total.into());
    }
    if let Some(start_index) = page.start_index {
        body.insert("startIndex".into(), start_index.into());
    }
    body.insert("itemsPerPage".into(), page.resources.len().into());
    if let Some(cursor) = page.next_cursor {
        body.insert("nextCursor".into(), cursor.into());
    }
    body.insert("Resources".into(), page.resources.into());
    json(200, &Value::Object(body))
}

/// A list response with all there is.
pub fn all(resources: &[Value]) -> Response {
    page(&Page { total: Some(resources.len() as u64), start_index: Some(1), next_cursor: None, resources })
}

/// An error response (RFC 7644 §3.12), with the headers that its status calls for.
pub fn error(error: &ScimError) -> Response {
    let (status, scim_type) = error.kind.table();
    let mut body = Object::new();
    body.insert("schemas".into(), json!([ERROR]));
    body.insert("status".into(), status.to_string().into());
    if let Some(scim_type) = scim_type {
        body.insert("scimType".into(), scim_type.into());
    }
    body.insert("detail".into(), error.detail.as_str().into());
    let mut response = json(status, &Value::Object(body));
    match &error.kind {
        ErrorKind::Unauthorized => response.headers.push(Header::new("www-authenticate", "Bearer realm=\"SCIM\"")),
        ErrorKind::MethodNotAllowed { allow } => response.headers.push(Header::new("allow", *allow)),
        ErrorKind::RateLimited(seconds) => response.headers.push(Header::new("retry-after", seconds.to_string())),
        ErrorKind::Unavailable => {
            response.headers.push(Header::new("retry-after", limits::RETRY_AFTER_SECONDS.to_string()));
        }
        _ => {}
    }
    response
}

/// The URNs of the core schema and of the extensions that the resource has attributes of (RFC 7643 §3).
fn schemas(resource_type: &ResourceType, attributes: &Object) -> Value {
    let present = |id: &str| id == resource_type.schema.id || attributes.contains_key(id);
    let urns = resource_type.schemas().map(|s| s.id.as_ref()).filter(|id| present(id));
    urns.map(Value::from).collect::<Vec<_>>().into()
}

fn edge(registry: &Registry, base_url: &str, id: &str, resource_type: &str, display: &str, kind: &str) -> Value {
    let mut element = Object::new();
    element.insert("value".into(), id.into());
    if let Some(resource_type) = registry.by_name(resource_type) {
        element.insert("$ref".into(), location(resource_type, id, base_url).into());
    }
    if !display.is_empty() {
        element.insert("display".into(), display.into());
    }
    element.insert("type".into(), kind.into());
    Value::Object(element)
}

fn insert(object: &mut Object, resource_type: &ResourceType, source: Source, values: Vec<Value>) {
    if let Some(attribute) = resource_type.attribute_from(source) {
        object.insert(attribute.name.to_string(), Value::Array(values));
    }
}
