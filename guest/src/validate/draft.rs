//! The body of a POST or PUT in canonical form (RFC 7644 §3.3, §3.5.1).

use std::collections::BTreeSet;

use serde_json::Value;
use serde_json::map::Entry;

use super::place::Place;
use super::value::{unknown, value_at};
use crate::compat::{Compat, Tolerance, urn};
use crate::error::{ErrorKind, Result, ScimError};
use crate::resource::Object;
use crate::schema::{self, Attribute, COMMON, Mutability, ResourceType, Schema, Source};

/// What a client wants a resource to be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Draft {
    /// As [`crate::resource::Resource::attributes`]; `password` too, where it was sent.
    pub attributes: Object,
    /// The ids that the attribute with [`Source::Members`] lists, each once; `None` where the body does not mention it.
    pub members: Option<Vec<String>>,
}

/// What a key of the body stands for.
enum Key<'s> {
    /// An attribute, of an extension or not, and a sub-attribute where the key goes that deep.
    Attribute(Option<&'s Schema>, &'s Attribute, Option<&'s Attribute>),
    /// The object with an extension's attributes.
    Extension(&'s Schema),
    /// The core schema's URN with an object of core attributes under it.
    Core,
    Unknown,
}

/// One attribute's value as sent, dotted keys put together.
struct Raw<'s> {
    extension: Option<&'s Schema>,
    attribute: &'s Attribute,
    value: Value,
    /// Made of keys such as `name.givenName`, so that more of them may follow.
    dotted: bool,
}

/// The canonical form of a POST or PUT body.
///
/// Read-only attributes are left out (RFC 7644 §3.3), and so is what the schema does not know, unless the profile is strict.
pub fn draft(ty: &ResourceType, body: Value, compat: &mut Compat) -> Result<Draft> {
    let Value::Object(body) = body else {
        return Err(ScimError::new(
            ErrorKind::InvalidSyntax,
            "the body must be a JSON object with the resource's attributes",
        ));
    };
    let mut raw = Vec::with_capacity(body.len());
    let mut schemas = None;
    for (key, value) in body {
        // `schemas` follows from what a resource holds, so its value is looked at and then let go.
        if key.eq_ignore_ascii_case("schemas") {
            schemas = Some(value);
            continue;
        }
        top_level(ty, &key, value, &mut raw, compat)?;
    }
    check_schemas(ty, schemas, compat)?;

    let mut draft = Draft::default();
    for Raw { extension, attribute, value, .. } in raw {
        if attribute.mutability == Mutability::ReadOnly {
            continue;
        }
        let place = match extension {
            Some(schema) => Place::Extension(&schema.id, &attribute.name),
            None => Place::Attribute(&attribute.name),
        };
        if attribute.source == Source::Members {
            draft.members = Some(member_ids(value, &attribute.name, compat)?);
            continue;
        }
        let Some(value) = value_at(attribute, value, place, compat)? else { continue };
        let object = match extension {
            None => &mut draft.attributes,
            Some(schema) => {
                let object = draft.attributes.entry(schema.id.as_ref()).or_insert_with(|| Value::Object(Object::new()));
                object.as_object_mut().expect("nothing but objects is put under a URN")
            }
        };
        object.insert(attribute.name.clone().into_owned(), value);
    }
    Ok(draft)
}

/// The ids in the value of an attribute with [`Source::Members`], each once, in the order sent. An element is an id or an
/// object with the id as `value`; what else it holds is the server's to know.
pub fn member_ids(value: Value, place: &str, compat: &mut Compat) -> Result<Vec<String>> {
    let elements = match value {
        Value::Null => return Ok(Vec::new()),
        Value::Array(elements) => elements,
        Value::String(text) if text.trim_start().starts_with('[') => {
            let embedded = super::parse_json(text.as_bytes()).map_err(|error| error.at(place))?;
            compat.accept(Tolerance::JsonInString, place)?;
            return member_ids(embedded, place, compat);
        }
        Value::String(text) if text.is_empty() => {
            compat.accept(Tolerance::EmptyString, place)?;
            return Ok(Vec::new());
        }
        element => {
            compat.accept(Tolerance::SingleForArray, place)?;
            vec![element]
        }
    };
    let mut ids = Vec::with_capacity(elements.len());
    for (index, element) in elements.into_iter().enumerate() {
        ids.push(member_id(element, Place::Value(&Place::Attribute(place), index), compat)?);
    }
    let mut seen = BTreeSet::new();
    let first: Vec<bool> = ids.iter().map(|id| seen.insert(id.as_str())).collect();
    let mut first = first.into_iter();
    ids.retain(|_| first.next().unwrap_or(true));
    Ok(ids)
}

fn member_id(element: Value, place: Place<'_>, compat: &mut Compat) -> Result<String> {
    let id = match element {
        Value::String(id) => {
            compat.accept(Tolerance::ComplexShape, &place.to_string())?;
            Value::String(id)
        }
        Value::Object(mut object) => {
            let key = object.keys().find(|key| key.eq_ignore_ascii_case("value")).cloned();
            key.and_then(|key| object.swap_remove(&key)).unwrap_or_default()
        }
        other => other,
    };
    match id {
        Value::String(id) if !id.is_empty() => Ok(id),
        _ => Err(ScimError::new(
            ErrorKind::InvalidValue,
            format!("{place}: a member needs the id of a resource as `value`: {{\"value\": \"<id>\"}}"),
        )),
    }
}

fn top_level<'s>(
    ty: &'s ResourceType,
    key: &str,
    value: Value,
    raw: &mut Vec<Raw<'s>>,
    compat: &mut Compat,
) -> Result<()> {
    match read_key(ty, key, compat)? {
        Key::Attribute(extension, attribute, sub) => put(extension, attribute, sub, value, raw),
        Key::Unknown => unknown(key, key, names(COMMON).chain(ty.schemas().flat_map(|s| names(&s.attributes))), compat),
        Key::Core => {
            compat.accept(Tolerance::DottedKey, key)?;
            for (name, value) in members_of(key, value, compat)? {
                match core(ty, &name) {
                    Some(attribute) => put(None, attribute, None, value, raw)?,
                    None => unknown(&format!("{key}:{name}"), &name, names(&ty.schema.attributes), compat)?,
                }
            }
            Ok(())
        }
        Key::Extension(schema) => {
            for (name, value) in members_of(key, value, compat)? {
                match attribute_and_sub(&name, |name| schema.attribute(name)) {
                    Some((attribute, sub)) => {
                        if sub.is_some() {
                            compat.accept(Tolerance::DottedKey, &format!("{}:{name}", schema.id))?;
                        }
                        put(Some(schema), attribute, sub, value, raw)?;
                    }
                    None => unknown(&format!("{}:{name}", schema.id), &name, names(&schema.attributes), compat)?,
                }
            }
            Ok(())
        }
    }
}

fn read_key<'s>(ty: &'s ResourceType, key: &str, compat: &mut Compat) -> Result<Key<'s>> {
    if let Some(attribute) = core(ty, key) {
        return Ok(Key::Attribute(None, attribute, None));
    }
    for schema in ty.schemas() {
        let Some(rest) = strip_urn(key, &schema.id) else { continue };
        let extension = (schema.id != ty.schema.id).then_some(schema);
        if rest.is_empty() {
            return Ok(extension.map_or(Key::Core, Key::Extension));
        }
        let Some(name) = rest.strip_prefix(':') else { continue };
        let found = match extension {
            Some(schema) => attribute_and_sub(name, |name| schema.attribute(name)),
            None => attribute_and_sub(name, |name| core(ty, name)),
        };
        let Some((attribute, sub)) = found else { return Ok(Key::Unknown) };
        compat.accept(Tolerance::DottedKey, key)?;
        return Ok(Key::Attribute(extension, attribute, sub));
    }
    if let Some((successors, name)) = urn::split_legacy(key) {
        let Some(schema) = ty.schemas().find(|schema| successors.contains(&schema.id.as_ref())) else {
            return Ok(Key::Unknown);
        };
        compat.accept(Tolerance::LegacyUrn, key)?;
        let current = name.map_or_else(|| schema.id.to_string(), |name| format!("{}:{name}", schema.id));
        return read_key(ty, &current, compat);
    }
    if let Some((attribute, sub)) = attribute_and_sub(key, |name| core(ty, name)) {
        compat.accept(Tolerance::DottedKey, key)?;
        return Ok(Key::Attribute(None, attribute, sub));
    }
    let mut found = ty.extensions.iter().filter_map(|extension| {
        let (attribute, sub) = attribute_and_sub(key, |name| extension.schema.attribute(name))?;
        Some((&extension.schema, attribute, sub))
    });
    match (found.next(), found.next()) {
        (Some((schema, attribute, sub)), None) => {
            compat.accept(Tolerance::ExtensionAtTop, key)?;
            Ok(Key::Attribute(Some(schema), attribute, sub))
        }
        _ => Ok(Key::Unknown),
    }
}

fn core<'s>(ty: &'s ResourceType, name: &str) -> Option<&'s Attribute> {
    schema::common(name).or_else(|| ty.schema.attribute(name))
}

fn names(attributes: &[Attribute]) -> impl Iterator<Item = &str> {
    attributes.iter().map(|attribute| attribute.name.as_ref())
}

/// `name` or `name.sub`, where both exist.
fn attribute_and_sub<'s>(
    key: &str,
    attribute: impl Fn(&str) -> Option<&'s Attribute>,
) -> Option<(&'s Attribute, Option<&'s Attribute>)> {
    if let Some(attribute) = attribute(key) {
        return Some((attribute, None));
    }
    let (name, sub) = key.split_once('.')?;
    let attribute = attribute(name)?;
    Some((attribute, Some(attribute.sub_attribute(sub)?)))
}

/// What follows the URN at the start of `key`.
fn strip_urn<'k>(key: &'k str, urn: &str) -> Option<&'k str> {
    let (head, rest) = key.split_at_checked(urn.len())?;
    head.eq_ignore_ascii_case(urn).then_some(rest)
}

/// The attributes under a schema's URN.
fn members_of(key: &str, value: Value, compat: &mut Compat) -> Result<Object> {
    match value {
        Value::Object(object) => Ok(object),
        Value::Null => Ok(Object::new()),
        Value::String(text) if text.is_empty() => {
            compat.accept(Tolerance::EmptyString, key)?;
            Ok(Object::new())
        }
        Value::String(text) if text.trim_start().starts_with('{') => {
            let embedded = super::parse_json(text.as_bytes()).map_err(|error| error.at(key))?;
            compat.accept(Tolerance::JsonInString, key)?;
            members_of(key, embedded, compat)
        }
        _ => Err(ScimError::new(
            ErrorKind::InvalidValue,
            format!("{key}: expected an object with the attributes of that schema"),
        )),
    }
}

fn put<'s>(
    extension: Option<&'s Schema>,
    attribute: &'s Attribute,
    sub: Option<&'s Attribute>,
    value: Value,
    raw: &mut Vec<Raw<'s>>,
) -> Result<()> {
    let earlier = raw.iter_mut().find(|r| std::ptr::eq(r.attribute, attribute));
    match (earlier, sub) {
        (None, None) => raw.push(Raw { extension, attribute, value, dotted: false }),
        (None, Some(sub)) => {
            let object = Object::from_iter([(sub.name.clone().into_owned(), value)]);
            raw.push(Raw { extension, attribute, value: Value::Object(object), dotted: true });
        }
        (Some(earlier), Some(sub)) if !given(&earlier.value, sub) => match &mut earlier.value {
            Value::Object(object) => _ = object.insert(sub.name.clone().into_owned(), value),
            _ => return Err(twice(&format!("{}.{}", attribute.name, sub.name))),
        },
        (Some(earlier), None) if earlier.dotted => {
            // `{"name.givenName": …, "name": {…}}`: the object joins what the dotted keys have given.
            let (Value::Object(collected), Value::Object(object)) = (&mut earlier.value, value) else {
                return Err(twice(&attribute.name));
            };
            for (key, value) in object {
                match collected.entry(key) {
                    Entry::Occupied(entry) => return Err(twice(&format!("{}.{}", attribute.name, entry.key()))),
                    Entry::Vacant(entry) => _ = entry.insert(value),
                }
            }
            earlier.dotted = false;
        }
        (Some(_), Some(sub)) => return Err(twice(&format!("{}.{}", attribute.name, sub.name))),
        (Some(_), None) => return Err(twice(&attribute.name)),
    }
    Ok(())
}

fn given(value: &Value, sub: &Attribute) -> bool {
    value.as_object().is_some_and(|object| object.keys().any(|key| key.eq_ignore_ascii_case(&sub.name)))
}

fn twice(name: &str) -> ScimError {
    ScimError::new(ErrorKind::InvalidSyntax, format!("{name} is given twice; send it once"))
}

/// `schemas` must name the resource type's schemas (RFC 7643 §3); older and missing URNs are passed over.
fn check_schemas(ty: &ResourceType, schemas: Option<Value>, compat: &mut Compat) -> Result<()> {
    let urns = match schemas {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(urns)) => urns,
        Some(urn @ Value::String(_)) => {
            compat.accept(Tolerance::SingleForArray, "schemas")?;
            vec![urn]
        }
        Some(_) => return Err(not_urns()),
    };
    let mut core = false;
    for (index, urn) in urns.iter().enumerate() {
        let Value::String(urn) = urn else { return Err(not_urns()) };
        let place = format!("schemas[{index}]");
        match urn::schema(ty, urn, &place, compat)? {
            Some(schema) => core |= schema.id == ty.schema.id,
            None => compat.accept(Tolerance::Unknown, &place)?,
        }
    }
    if core { Ok(()) } else { compat.accept(Tolerance::MissingSchemas, "schemas") }
}

fn not_urns() -> ScimError {
    ScimError::new(ErrorKind::InvalidValue, "schemas: expected an array of schema URNs in strings")
}

#[cfg(test)]
mod tests;
