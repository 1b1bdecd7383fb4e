//! The documents of the discovery endpoints (RFC 7644 §4, RFC 7643 §5 to §7).

use serde_json::{Value, json};

use super::{Attribute, Mutability, Registry, ResourceType, Returned, Schema, Type, Uniqueness};
use crate::limits::{BULK_BYTES, BULK_OPERATIONS, CURSOR_SECONDS, DEFAULT_PAGE, MAX_PAGE};
use crate::resource::Object;

/// The features that ServiceProviderConfig advertises (RFC 7643 §5). What is here must be what the server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a feature of its own, advertised as true or false")]
pub struct Features {
    /// PATCH (RFC 7644 §3.5.2).
    pub patch: bool,
    /// Bulk requests (RFC 7644 §3.7); `None` where they are not offered.
    pub bulk: Option<Bulk>,
    /// `filter` (RFC 7644 §3.4.2.2).
    pub filter: bool,
    /// Whether a password can be set.
    pub change_password: bool,
    /// `sortBy` and `sortOrder` (RFC 7644 §3.4.2.3).
    pub sort: bool,
    /// Versions and preconditions (RFC 7644 §3.14).
    pub etag: bool,
    /// Cursor-based pagination (RFC 9865); `None` where it is not offered.
    pub cursor: Option<Cursor>,
    /// Resources in a page where the client names no `count`.
    pub default_page_size: usize,
    /// Most resources in a page.
    pub max_page_size: usize,
}

/// The bounds of a bulk request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bulk {
    /// Most operations in one request.
    pub max_operations: usize,
    /// Most bytes of one request.
    pub max_payload_size: usize,
}

/// What is promised of a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Seconds for which a cursor stays valid between two pages; `None` where it does not expire.
    pub timeout: Option<u32>,
}

/// What this server offers.
pub const FEATURES: Features = Features {
    patch: true,
    bulk: Some(Bulk { max_operations: BULK_OPERATIONS, max_payload_size: BULK_BYTES }),
    filter: true,
    change_password: false,
    sort: true,
    etag: true,
    cursor: Some(Cursor { timeout: Some(CURSOR_SECONDS) }),
    default_page_size: DEFAULT_PAGE,
    max_page_size: MAX_PAGE,
};

/// The URN of ServiceProviderConfig documents.
pub const SERVICE_PROVIDER_CONFIG_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig";
/// The URN of ResourceType documents.
pub const RESOURCE_TYPE_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:ResourceType";
/// The URN of Schema documents.
pub const SCHEMA_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:Schema";

/// `GET /ServiceProviderConfig` for a stranger: how to authenticate, which is the same for every tenant, and nothing else.
pub fn public_service_provider_config(base: &str) -> Value {
    json!({
        "schemas": [SERVICE_PROVIDER_CONFIG_URN],
        "authenticationSchemes": authentication_schemes(),
        "meta": meta("ServiceProviderConfig", &format!("{base}/ServiceProviderConfig")),
    })
}

fn authentication_schemes() -> Value {
    json!([{
        "type": "oauthbearertoken",
        "name": "OAuth Bearer Token",
        "description": "A bearer token in the Authorization header, issued by the operator of this service",
        "specUri": "https://www.rfc-editor.org/info/rfc6750",
        "documentationUri": env!("CARGO_PKG_REPOSITORY"),
        "primary": true,
    }])
}

/// `GET /ServiceProviderConfig` of a server with these features; `base` is the public base URL without a trailing slash.
pub fn service_provider_config(features: &Features, base: &str) -> Value {
    let bulk = features.bulk.unwrap_or(Bulk { max_operations: 0, max_payload_size: 0 });
    let mut config = json!({
        "schemas": [SERVICE_PROVIDER_CONFIG_URN],
        "documentationUri": env!("CARGO_PKG_REPOSITORY"),
        "patch": {"supported": features.patch},
        "bulk": {
            "supported": features.bulk.is_some(),
            "maxOperations": bulk.max_operations,
            "maxPayloadSize": bulk.max_payload_size,
        },
        "filter": {"supported": features.filter, "maxResults": features.max_page_size},
        "changePassword": {"supported": features.change_password},
        "sort": {"supported": features.sort},
        "etag": {"supported": features.etag},
        "authenticationSchemes": authentication_schemes(),
    });
    // RFC 9865 §4: index-based pages stay the default, since clients that name no method expect them.
    if let Some(cursor) = features.cursor {
        config["pagination"] = json!({
            "cursor": true,
            "index": true,
            "defaultPaginationMethod": "index",
            "defaultPageSize": features.default_page_size,
            "maxPageSize": features.max_page_size,
        });
        if let Some(seconds) = cursor.timeout {
            config["pagination"]["cursorTimeout"] = json!(seconds);
        }
    }
    config["meta"] = meta("ServiceProviderConfig", &format!("{base}/ServiceProviderConfig"));
    config
}

/// The elements of `GET /ResourceTypes`.
pub fn resource_types(registry: &Registry, base: &str) -> Vec<Value> {
    registry.resource_types.iter().map(|ty| resource_type(ty, base)).collect()
}

/// `GET /ResourceTypes/{name}` (RFC 7643 §6).
pub fn resource_type(ty: &ResourceType, base: &str) -> Value {
    let extensions = ty.extensions.iter();
    let extensions = extensions.map(|e| json!({"schema": e.schema.id, "required": e.required})).collect::<Vec<_>>();
    json!({
        "schemas": [RESOURCE_TYPE_URN],
        "id": ty.name,
        "name": ty.name,
        "description": ty.description,
        "endpoint": ty.endpoint,
        "schema": ty.schema.id,
        "schemaExtensions": extensions,
        "meta": meta("ResourceType", &format!("{base}/ResourceTypes/{}", ty.name)),
    })
}

/// The elements of `GET /Schemas`: each schema of the resource types once.
pub fn schemas(registry: &Registry, base: &str) -> Vec<Value> {
    let mut seen: Vec<&Schema> = Vec::new();
    for schema in registry.resource_types.iter().flat_map(ResourceType::schemas) {
        if !seen.iter().any(|other| other.id == schema.id) {
            seen.push(schema);
        }
    }
    seen.into_iter().map(|it| schema(it, base)).collect()
}

/// `GET /Schemas/{urn}` (RFC 7643 §7).
pub fn schema(schema: &Schema, base: &str) -> Value {
    json!({
        "schemas": [SCHEMA_URN],
        "id": schema.id,
        "name": schema.name,
        "description": schema.description,
        "attributes": schema.attributes.iter().map(attribute).collect::<Vec<_>>(),
        "meta": meta("Schema", &format!("{base}/Schemas/{}", schema.id)),
    })
}

/// All characteristics, the defaults of RFC 7643 §2.2 among them: some clients read what is left out as false or fail.
fn attribute(attribute: &Attribute) -> Value {
    let mut document = json!({
        "name": attribute.name,
        "type": type_name(attribute.kind),
        "multiValued": attribute.multi_valued,
        "description": attribute.description,
        "required": attribute.required,
    });
    if !attribute.canonical_values.is_empty() {
        document["canonicalValues"] = json!(attribute.canonical_values);
    }
    document["caseExact"] = json!(attribute.case_exact);
    document["mutability"] = json!(mutability_name(attribute.mutability));
    document["returned"] = json!(returned_name(attribute.returned));
    document["uniqueness"] = json!(uniqueness_name(attribute.uniqueness));
    if !attribute.reference_types.is_empty() {
        document["referenceTypes"] = json!(attribute.reference_types);
    }
    if !attribute.sub_attributes.is_empty() {
        document["subAttributes"] = attribute.sub_attributes.iter().map(self::attribute).collect();
    }
    document
}

fn type_name(kind: Type) -> &'static str {
    match kind {
        Type::String => "string",
        Type::Boolean => "boolean",
        Type::Decimal => "decimal",
        Type::Integer => "integer",
        Type::DateTime => "dateTime",
        Type::Binary => "binary",
        Type::Reference => "reference",
        Type::Complex => "complex",
    }
}

fn mutability_name(mutability: Mutability) -> &'static str {
    match mutability {
        Mutability::ReadOnly => "readOnly",
        Mutability::ReadWrite => "readWrite",
        Mutability::Immutable => "immutable",
        Mutability::WriteOnly => "writeOnly",
    }
}

fn returned_name(returned: Returned) -> &'static str {
    match returned {
        Returned::Always => "always",
        Returned::Never => "never",
        Returned::Default => "default",
        Returned::Request => "request",
    }
}

fn uniqueness_name(uniqueness: Uniqueness) -> &'static str {
    match uniqueness {
        Uniqueness::None => "none",
        Uniqueness::Server => "server",
        Uniqueness::Global => "global",
    }
}

fn meta(resource_type: &str, location: &str) -> Value {
    Value::Object(Object::from_iter([
        ("resourceType".to_owned(), Value::from(resource_type)),
        ("location".to_owned(), Value::from(location)),
    ]))
}
