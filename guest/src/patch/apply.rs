//! Operations onto a document (RFC 7644 §3.5.2.1 to §3.5.2.3).

use std::slice;

use serde_json::Value;

use super::{Applied, EdgeEdit, Operation, Place, Verb};
use crate::compat::{Compat, Tolerance};
use crate::error::{ErrorKind, Result, ScimError};
use crate::filter::Checked;
use crate::resource::Object;
use crate::schema::{Attribute, Mutability, ResourceType, Schema, Target, Type};

/// Apply the operations in order. All or none: after an error the document is what it was.
pub fn apply<'s>(
    ty: &ResourceType,
    document: &mut Object,
    operations: &[Operation<'s>],
    compat: &mut Compat,
) -> Result<Applied<'s>> {
    let before = document.clone();
    let mut edges = Vec::new();
    for operation in operations {
        if let Err(error) = step(ty, document, operation, &mut edges, compat) {
            *document = before;
            return Err(error.at(&format!("Operations[{}]", operation.index)));
        }
    }
    Ok(Applied { changed: *document != before, edges })
}

fn step<'s>(
    ty: &ResourceType,
    document: &mut Object,
    operation: &Operation<'s>,
    edges: &mut Vec<EdgeEdit<'s>>,
    compat: &mut Compat,
) -> Result<()> {
    match &operation.place {
        Place::Edges(edit) => edges.push(edit.clone()),
        Place::Extension(schema) => {
            let kept = document.get(&*schema.id).and_then(Value::as_object).and_then(|object| {
                let immutable = |a: &&Attribute| a.mutability == Mutability::Immutable && object.contains_key(&*a.name);
                schema.attributes.iter().find(immutable)
            });
            if let Some(attribute) = kept {
                return Err(immutable(&attribute.name));
            }
            document.shift_remove(&*schema.id);
        }
        Place::Attribute(target) => {
            keep_required(ty, operation, *target)?;
            let immutable_before = guard(document, *target);
            attribute(document, *target, operation);
            unless_changed(document, *target, immutable_before)?;
        }
        Place::Values { target, filter, sub, seed } => {
            let immutable_before = guard(document, *target);
            let selection = Selection { filter, sub: *sub, seed: seed.as_ref() };
            values(document, *target, &selection, operation, compat)?;
            unless_changed(document, *target, immutable_before)?;
        }
    }
    Ok(())
}

/// RFC 7644 §3.5.2.2: what is required cannot be removed; nor can a replacement unset it.
fn keep_required(ty: &ResourceType, operation: &Operation<'_>, target: Target<'_>) -> Result<()> {
    // Inside the values of a multi-valued attribute the finished document decides: the whole value may go as well.
    let inside_values = target.sub.is_some() && target.attribute.multi_valued;
    if !target.leaf().required || inside_values {
        return Ok(());
    }
    let name = target.name();
    match (operation.verb, &operation.value) {
        (Verb::Remove, None) => Err(ScimError::new(
            ErrorKind::Mutability,
            format!("{name} is required for a {}, so it cannot be removed; replace it instead", ty.name),
        )),
        (Verb::Add | Verb::Replace, None) => Err(ScimError::new(
            ErrorKind::InvalidValue,
            format!("{name} is required for a {}; give it a value", ty.name),
        )),
        (_, Some(_)) => Ok(()),
    }
}

/// The immutable part of what the target names, as it is before a change.
fn guard(document: &Object, target: Target<'_>) -> Option<Value> {
    let immutable = |a: &Attribute| a.mutability == Mutability::Immutable;
    let within = immutable(target.attribute) || target.attribute.sub_attributes.iter().any(immutable);
    let value = holder(document, target.extension).filter(|_| within)?.get(&*target.attribute.name)?;
    Some(value.clone())
}

/// RFC 7643 §7: an immutable attribute may be set once, and then neither changed nor removed. Values of a multi-valued
/// attribute with immutable sub-attributes may come and go, but not change.
fn unless_changed(document: &Object, target: Target<'_>, before: Option<Value>) -> Result<()> {
    let Some(before) = before else { return Ok(()) };
    let attribute = target.attribute;
    let after = holder(document, target.extension).and_then(|object| object.get(&*attribute.name));
    if attribute.mutability == Mutability::Immutable {
        return if after == Some(&before) { Ok(()) } else { Err(immutable(&target.name())) };
    }
    let subs = attribute.sub_attributes.iter().filter(|sub| sub.mutability == Mutability::Immutable);
    // One by one is enough where a change keeps the number of values: nothing here reorders them.
    let (old, new) = (list(Some(&before)), list(after));
    for sub in subs.filter(|_| old.len() == new.len()) {
        let changed = |(old, new): (&Value, &Value)| {
            old.get(&*sub.name).is_some_and(|old| !old.is_null() && new.get(&*sub.name) != Some(old))
        };
        if old.iter().zip(new).any(changed) {
            return Err(immutable(&format!("{}.{}", target.name(), sub.name)));
        }
    }
    Ok(())
}

fn immutable(name: &str) -> ScimError {
    ScimError::new(ErrorKind::Mutability, format!("{name} is immutable: once set, it keeps its value"))
}

fn holder<'d>(document: &'d Object, extension: Option<&Schema>) -> Option<&'d Object> {
    match extension {
        None => Some(document),
        Some(schema) => document.get(&*schema.id)?.as_object(),
    }
}

fn list(value: Option<&Value>) -> &[Value] {
    match value {
        None | Some(Value::Null) => &[],
        Some(Value::Array(values)) => values,
        Some(value) => slice::from_ref(value),
    }
}

/// Take an attribute's value out, change it, and put it back unless nothing is left of it.
fn edit(document: &mut Object, target: Target<'_>, change: impl FnOnce(Option<Value>) -> Option<Value>) {
    let name = &*target.attribute.name;
    let object = match target.extension {
        None => &mut *document,
        Some(schema) => {
            let value = document.entry(&*schema.id).or_insert_with(|| Value::Object(Object::new()));
            if !value.is_object() {
                *value = Value::Object(Object::new());
            }
            value.as_object_mut().expect("made an object just now")
        }
    };
    // Null is left in its place meanwhile, so that attributes keep their order.
    let old = object.get_mut(name).map(Value::take);
    match change(old).filter(|value| !is_empty(value)) {
        Some(value) => _ = object.insert(name.to_owned(), value),
        None => _ = object.shift_remove(name),
    }
    if let Some(schema) = target.extension.filter(|_| object.is_empty()) {
        document.shift_remove(&*schema.id);
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) => values.is_empty(),
        Value::Object(object) => object.is_empty(),
        _ => false,
    }
}

fn attribute(document: &mut Object, target: Target<'_>, operation: &Operation<'_>) {
    let attribute = target.attribute;
    edit(document, target, |old| match (target.sub, &operation.value) {
        (None, None) => None,
        (None, Some(listed)) if operation.verb == Verb::Remove => Some(without(old, listed)),
        (None, Some(new)) if attribute.multi_valued && operation.verb == Verb::Add => {
            Some(appended(old, new, attribute))
        }
        (None, Some(Value::Object(new))) if attribute.kind == Type::Complex && !attribute.multi_valued => {
            let mut object = into_object(old);
            merge(&mut object, new, attribute);
            Some(Value::Object(object))
        }
        (None, Some(new)) => Some(new.clone()),
        (Some(sub), new) if attribute.multi_valued => {
            let mut elements = into_list(old);
            if elements.is_empty() && new.is_some() {
                elements.push(Value::Object(Object::new()));
            }
            let touched: Vec<usize> = (0..elements.len()).collect();
            put_each(&mut elements, &touched, attribute, sub, new.as_ref(), operation.verb);
            Some(Value::Array(elements))
        }
        (Some(sub), new) => {
            let mut object = into_object(old);
            put(&mut object, attribute, sub, new.as_ref(), operation.verb);
            Some(Value::Object(object))
        }
    });
}

fn into_object(value: Option<Value>) -> Object {
    match value {
        Some(Value::Object(object)) => object,
        _ => Object::new(),
    }
}

fn into_list(value: Option<Value>) -> Vec<Value> {
    match value {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(values)) => values,
        Some(value) => vec![value],
    }
}

/// Set or unset one sub-attribute.
fn put(object: &mut Object, attribute: &Attribute, sub: &Attribute, new: Option<&Value>, verb: Verb) {
    let name = &*sub.name;
    let old = object.get(name);
    // A `$ref` leads to the resource that `value` names, so it does not outlive that value (RFC 7643 §2.4).
    if name == "value" && old.is_some() && old != new && attribute.sub_attribute("$ref").is_some() {
        object.shift_remove("$ref");
    }
    match new {
        None => _ = object.shift_remove(name),
        Some(new) if sub.multi_valued && verb == Verb::Add => {
            let values = appended(object.get_mut(name).map(Value::take), new, sub);
            object.insert(name.to_owned(), values);
        }
        Some(new) => _ = object.insert(name.to_owned(), new.clone()),
    }
}

fn merge(object: &mut Object, new: &Object, attribute: &Attribute) {
    // `value` first, for the sake of `$ref`.
    let (first, rest): (Vec<_>, Vec<_>) = new.iter().partition(|(name, _)| *name == "value");
    for (name, value) in first.into_iter().chain(rest) {
        if let Some(sub) = attribute.sub_attribute(name) {
            put(object, attribute, sub, Some(value), Verb::Replace);
        }
    }
}

/// RFC 7644 §3.5.2.1: new values join those that are there; a value already there is not added again.
fn appended(old: Option<Value>, new: &Value, attribute: &Attribute) -> Value {
    let mut elements = into_list(old);
    let mut touched = Vec::new();
    for new in list(Some(new)) {
        let at = elements.iter().position(|old| same_value(old, new));
        touched.push(at.unwrap_or(elements.len()));
        match (at.map(|at| &mut elements[at]), new) {
            (Some(Value::Object(old)), Value::Object(new)) => merge(old, new, attribute),
            (Some(_), _) => {}
            (None, new) => elements.push(new.clone()),
        }
    }
    one_primary(&mut elements, &touched);
    Value::Array(elements)
}

/// RFC 7643 §2.4: no two values of an attribute share both `type` and `value`, so such a pair is the same value twice.
fn same_value(old: &Value, new: &Value) -> bool {
    let equal = |name| old.get(name) == new.get(name);
    old == new || (old.get("value").is_some() && equal("value") && equal("type"))
}

/// RFC 7644 §3.5.2: a value made primary takes that from the others.
fn one_primary(elements: &mut [Value], touched: &[usize]) {
    let primary = |value: &Value| value.get("primary") == Some(&Value::Bool(true));
    if !touched.iter().any(|&at| elements.get(at).is_some_and(primary)) {
        return;
    }
    for (at, element) in elements.iter_mut().enumerate() {
        if !touched.contains(&at) && primary(element) {
            element["primary"] = Value::Bool(false);
        }
    }
}

/// The values without those that `listed` names: by their `value` where both have one, else by all that is given.
fn without(old: Option<Value>, listed: &Value) -> Value {
    let named = |old: &Value| {
        list(Some(listed)).iter().any(|listed| match (old.get("value"), listed.get("value"), listed) {
            (Some(old), Some(listed), _) => old == listed,
            (_, _, Value::Object(parts)) => parts.iter().all(|(name, part)| old.get(name) == Some(part)),
            (_, _, listed) => old == listed,
        })
    };
    let mut elements = into_list(old);
    elements.retain(|element| !named(element));
    Value::Array(elements)
}

/// Set or unset a sub-attribute of some values. A value that loses what it is about goes with it: `{"type": "work"}`
/// alone labels nothing.
fn put_each(
    elements: &mut Vec<Value>,
    touched: &[usize],
    attribute: &Attribute,
    sub: &Attribute,
    new: Option<&Value>,
    verb: Verb,
) {
    for &at in touched {
        if let Some(Value::Object(object)) = elements.get_mut(at) {
            put(object, attribute, sub, new, verb);
        }
    }
    if new.is_some() {
        one_primary(elements, touched);
        return;
    }
    let mut at = 0;
    elements.retain(|element| {
        at += 1;
        let Some(object) = element.as_object().filter(|_| touched.contains(&(at - 1))) else { return true };
        let label = |name: &String| sub.name == "value" && (name == "type" || name == "primary");
        !object.keys().all(label)
    });
}

/// What stands in the brackets and behind them.
struct Selection<'a, 's> {
    filter: &'a Checked<'s>,
    sub: Option<&'s Attribute>,
    seed: Option<&'a Object>,
}

fn values(
    document: &mut Object,
    target: Target<'_>,
    selection: &Selection<'_, '_>,
    operation: &Operation<'_>,
    compat: &mut Compat,
) -> Result<()> {
    let attribute = target.attribute;
    let elements = list(holder(document, target.extension).and_then(|object| object.get(&*attribute.name)));
    let selected: Vec<usize> =
        (0..elements.len()).filter(|&at| selection.filter.matches_element(&elements[at])).collect();
    let Some(new) = &operation.value else {
        // To remove what is not there succeeds: the client has what it wants.
        edit(document, target, |old| {
            let mut elements = into_list(old);
            if let Some(sub) = selection.sub {
                put_each(&mut elements, &selected, attribute, sub, None, operation.verb);
            } else {
                let mut at = 0;
                elements.retain(|_| {
                    at += 1;
                    !selected.contains(&(at - 1))
                });
            }
            Some(Value::Array(elements))
        });
        return Ok(());
    };
    let created = if selected.is_empty() { Some(create(attribute, selection, new, compat)?) } else { None };
    edit(document, target, |old| {
        let mut elements = into_list(old);
        if let Some(created) = created {
            elements.push(created);
            let last = elements.len() - 1;
            one_primary(&mut elements, &[last]);
            return Some(Value::Array(elements));
        }
        if let Some(sub) = selection.sub {
            put_each(&mut elements, &selected, attribute, sub, Some(new), operation.verb);
            return Some(Value::Array(elements));
        }
        for &at in &selected {
            match (&mut elements[at], new) {
                (Value::Object(old), Value::Object(new)) if operation.verb == Verb::Add => merge(old, new, attribute),
                // RFC 7644 §3.5.2.3: the values selected are replaced as a whole.
                (old, new) => *old = new.clone(),
            }
        }
        one_primary(&mut elements, &selected);
        Some(Value::Array(elements))
    });
    Ok(())
}

/// The filter selects nothing: RFC 7644 §3.5.2.3 asks for noTarget, and Entra ID for the value that the filter describes.
fn create(attribute: &Attribute, selection: &Selection<'_, '_>, new: &Value, compat: &mut Compat) -> Result<Value> {
    let no_target = |detail: String| ScimError::new(ErrorKind::NoTarget, detail);
    let Some(seed) = selection.seed else {
        return Err(no_target(format!(
            "no value of `{}` matches the filter in the path; add one with the path `{}`",
            attribute.name, attribute.name
        )));
    };
    compat.accept(Tolerance::CreateFromFilter, &attribute.name).map_err(|error| no_target(error.detail))?;
    let mut created = seed.clone();
    match (selection.sub, new) {
        (Some(sub), new) => put(&mut created, attribute, sub, Some(new), Verb::Replace),
        (None, Value::Object(new)) => merge(&mut created, new, attribute),
        (None, new) => return Ok(new.clone()),
    }
    Ok(Value::Object(created))
}

#[cfg(test)]
mod tests;
