//! Schema and ResourceType documents (RFC 7643 §6, §7), as administrators write them, to the model: checked so that
//! everything that later reads the model can rely on it.
//!
//! They are what `/Schemas` and `/ResourceTypes` show, and `indexed` beside the RFC's characteristics.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    Attribute, COMMON, Definitions, ENTERPRISE_USER, ExtensionDefinition, GROUP, List, Mutability, REGISTRY, Returned,
    Schema, Text, Type, TypeDefinition, USER, Uniqueness, fold_case,
};
use crate::error::{ErrorKind, Result, ScimError, excerpt};
use crate::limits::{DEFINED_ATTRIBUTES, DEFINED_NAME_BYTES, DEFINED_TEXT_BYTES, DEFINED_URN_BYTES};
use crate::resource::Object;
use crate::suggest::did_you_mean;

const SCHEMA_KEYS: [&str; 6] = ["schemas", "id", "name", "description", "attributes", "meta"];
const ATTRIBUTE_KEYS: [&str; 13] = [
    "name",
    "type",
    "multiValued",
    "description",
    "required",
    "canonicalValues",
    "caseExact",
    "mutability",
    "returned",
    "uniqueness",
    "referenceTypes",
    "subAttributes",
    "indexed",
];
const TYPE_KEYS: [&str; 8] = ["schemas", "id", "name", "description", "endpoint", "schema", "schemaExtensions", "meta"];
const EXTENSION_KEYS: [&str; 2] = ["schema", "required"];

/// Names that stand for something else where resource types stand: discovery's own, and the log's.
const RESERVED_TYPES: [&str; 5] = ["Schema", "ResourceType", "ServiceProviderConfig", "Settings", "Resource"];
/// What the server serves beside resources, below the base URL.
const RESERVED_ENDPOINTS: [&str; 11] = [
    "ServiceProviderConfig",
    "ServiceProviderConfigs",
    "ResourceType",
    "ResourceTypes",
    "Schema",
    "Schemas",
    "Bulk",
    "Me",
    "Self",
    ".search",
    "admin",
];

/// A schema from its document, for the URN under which it is put.
pub fn schema(urn: &str, document: &Value) -> Result<Schema> {
    let document = object(document, "the schema")?;
    known_keys(document, "", &SCHEMA_KEYS)?;
    check_urn(urn)?;
    match document.get("id") {
        None => {}
        Some(Value::String(id)) if id.eq_ignore_ascii_case(urn) => {}
        Some(other) => {
            return Err(invalid(format!(
                "id: {} is not the URN in the URL, `{urn}`; they must be the same",
                excerpt(other)
            )));
        }
    }
    let attributes = match document.get("attributes") {
        Some(Value::Array(attributes)) if !attributes.is_empty() => attributes,
        _ => return Err(invalid("attributes: expected an array of one attribute or more".to_owned())),
    };
    let name = text(document, "", "name")?.unwrap_or_else(|| urn.rsplit(':').next().unwrap_or(urn).to_owned().into());
    let schema = Schema {
        id: urn.to_owned().into(),
        name,
        description: text(document, "", "description")?.unwrap_or_default(),
        attributes: self::attributes(attributes, "attributes", None)?,
    };
    let count = schema.attributes.iter().map(|a| 1 + a.sub_attributes.len()).sum::<usize>();
    if count > DEFINED_ATTRIBUTES {
        return Err(invalid(format!(
            "attributes: {count} with their sub-attributes, and the most is {DEFINED_ATTRIBUTES}; make several schemas"
        )));
    }
    Ok(schema)
}

/// A resource type from its document, for the name under which it is put; `defined` is what the tenant has so far.
pub fn resource_type(name: &str, document: &Value, defined: &Definitions) -> Result<TypeDefinition> {
    let document = object(document, "the resource type")?;
    known_keys(document, "", &TYPE_KEYS)?;
    for key in ["id", "name"] {
        match document.get(key) {
            Some(Value::String(given)) if given != name => {
                return Err(invalid(format!("{key}: \"{}\" is not the name in the URL, `{name}`", excerpt(given))));
            }
            None | Some(Value::String(_)) => {}
            Some(_) => return Err(invalid(format!("{key}: expected a string"))),
        }
    }
    let extensions = extensions(document)?;
    if let Some(built_in) = REGISTRY.resource_types.iter().find(|t| t.name.eq_ignore_ascii_case(name)) {
        if built_in.name != name {
            return Err(invalid(format!("`{name}` and the built-in `{}` differ in case only", built_in.name)));
        }
        return on_built_in(built_in, document, extensions);
    }
    check_name(name, "the name in the URL")?;
    if let Some(reserved) = RESERVED_TYPES.iter().find(|reserved| reserved.eq_ignore_ascii_case(name)) {
        return Err(invalid(format!("`{reserved}` has a meaning of its own in SCIM; choose another name")));
    }
    if let Some(other) = defined.resource_type(name).filter(|other| other.name != name) {
        return Err(invalid(format!("`{name}` and the resource type `{}` differ in case only", other.name)));
    }
    let endpoint = endpoint(name, document, defined)?;
    let schema = required_text(document, "schema")?;
    if ENTERPRISE_USER.id.eq_ignore_ascii_case(&schema) {
        return Err(invalid(format!("schema: `{schema}` is an extension; name a schema of your own")));
    }
    Ok(TypeDefinition {
        name: name.to_owned().into(),
        endpoint,
        description: text(document, "", "description")?.unwrap_or_default(),
        schema,
        schema_extensions: extensions,
    })
}

/// What may be said of a built-in resource type: more extensions.
fn on_built_in(
    built_in: &super::ResourceType,
    document: &Object,
    mut extensions: Vec<ExtensionDefinition>,
) -> Result<TypeDefinition> {
    let fixed = [("endpoint", &built_in.endpoint), ("schema", &built_in.schema.id)];
    for (key, fixed) in fixed {
        if text(document, "", key)?.is_some_and(|given| given != *fixed) {
            return Err(mutability(format!(
                "{key}: {} is built in, and its {key} stays `{fixed}`; only schemaExtensions may be added",
                built_in.name
            )));
        }
    }
    for known in built_in.extensions.iter() {
        let at = extensions.iter().position(|e| e.schema.eq_ignore_ascii_case(&known.schema.id));
        match at.map(|at| extensions.remove(at)) {
            Some(extension) if extension.required == known.required => {}
            Some(_) => {
                return Err(mutability(format!(
                    "schemaExtensions: `{}` is built in, and its `required` stays {}",
                    known.schema.id, known.required
                )));
            }
            None => {
                return Err(mutability(format!(
                    "schemaExtensions: `{}` is built into {} and can't be taken off; list it too",
                    known.schema.id, built_in.name
                )));
            }
        }
    }
    Ok(TypeDefinition {
        name: built_in.name.clone(),
        endpoint: built_in.endpoint.clone(),
        description: built_in.description.clone(),
        schema: built_in.schema.id.clone(),
        schema_extensions: extensions,
    })
}

fn endpoint(name: &str, document: &Object, defined: &Definitions) -> Result<Text> {
    let endpoint = required_text(document, "endpoint")?;
    let segment = endpoint.strip_prefix('/').unwrap_or(&endpoint);
    check_name(segment, "endpoint")?;
    let taken = RESERVED_ENDPOINTS.iter().find(|reserved| reserved.eq_ignore_ascii_case(segment)).is_some();
    let built_in = REGISTRY.by_endpoint(segment).is_some();
    let others = defined.resource_types.iter().filter(|other| other.name != name);
    let other = others.map(|other| other.endpoint.trim_start_matches('/')).any(|e| e.eq_ignore_ascii_case(segment));
    match taken || built_in || other {
        true => Err(invalid(format!("endpoint: /{segment} is taken already; choose another path"))),
        false => Ok(format!("/{segment}").into()),
    }
}

fn extensions(document: &Object) -> Result<Vec<ExtensionDefinition>> {
    let listed = match document.get("schemaExtensions") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(listed)) => listed,
        Some(_) => return Err(invalid("schemaExtensions: expected an array of objects".to_owned())),
    };
    let mut extensions: Vec<ExtensionDefinition> = Vec::with_capacity(listed.len());
    for (i, extension) in listed.iter().enumerate() {
        let place = format!("schemaExtensions[{i}]");
        let extension = object(extension, &place)?;
        known_keys(extension, &format!("{place}."), &EXTENSION_KEYS)?;
        let schema = required_text(extension, "schema").map_err(|error| error.at(&place))?;
        let required = boolean(extension, &format!("{place}."), "required")?;
        if extensions.iter().any(|other| other.schema.eq_ignore_ascii_case(&schema)) {
            return Err(invalid(format!("{place}.schema: `{schema}` is listed twice; list it once")));
        }
        extensions.push(ExtensionDefinition { schema, required });
    }
    Ok(extensions)
}

/// Attributes, or with `parent` its sub-attributes.
fn attributes(listed: &[Value], place: &str, parent: Option<&str>) -> Result<List<Attribute>> {
    let mut attributes: Vec<Attribute> = Vec::with_capacity(listed.len());
    for (i, document) in listed.iter().enumerate() {
        let place = format!("{place}[{i}]");
        let attribute = attribute(document, &place, parent)?;
        // Names compare without case (RFC 7643 §2.1).
        let same = |other: &Attribute| fold_case(&other.name) == fold_case(&attribute.name);
        if let Some(first) = attributes.iter().position(same) {
            return Err(invalid(format!(
                "{place}.name: `{}` is defined twice, here and at [{first}] of the same list; names compare without case",
                attribute.name
            )));
        }
        attributes.push(attribute);
    }
    Ok(Cow::Owned(attributes))
}

fn attribute(document: &Value, place: &str, parent: Option<&str>) -> Result<Attribute> {
    let document = object(document, place)?;
    let at = format!("{place}.");
    known_keys(document, &at, &ATTRIBUTE_KEYS)?;
    let name = required_text(document, "name").map_err(|error| error.at(place))?;
    if name != "$ref" || parent.is_none() {
        check_name(&name, &format!("{place}.name"))?;
    }
    if parent.is_none() && COMMON.iter().any(|common| common.name.eq_ignore_ascii_case(&name)) {
        return Err(invalid(format!(
            "{place}.name: every resource has `{name}` already (RFC 7643 §3.1); choose another name"
        )));
    }
    let kind: Type = choice(document, &at, "type")?;
    let exact = matches!(kind, Type::Reference | Type::Binary);
    let attribute = Attribute {
        kind,
        multi_valued: boolean(document, &at, "multiValued")?,
        description: text(document, &at, "description")?.unwrap_or_default(),
        required: boolean(document, &at, "required")?,
        canonical_values: texts(document, &at, "canonicalValues")?,
        // References and binaries are caseExact whatever is said (RFC 7643 §2.3.6, §2.3.7).
        case_exact: exact || boolean(document, &at, "caseExact")?,
        mutability: choice(document, &at, "mutability")?,
        returned: choice(document, &at, "returned")?,
        uniqueness: choice(document, &at, "uniqueness")?,
        reference_types: texts(document, &at, "referenceTypes")?,
        sub_attributes: match document.get("subAttributes") {
            None | Some(Value::Null) => Cow::Borrowed(&[]),
            Some(Value::Array(listed)) if parent.is_none() => {
                attributes(listed, &format!("{place}.subAttributes"), Some(&name))?
            }
            Some(Value::Array(listed)) if listed.is_empty() => Cow::Borrowed(&[]),
            Some(Value::Array(_)) => return Err(nested(place)),
            Some(_) => return Err(invalid(format!("{place}.subAttributes: expected an array of attributes"))),
        },
        indexed: boolean(document, &at, "indexed")?,
        name,
        ..Attribute::default()
    };
    consistent(&attribute, place, parent)?;
    Ok(attribute)
}

/// Whether the characteristics of an attribute go together (RFC 7643 §2.2, §2.3.8, §7).
fn consistent(attribute: &Attribute, place: &str, parent: Option<&str>) -> Result<()> {
    let complex = attribute.kind == Type::Complex;
    let wrong = |key: &str, why: &str| Err(invalid(format!("{place}.{key}: {why}")));
    if complex && parent.is_some() {
        return Err(nested(place));
    }
    if complex && attribute.sub_attributes.is_empty() {
        return wrong("subAttributes", "a complex attribute needs sub-attributes; list them");
    }
    if !complex && !attribute.sub_attributes.is_empty() {
        return wrong("subAttributes", "only a complex attribute has sub-attributes; set type to \"complex\"");
    }
    if attribute.kind != Type::Reference && !attribute.reference_types.is_empty() {
        return wrong("referenceTypes", "only a reference has them; set type to \"reference\", or leave them out");
    }
    let secret = attribute.mutability == Mutability::WriteOnly;
    if secret && attribute.returned != Returned::Never {
        return wrong("returned", "what is writeOnly is never returned; set returned to \"never\"");
    }
    if secret && parent.is_some() {
        return wrong(
            "mutability",
            "a writeOnly value is kept out of documents as a whole; set it on the attribute itself",
        );
    }
    if secret && attribute.required {
        return wrong("required", "a writeOnly value is not kept, so it can't be required; set one of both otherwise");
    }
    if attribute.uniqueness != Uniqueness::None {
        if complex {
            return wrong(
                "uniqueness",
                "values of a complex attribute are told apart by a sub-attribute; set it there",
            );
        }
        if !matches!(attribute.kind, Type::String | Type::Reference | Type::Integer) {
            return wrong("uniqueness", "only strings, references and integers can be unique; set it to \"none\"");
        }
        if matches!(attribute.mutability, Mutability::ReadOnly | Mutability::WriteOnly) {
            return wrong(
                "uniqueness",
                "the server keeps no values of what is readOnly or writeOnly; set it to \"none\"",
            );
        }
    }
    if attribute.indexed {
        if matches!(attribute.kind, Type::Complex | Type::Binary) {
            return wrong("indexed", "complex and binary values have no order; index a sub-attribute instead, or none");
        }
        if secret || attribute.returned == Returned::Never {
            return wrong("indexed", "what is never returned can't be searched either; leave it out");
        }
    }
    Ok(())
}

fn nested(place: &str) -> ScimError {
    invalid(format!("{place}: a sub-attribute can't be complex (RFC 7643 §2.3.8); make it an attribute, or flatten it"))
}

/// ATTRNAME of RFC 7643 §2.1: a letter, and then letters, digits, `$`, `-` and `_`.
fn check_name(name: &str, place: &str) -> Result<()> {
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_alphabetic());
    if !first || !bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'$' | b'-' | b'_')) {
        return Err(invalid(format!(
            "{place}: `{}` is no SCIM name; it begins with a letter and goes on with letters, digits, $, - or _",
            excerpt(name)
        )));
    }
    if name.len() > DEFINED_NAME_BYTES {
        return Err(invalid(format!("{place}: a name has at most {DEFINED_NAME_BYTES} letters; shorten it")));
    }
    Ok(())
}

/// A URN of RFC 8141 §2 that is the tenant's to define. Schema URIs are URNs (RFC 7643 §3). Without `/` and `%`, which
/// would mean something else in the URL of its discovery document.
fn check_urn(urn: &str) -> Result<()> {
    let mut parts = urn.splitn(3, ':');
    let scheme = parts.next().is_some_and(|scheme| scheme.eq_ignore_ascii_case("urn"));
    let space = parts.next().is_some_and(|nid| {
        (2..=32).contains(&nid.len())
            && nid.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !nid.starts_with('-')
            && !nid.ends_with('-')
    });
    let rest = parts.next().is_some_and(|nss| {
        let listed = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&b);
        !nss.is_empty() && !nss.ends_with(':') && nss.bytes().all(listed)
    });
    if !(scheme && space && rest) {
        return Err(invalid(format!(
            "`{}` is no URN; write one such as urn:example:params:scim:schemas:extension:Badge",
            excerpt(urn)
        )));
    }
    if urn.len() > DEFINED_URN_BYTES {
        return Err(invalid(format!("the URN is longer than {DEFINED_URN_BYTES} bytes; shorten it")));
    }
    let lower = urn.to_ascii_lowercase();
    let built_in = [&USER.id, &GROUP.id, &ENTERPRISE_USER.id].into_iter().any(|id| id.eq_ignore_ascii_case(urn));
    let protocol = ["urn:ietf:params:scim:schemas:core:", "urn:ietf:params:scim:api:"];
    if built_in || protocol.iter().any(|head| lower.starts_with(head)) {
        return Err(mutability(format!("`{urn}` is built in or reserved by SCIM itself; define a URN of your own")));
    }
    Ok(())
}

fn object<'v>(value: &'v Value, place: &str) -> Result<&'v Object> {
    value.as_object().ok_or_else(|| {
        ScimError::new(ErrorKind::InvalidSyntax, format!("{place}: expected a JSON object, as GET /Schemas shows them"))
    })
}

fn known_keys(object: &Object, place: &str, known: &[&str]) -> Result<()> {
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(invalid(format!(
            "{place}{}: there is no such key{}",
            excerpt(key),
            did_you_mean(key, known.iter().copied())
        ))),
    }
}

fn text(object: &Object, place: &str, key: &str) -> Result<Option<Text>> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.len() > DEFINED_TEXT_BYTES => {
            Err(invalid(format!("{place}{key}: at most {DEFINED_TEXT_BYTES} bytes are kept; shorten it")))
        }
        Some(Value::String(text)) => Ok(Some(text.clone().into())),
        Some(other) => Err(invalid(format!("{place}{key}: expected a string, found {}", excerpt(other)))),
    }
}

fn required_text(object: &Object, key: &str) -> Result<Text> {
    match text(object, "", key)? {
        Some(text) if !text.is_empty() => Ok(text),
        _ => Err(invalid(format!("{key}: it must be given"))),
    }
}

fn boolean(object: &Object, place: &str, key: &str) -> Result<bool> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(value)) => Ok(*value),
        Some(other) => Err(invalid(format!("{place}{key}: expected true or false, found {}", excerpt(other)))),
    }
}

fn texts(object: &Object, place: &str, key: &str) -> Result<List<Text>> {
    let wrong = || invalid(format!("{place}{key}: expected an array of strings"));
    let listed = match object.get(key) {
        None | Some(Value::Null) => return Ok(Cow::Borrowed(&[])),
        Some(Value::Array(listed)) => listed,
        Some(_) => return Err(wrong()),
    };
    let texts: Option<Vec<Text>> = listed.iter().map(|value| Some(value.as_str()?.to_owned().into())).collect();
    let texts = texts.ok_or_else(wrong)?;
    match texts.iter().any(|text| text.len() > DEFINED_TEXT_BYTES) {
        true => Err(invalid(format!("{place}{key}: at most {DEFINED_TEXT_BYTES} bytes are kept of one; shorten it"))),
        false => Ok(Cow::Owned(texts)),
    }
}

/// One of the words that the RFC has for a characteristic, or its default (RFC 7643 §2.2).
fn choice<T: DeserializeOwned + Default>(object: &Object, place: &str, key: &str) -> Result<T> {
    let words: &[&str] = match key {
        "type" => &["string", "boolean", "decimal", "integer", "dateTime", "binary", "reference", "complex"],
        "mutability" => &["readOnly", "readWrite", "immutable", "writeOnly"],
        "returned" => &["always", "never", "default", "request"],
        _ => &["none", "server", "global"],
    };
    let word = match object.get(key) {
        None | Some(Value::Null) => return Ok(T::default()),
        Some(word) => word,
    };
    serde_json::from_value(word.clone()).map_err(|_| {
        let meant = did_you_mean(word.as_str().unwrap_or_default(), words.iter().copied());
        invalid(format!("{place}{key}: found {}, expected one of {}{meant}", excerpt(word), words.join(", ")))
    })
}

fn invalid(detail: String) -> ScimError {
    ScimError::new(ErrorKind::InvalidValue, detail)
}

fn mutability(detail: String) -> ScimError {
    ScimError::new(ErrorKind::Mutability, detail)
}
