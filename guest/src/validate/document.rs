//! Rules on a whole document, whichever request made it.

use std::io;

use serde_json::Value;

use crate::error::{ErrorKind, Result, ScimError};
use crate::limits::{DOCUMENT_BYTES, UNIQUE_VALUE_BYTES};
use crate::resource::Object;
use crate::schema::{Attribute, Mutability, ResourceType, Schema, Source, Type, Uniqueness, fold_case};

/// Whether `document` (a resource's attributes, in canonical form) is one that may be stored.
pub fn document(ty: &ResourceType, document: &Object) -> Result<()> {
    attributes(&ty.schema, document, "")?;
    for extension in ty.extensions.iter() {
        let id = &extension.schema.id;
        match document.get(id.as_ref()).and_then(Value::as_object) {
            Some(object) => attributes(&extension.schema, object, &format!("{id}:"))?,
            None if extension.required => {
                return Err(invalid(format!("{id}: this extension is required; send an object under its URN")));
            }
            None => {}
        }
    }
    let size = serialized_size(document);
    if size > DOCUMENT_BYTES {
        return Err(ScimError::new(
            ErrorKind::PayloadTooLarge,
            format!(
                "the resource takes {size} bytes, and at most {DOCUMENT_BYTES} are stored; send shorter or fewer values"
            ),
        ));
    }
    Ok(())
}

fn attributes(schema: &Schema, object: &Object, prefix: &str) -> Result<()> {
    for attribute in schema.attributes.iter() {
        let value = object.get(attribute.name.as_ref());
        // What the server computes and what lives in edges is no matter of the document.
        let ours = attribute.source == Source::Document && attribute.mutability != Mutability::ReadOnly;
        match value {
            None if ours && attribute.required => {
                return Err(invalid(format!("{prefix}{}: this attribute is required; send a value", attribute.name)));
            }
            None => {}
            Some(value) => check_value(attribute, value, &format!("{prefix}{}", attribute.name))?,
        }
    }
    Ok(())
}

fn check_value(attribute: &Attribute, value: &Value, place: &str) -> Result<()> {
    check_unique(attribute, value, place)?;
    if attribute.kind != Type::Complex {
        return Ok(());
    }
    match value {
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                check_sub_attributes(attribute, value, || format!("{place}[{index}]"))?;
            }
            check_primary(attribute, values, place)
        }
        value => check_sub_attributes(attribute, value, || place.to_owned()),
    }
}

/// What must be unique must fit a key.
fn check_unique(attribute: &Attribute, value: &Value, place: &str) -> Result<()> {
    if attribute.uniqueness == Uniqueness::None {
        return Ok(());
    }
    if let Value::Array(values) = value {
        return values.iter().try_for_each(|value| check_unique(attribute, value, place));
    }
    let bytes = value.as_str().map_or(0, |text| fold_case(text).len().max(text.len()));
    match bytes > UNIQUE_VALUE_BYTES {
        true => Err(invalid(format!(
            "{place}: a unique value takes at most {UNIQUE_VALUE_BYTES} bytes, this one has {bytes}; shorten it"
        ))),
        false => Ok(()),
    }
}

fn check_sub_attributes(attribute: &Attribute, value: &Value, place: impl Fn() -> String) -> Result<()> {
    let missing = attribute
        .sub_attributes
        .iter()
        .find(|sub| sub.required && sub.mutability != Mutability::ReadOnly && value.get(sub.name.as_ref()).is_none());
    for sub in attribute.sub_attributes.iter().filter(|sub| sub.uniqueness != Uniqueness::None) {
        if let Some(value) = value.get(sub.name.as_ref()) {
            check_unique(sub, value, &format!("{}.{}", place(), sub.name))?;
        }
    }
    match missing {
        Some(sub) => Err(invalid(format!("{}.{}: this sub-attribute is required; send a value", place(), sub.name))),
        None => Ok(()),
    }
}

/// At most one value of an attribute is the primary one (RFC 7643 §2.4).
fn check_primary(attribute: &Attribute, values: &[Value], place: &str) -> Result<()> {
    let Some(primary) = attribute.sub_attribute("primary").filter(|sub| sub.kind == Type::Boolean) else {
        return Ok(());
    };
    let is_primary = |value: &Value| value.get(primary.name.as_ref()) == Some(&Value::Bool(true));
    let mut primaries = values.iter().enumerate().filter(|(_, value)| is_primary(value)).map(|(index, _)| index);
    match (primaries.next(), primaries.next()) {
        (Some(first), Some(second)) => Err(invalid(format!(
            "{place}[{first}].primary and {place}[{second}].primary are both true; only one value can be primary"
        ))),
        _ => Ok(()),
    }
}

/// Whether a replacement leaves immutable attributes as they are: they may be set once, not changed (RFC 7644 §3.5.1).
pub fn immutable(ty: &ResourceType, old: &Object, new: &Object) -> Result<()> {
    unchanged(&ty.schema.attributes, old, new, "")?;
    let none = Object::new();
    for extension in ty.extensions.iter() {
        let id = extension.schema.id.as_ref();
        let Some(old) = old.get(id).and_then(Value::as_object) else { continue };
        let new = new.get(id).and_then(Value::as_object).unwrap_or(&none);
        unchanged(&extension.schema.attributes, old, new, &format!("{id}:"))?;
    }
    Ok(())
}

fn unchanged(attributes: &[Attribute], old: &Object, new: &Object, prefix: &str) -> Result<()> {
    for attribute in attributes {
        let Some(before) = old.get(attribute.name.as_ref()) else { continue };
        let after = new.get(attribute.name.as_ref());
        if attribute.mutability == Mutability::Immutable && after != Some(before) {
            return Err(ScimError::new(
                ErrorKind::Mutability,
                format!(
                    "{prefix}{}: this attribute is immutable and has a value; send it with that value",
                    attribute.name
                ),
            ));
        }
        // The values of a multi-valued attribute come and go as a whole; only a single one stays the same value.
        if let (Value::Object(before), Some(Value::Object(after))) = (before, after) {
            unchanged(&attribute.sub_attributes, before, after, &format!("{prefix}{}.", attribute.name))?;
        }
    }
    Ok(())
}

fn serialized_size(document: &Object) -> usize {
    let mut count = Count(0);
    serde_json::to_writer(&mut count, document)
        .expect("JSON with string keys always serializes, and counting can't fail");
    count.0
}

/// Counts bytes instead of keeping them.
struct Count(usize);

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn invalid(detail: String) -> ScimError {
    ScimError::new(ErrorKind::InvalidValue, detail)
}

#[cfg(test)]
mod tests;
