//! The only place that builds responses.

use serde_json::{Value, json};

use crate::datetime;
use crate::error::{ErrorKind, ScimError};
use crate::http::{Header, Response};
use crate::limits;
use crate::project::Projection;
use crate::resource::{Object, Resource};
use crate::schema::{Registry, ResourceType, Source};
use crate::store::edges::{Member, Membership};
use crate::store::repo::{Document, Loaded};

/// Of every response with a body (RFC 7644 §3.8); without a charset, which some clients trip over.
pub const MEDIA_TYPE: &str = "application/scim+json";

const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";
const BULK_RESPONSE: &str = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";
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
    object.insert("schemas".into(), schemas(resource_type, |urn| attributes.contains_key(urn)));
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
    text(status, body.to_string().into_bytes())
}

fn text(status: u16, body: Vec<u8>) -> Response {
    Response { status, headers: vec![Header::new("content-type", MEDIA_TYPE)], body, log: None }
}

/// A response without a body.
pub fn empty(status: u16) -> Response {
    Response { status, ..Response::default() }
}

/// The text of a resource out of its parts: what is made for each answer, the attributes as they are stored where they are
/// passed on so, and the members, a JSON object that has them or is empty.
pub fn assembled(
    resource_type: &ResourceType,
    mut shell: Object,
    document: Option<&Document>,
    members: &[u8],
) -> Vec<u8> {
    let mut tail = Object::new();
    let memberships = resource_type.attribute_from(Source::Memberships).map(|attribute| attribute.name.as_ref());
    for name in memberships.into_iter().chain(["meta"]) {
        if let Some(value) = shell.shift_remove(name) {
            tail.insert(name.to_owned(), value);
        }
    }
    let stored: &[u8] = match document {
        None => b"{}",
        Some(document) => {
            let has = |urn: &str| document.extensions.iter().any(|extension| extension == urn);
            shell.insert("schemas".to_owned(), schemas(resource_type, has));
            &document.attributes
        }
    };
    let (head, tail) = (Value::Object(shell).to_string(), Value::Object(tail).to_string());
    merged(&[head.as_bytes(), stored, members, tail.as_bytes()])
}

/// The JSON text of some members, separated by commas, as they stand between the brackets of an array.
pub fn members(
    registry: &Registry,
    name: &str,
    members: &[Member],
    projection: &Projection<'_>,
    base_url: &str,
) -> Option<String> {
    let element = |m: &Member| edge(registry, base_url, &m.id, &m.resource_type, &m.display, &m.resource_type);
    let elements: Value = members.iter().map(element).collect();
    let shown = projection.apply(Object::from_iter([(name.to_owned(), elements)])).shift_remove(name)?;
    let text = shown.to_string();
    text.get(1..text.len().saturating_sub(1)).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The text of the object that has the members of these.
fn merged(objects: &[&[u8]]) -> Vec<u8> {
    let mut text = Vec::with_capacity(objects.iter().map(|object| object.len()).sum());
    text.push(b'{');
    for object in objects {
        let members = object.get(1..object.len().saturating_sub(1)).unwrap_or_default();
        if text.len() > 1 && !members.is_empty() {
            text.push(b',');
        }
        text.extend_from_slice(members);
    }
    text.push(b'}');
    text
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
    let head = Value::Object(body).to_string();
    let mut resources =
        Vec::with_capacity(page.resources.iter().map(|resource| resource.len() + 1).sum::<usize>() + 16);
    resources.extend_from_slice(b"{\"Resources\":");
    for (i, resource) in page.resources.iter().enumerate() {
        resources.push(if i == 0 { b'[' } else { b',' });
        resources.extend_from_slice(resource);
    }
    resources.extend_from_slice(if page.resources.is_empty() { b"[]}" } else { b"]}" });
    text(200, merged(&[head.as_bytes(), &resources]))
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
fn schemas(resource_type: &ResourceType, has: impl Fn(&str) -> bool) -> Value {
    let present = |id: &str| id == resource_type.schema.id || has(id);
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
