//! One attribute's value: types (RFC 7643 §2.3), plurality (§2.4), no value (§2.5), and the shapes that clients send instead.

use std::collections::BTreeMap;

use serde_json::{Number, Value};

use super::place::Place;
use crate::compat::{Compat, Tolerance};
use crate::datetime;
use crate::error::{ErrorKind, Result, ScimError};
use crate::limits;
use crate::resource::Object;
use crate::schema::{Attribute, Mutability, Returned, Type};
use crate::suggest::did_you_mean;

/// The canonical form of an attribute's whole value: an array for a multi-valued attribute; `None` where it is unset.
///
/// Read-only sub-attributes are dropped (RFC 7643 §7); the caller decides what becomes of a read-only attribute.
pub fn value(attribute: &Attribute, value: Value, place: &str, compat: &mut Compat) -> Result<Option<Value>> {
    value_at(attribute, value, Place::Attribute(place), compat)
}

/// The canonical form of one value of a multi-valued attribute (or of the only one of a single-valued attribute).
pub fn element(attribute: &Attribute, value: Value, place: &str, compat: &mut Compat) -> Result<Option<Value>> {
    element_at(attribute, value, Place::Attribute(place), compat)
}

pub(super) fn value_at(
    attribute: &Attribute,
    value: Value,
    place: Place<'_>,
    compat: &mut Compat,
) -> Result<Option<Value>> {
    if is_unset(&value, place, compat)? {
        return Ok(None);
    }
    match value {
        Value::Array(values) if attribute.multi_valued && values.len() > limits::ATTRIBUTE_VALUES => {
            Err(ScimError::new(
                ErrorKind::InvalidValue,
                format!("{place}: {} values are more than the {} that fit", values.len(), limits::ATTRIBUTE_VALUES),
            ))
        }
        Value::Array(values) if attribute.multi_valued => {
            let mut canonical = Vec::with_capacity(values.len());
            for (index, value) in values.into_iter().enumerate() {
                canonical.extend(element_at(attribute, value, Place::Value(&place, index), compat)?);
            }
            let canonical = each_once(canonical);
            Ok((!canonical.is_empty()).then_some(Value::Array(canonical)))
        }
        Value::Array(mut values) if values.len() == 1 => {
            let tolerance = match attribute.kind {
                Type::Complex => Tolerance::ComplexShape,
                _ => Tolerance::ArrayForSingle,
            };
            compat.accept(tolerance, &place.to_string())?;
            element_at(attribute, values.remove(0), place, compat)
        }
        Value::Array(_) => Err(mismatch(attribute, &value, place)),
        Value::String(text) if attribute.multi_valued && attribute.kind == Type::Complex => {
            match embedded_json(&text, place, compat)? {
                Some(embedded) => value_at(attribute, embedded, place, compat),
                None => single_for_array(attribute, Value::String(text), place, compat),
            }
        }
        value if attribute.multi_valued => single_for_array(attribute, value, place, compat),
        value => element_at(attribute, value, place, compat),
    }
}

/// Values of the same `type` and `value` are one (RFC 7643 §2.4): what the later says of it goes before.
fn each_once(values: Vec<Value>) -> Vec<Value> {
    let mut each: Vec<Value> = Vec::with_capacity(values.len());
    let mut places: BTreeMap<(String, String), usize> = BTreeMap::new();
    for value in values {
        let key =
            value.get("value").map(|v| (v.to_string(), value.get("type").map(Value::to_string).unwrap_or_default()));
        let next = each.len();
        let place = key.map_or(next, |key| *places.entry(key).or_insert(next));
        match (each.get_mut(place), value) {
            (Some(Value::Object(there)), Value::Object(again)) => there.extend(again),
            (_, value) => each.push(value),
        }
    }
    each
}

fn single_for_array(
    attribute: &Attribute,
    value: Value,
    place: Place<'_>,
    compat: &mut Compat,
) -> Result<Option<Value>> {
    compat.accept(Tolerance::SingleForArray, &place.to_string())?;
    Ok(element_at(attribute, value, place, compat)?.map(|value| Value::Array(vec![value])))
}

pub(super) fn element_at(
    attribute: &Attribute,
    value: Value,
    place: Place<'_>,
    compat: &mut Compat,
) -> Result<Option<Value>> {
    if is_unset(&value, place, compat)? {
        return Ok(None);
    }
    match attribute.kind {
        Type::String | Type::Reference if value.is_string() => Ok(Some(value)),
        Type::Boolean => boolean(attribute, value, place, compat).map(Some),
        Type::Integer | Type::Decimal => number(attribute, &value, place, compat).map(Some),
        Type::DateTime if value.as_str().is_some_and(|text| datetime::parse(text).is_some()) => Ok(Some(value)),
        Type::Binary if value.as_str().is_some_and(is_base64) => Ok(Some(value)),
        Type::Complex => complex(attribute, value, place, compat),
        Type::String | Type::Reference | Type::DateTime | Type::Binary => Err(mismatch(attribute, &value, place)),
    }
}

/// Null and the empty array are no value (RFC 7643 §2.5); so is `""` in what identity providers send.
fn is_unset(value: &Value, place: Place<'_>, compat: &mut Compat) -> Result<bool> {
    match value {
        Value::Null => Ok(true),
        Value::Array(values) => Ok(values.is_empty()),
        Value::String(text) if text.is_empty() => {
            compat.accept(Tolerance::EmptyString, &place.to_string())?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

fn boolean(attribute: &Attribute, value: Value, place: Place<'_>, compat: &mut Compat) -> Result<Value> {
    let parsed = match &value {
        Value::Bool(_) => return Ok(value),
        Value::String(text) if text.eq_ignore_ascii_case("true") => true,
        Value::String(text) if text.eq_ignore_ascii_case("false") => false,
        _ => return Err(mismatch(attribute, &value, place)),
    };
    compat.accept(Tolerance::BooleanString, &place.to_string())?;
    Ok(Value::Bool(parsed))
}

fn number(attribute: &Attribute, value: &Value, place: Place<'_>, compat: &mut Compat) -> Result<Value> {
    let number = match value {
        Value::Number(number) => number.clone(),
        Value::String(text) => {
            let number = serde_json::from_str::<Number>(text).map_err(|_| mismatch(attribute, value, place))?;
            compat.accept(Tolerance::NumberString, &place.to_string())?;
            number
        }
        _ => return Err(mismatch(attribute, value, place)),
    };
    // An integer beyond 64 bits has been read as a floating-point number, so it fails here too.
    if attribute.kind == Type::Integer && !number.is_i64() {
        return Err(mismatch(attribute, value, place));
    }
    Ok(Value::Number(number))
}

/// Base64 with either alphabet, with or without padding and line breaks: RFC 7643 §2.3.6 asks for padding, encoders differ,
/// and the value is given back as it came.
fn is_base64(text: &str) -> bool {
    let data = text.trim_end().trim_end_matches('=');
    let padding = text.trim_end().len() - data.len();
    let digits = data.bytes().filter(|b| !b.is_ascii_whitespace()).count();
    let known = data.bytes().all(|b| {
        b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'-' | b'_') || matches!(b, b'\r' | b'\n' | b' ' | b'\t')
    });
    known && digits % 4 != 1 && (padding == 0 || (digits + padding).is_multiple_of(4))
}

fn complex(attribute: &Attribute, value: Value, place: Place<'_>, compat: &mut Compat) -> Result<Option<Value>> {
    match value {
        Value::Object(object) => sub_attributes(attribute, object, place, compat),
        Value::Array(mut values) if values.len() == 1 => {
            compat.accept(Tolerance::ComplexShape, &place.to_string())?;
            element_at(attribute, values.remove(0), place, compat)
        }
        Value::String(text) => {
            if let Some(embedded) = embedded_json(&text, place, compat)? {
                return element_at(attribute, embedded, place, compat);
            }
            let value = Value::String(text);
            let Some(sub) = attribute.sub_attribute("value") else { return Err(mismatch(attribute, &value, place)) };
            compat.accept(Tolerance::ComplexShape, &place.to_string())?;
            let value = value_at(sub, value, Place::Sub(&place, &sub.name), compat)?;
            Ok(value.map(|value| Value::Object(Object::from_iter([(sub.name.clone().into_owned(), value)]))))
        }
        value => Err(mismatch(attribute, &value, place)),
    }
}

fn sub_attributes(
    attribute: &Attribute,
    object: Object,
    place: Place<'_>,
    compat: &mut Compat,
) -> Result<Option<Value>> {
    let mut canonical = Object::new();
    let mut seen: Vec<&str> = Vec::with_capacity(object.len());
    let mut emptied = false;
    for (key, value) in object {
        let Some(sub) = attribute.sub_attribute(&key) else {
            let known = attribute.sub_attributes.iter().map(|sub| sub.name.as_ref());
            unknown(&Place::Sub(&place, &key).to_string(), &key, known, compat)?;
            continue;
        };
        if seen.contains(&sub.name.as_ref()) {
            return Err(ScimError::new(
                ErrorKind::InvalidSyntax,
                format!("{place}: {} is given twice, in different case; send it once", sub.name),
            ));
        }
        seen.push(&sub.name);
        if sub.mutability == Mutability::ReadOnly {
            continue;
        }
        match value_at(sub, value, Place::Sub(&place, &sub.name), compat)? {
            Some(value) => _ = canonical.insert(sub.name.clone().into_owned(), value),
            None => emptied |= sub.name == "value",
        }
    }
    // `{"type": "work", "value": ""}` takes the e-mail address away; what is left of it only labels nothing.
    let labels_nothing = attribute.multi_valued && emptied;
    Ok((!canonical.is_empty() && !labels_nothing).then_some(Value::Object(canonical)))
}

/// Pass over what the schema does not know; where the profile refuses it, say what was probably meant.
pub(super) fn unknown<'n>(
    place: &str,
    name: &str,
    known: impl Iterator<Item = &'n str>,
    compat: &mut Compat,
) -> Result<()> {
    compat.accept(Tolerance::Unknown, place).map_err(|mut error| {
        error.detail.push_str(&did_you_mean(name, known));
        error
    })
}

/// The JSON object or array that a string holds where a complex value belongs.
fn embedded_json(text: &str, place: Place<'_>, compat: &mut Compat) -> Result<Option<Value>> {
    if !text.trim_start().starts_with(['{', '[']) {
        return Ok(None);
    }
    let Ok(value) = super::parse_json(text.as_bytes()) else { return Ok(None) };
    compat.accept(Tolerance::JsonInString, &place.to_string())?;
    Ok(Some(value))
}

fn mismatch(attribute: &Attribute, value: &Value, place: Place<'_>) -> ScimError {
    let expected = match attribute.kind {
        _ if value.is_array() && !attribute.multi_valued => "one value".to_owned(),
        Type::String => "a string".to_owned(),
        Type::Boolean => "true or false".to_owned(),
        Type::Decimal => "a number".to_owned(),
        Type::Integer => "an integer of at most 64 bits".to_owned(),
        Type::DateTime => "a dateTime such as \"2026-01-31T12:00:00Z\"".to_owned(),
        Type::Binary => "a string in base64".to_owned(),
        Type::Reference => "a URI in a string".to_owned(),
        Type::Complex => {
            let names: Vec<&str> = attribute.sub_attributes.iter().map(|sub| sub.name.as_ref()).collect();
            format!("an object with any of {}", names.join(", "))
        }
    };
    // What is never returned must not come back inside an error message either.
    let found = found(value, attribute.returned != Returned::Never);
    ScimError::new(ErrorKind::InvalidValue, format!("{place}: expected {expected}, found {found}"))
}

fn found(value: &Value, show: bool) -> String {
    const SHOWN: usize = 40;
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) if !show => "another type of value".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(value) => format!("number {value}"),
        Value::String(text) if text.chars().count() > SHOWN => {
            let start: String = text.chars().take(SHOWN).collect();
            format!("string {}…", Value::String(start))
        }
        Value::String(_) => format!("string {value}"),
        Value::Array(values) => format!("an array of {}", values.len()),
        Value::Object(_) => "an object".to_owned(),
    }
}

#[cfg(test)]
mod tests;
