//! Body to operations: names resolved, values in canonical form, edges told apart, so that applying can hardly fail.

use serde_json::Value;

use super::{EdgeEdit, Operation, Place, Verb};
use crate::compat::{Compat, Tolerance, urn};
use crate::error::{ErrorKind, Result, ScimError, excerpt};
use crate::filter::{self, Filter, Literal, Operator, Path};
use crate::resource::Object;
use crate::schema::{Attribute, Mutability, ResourceType, Schema, Source, Target, Type};
use crate::suggest::did_you_mean;
use crate::{limits, validate};

const PATCH_OP: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// Read a PATCH body (RFC 7644 §3.5.2) for a resource of type `ty`.
pub fn parse<'s>(body: &Value, ty: &'s ResourceType, compat: &mut Compat) -> Result<Vec<Operation<'s>>> {
    let Value::Object(body) = body else {
        return Err(syntax("the body must be a JSON object with `schemas` and `Operations`".to_owned()));
    };
    let schemas = member(body, "schemas");
    let named = match schemas {
        Some(Value::Array(urns)) => urns.iter().filter_map(Value::as_str).any(|urn| urn.eq_ignore_ascii_case(PATCH_OP)),
        _ => false,
    };
    if !named {
        compat.accept(Tolerance::MissingSchemas, "schemas")?;
    }
    let listed = match member(body, "Operations") {
        Some(Value::Array(operations)) => operations.as_slice(),
        Some(operation @ Value::Object(_)) => {
            compat.accept(Tolerance::SingleForArray, "Operations")?;
            std::slice::from_ref(operation)
        }
        Some(_) => return Err(syntax("Operations: expected an array of operations".to_owned())),
        None => return Err(syntax("Operations: missing; a PATCH body lists its operations there".to_owned())),
    };
    match listed.len() {
        0 => return Err(syntax("Operations: empty; a PATCH body has one operation or more".to_owned())),
        1..=limits::PATCH_OPERATIONS => {}
        length => {
            return Err(ScimError::new(
                ErrorKind::PayloadTooLarge,
                format!(
                    "Operations: {length} operations and the most is {}; send several requests",
                    limits::PATCH_OPERATIONS
                ),
            ));
        }
    }
    let mut operations = Vec::with_capacity(listed.len());
    for (index, operation) in listed.iter().enumerate() {
        read(index, operation, ty, &mut operations, compat)?;
    }
    Ok(operations)
}

/// The operation being read: what everything below needs to know of it.
#[derive(Clone, Copy)]
struct Head<'s> {
    ty: &'s ResourceType,
    index: usize,
    verb: Verb,
}

impl<'s> Head<'s> {
    fn at(self, part: &str) -> String {
        format!("Operations[{}].{part}", self.index)
    }

    fn operation(self, place: Place<'s>, value: Option<Value>) -> Operation<'s> {
        Operation { index: self.index, verb: self.verb, place, value }
    }
}

fn read<'s>(
    index: usize,
    operation: &Value,
    ty: &'s ResourceType,
    out: &mut Vec<Operation<'s>>,
    compat: &mut Compat,
) -> Result<()> {
    let Value::Object(operation) = operation else {
        return Err(syntax(format!("Operations[{index}]: expected an object with `op`, `path` and `value`")));
    };
    let head = Head { ty, index, verb: verb(member(operation, "op"), index, compat)? };
    let value = member(operation, "value");
    match member(operation, "path") {
        // A client that always writes the key means no path by null and "".
        None | Some(Value::Null) => root(head, value, out, compat),
        Some(Value::String(path)) if path.trim().is_empty() => {
            compat.accept(Tolerance::EmptyString, &head.at("path"))?;
            root(head, value, out, compat)
        }
        Some(Value::String(path)) => at_path(head, path.trim(), value, out, compat),
        Some(_) => Err(ScimError::new(
            ErrorKind::InvalidPath,
            format!("{}: expected a string such as \"name.familyName\"", head.at("path")),
        )),
    }
}

fn verb(op: Option<&Value>, index: usize, compat: &mut Compat) -> Result<Verb> {
    let place = format!("Operations[{index}].op");
    let word = match op {
        Some(Value::String(word)) => word.as_str(),
        Some(_) => return Err(syntax(format!("{place}: expected \"add\", \"remove\" or \"replace\""))),
        None => return Err(syntax(format!("{place}: missing; it is \"add\", \"remove\" or \"replace\""))),
    };
    let verb = match word.to_ascii_lowercase().as_str() {
        "add" => Verb::Add,
        "remove" => Verb::Remove,
        "replace" => Verb::Replace,
        other => {
            let meant = did_you_mean(other, ["add", "remove", "replace"]);
            let word = excerpt(word);
            return Err(syntax(format!(
                "{place}: found \"{word}\", expected \"add\", \"remove\" or \"replace\"{meant}"
            )));
        }
    };
    if word.bytes().any(|b| b.is_ascii_uppercase()) {
        compat.accept(Tolerance::OperationCase, &place)?;
    }
    Ok(verb)
}

/// Without a path the value holds attributes of the resource (RFC 7644 §3.5.2.1, §3.5.2.3).
fn root<'s>(head: Head<'s>, value: Option<&Value>, out: &mut Vec<Operation<'s>>, compat: &mut Compat) -> Result<()> {
    if head.verb == Verb::Remove {
        return Err(ScimError::new(
            ErrorKind::NoTarget,
            format!("{}: missing; remove needs a path that names what to remove", head.at("path")),
        ));
    }
    let attributes = match value {
        Some(Value::Object(attributes)) => attributes,
        Some(Value::Array(values)) if let [Value::Object(attributes)] = values.as_slice() => {
            compat.accept(Tolerance::ArrayForSingle, &head.at("value"))?;
            attributes
        }
        _ => {
            return Err(ScimError::new(
                ErrorKind::InvalidValue,
                format!("{}: without a path, expected an object of attributes and their values", head.at("value")),
            ));
        }
    };
    attributes.iter().try_for_each(|(key, value)| keyed(head, None, key, value, out, compat))
}

/// One key of a value without path, or of the object under an extension's URN. What a client may not change is passed
/// over here, since clients send back whole resources (Okta: `{id, displayName}`).
fn keyed<'s>(
    head: Head<'s>,
    schema: Option<&'s Schema>,
    key: &str,
    value: &Value,
    out: &mut Vec<Operation<'s>>,
    compat: &mut Compat,
) -> Result<()> {
    let place = match schema {
        Some(schema) => head.at(&format!("value.{}:{key}", schema.id)),
        None => head.at(&format!("value.{key}")),
    };
    if schema.is_none() {
        if key.eq_ignore_ascii_case("schemas") {
            return echoed(&place, compat);
        }
        if let Some(schema) = urn::schema(head.ty, key, &place, compat)? {
            return under_urn(head, schema, Some(value), &place, out, compat);
        }
    }
    let Ok(mut path) = filter::parse_path(key, compat) else { return compat.accept(Tolerance::Unknown, &place) };
    if path.attribute.urn.is_some() || path.attribute.sub.is_some() || path.filter.is_some() {
        compat.accept(Tolerance::DottedKey, &place)?;
    }
    if let (Some(schema), None) = (schema, &path.attribute.urn) {
        path.attribute.urn = Some(schema.id.clone().into_owned());
    }
    if filter::is_unknown(&path.attribute, head.ty) {
        return compat.accept(Tolerance::Unknown, &place);
    }
    let target =
        filter::resolve(&path.attribute, head.ty, &ErrorKind::InvalidPath, compat).map_err(|error| error.at(&place))?;
    if sub_attribute(&path, target.attribute).is_err() {
        return compat.accept(Tolerance::Unknown, &place);
    }
    if read_only(target, &path) {
        return echoed(&place, compat);
    }
    change(&Change { head, path: &path, target, value: Some(value), place: &place }, out, compat)
}

/// Pass over what a client sends back as it has got it.
fn echoed(place: &str, compat: &mut Compat) -> Result<()> {
    compat.accept(Tolerance::ReadOnlyEcho, place).map_err(|error| ScimError { kind: ErrorKind::Mutability, ..error })
}

/// Pass over an operation whose path stands for nothing: providers map attributes that the server doesn't have, and would
/// lose the rest of the change with it. Where that is refused, say what was probably meant.
fn passed_over(place: &str, why: &ScimError, compat: &mut Compat) -> Result<()> {
    compat.accept(Tolerance::Unknown, place).map_err(|refused| ScimError {
        kind: ErrorKind::InvalidPath,
        detail: format!("{}: {}", refused.detail, why.detail),
        ..refused
    })
}

/// The attributes of one schema, as an object. A null unsets an extension; it adds nothing.
fn under_urn<'s>(
    head: Head<'s>,
    schema: &'s Schema,
    value: Option<&Value>,
    place: &str,
    out: &mut Vec<Operation<'s>>,
    compat: &mut Compat,
) -> Result<()> {
    let core = std::ptr::eq(schema, &raw const head.ty.schema);
    match value {
        Some(Value::Object(attributes)) => {
            let schema = (!core).then_some(schema);
            attributes.iter().try_for_each(|(key, value)| keyed(head, schema, key, value, out, compat))
        }
        Some(Value::Null) if !core => {
            if head.verb == Verb::Replace {
                out.push(head.operation(Place::Extension(schema), None));
            }
            Ok(())
        }
        _ => Err(ScimError::new(
            ErrorKind::InvalidValue,
            format!("{place}: expected an object with attributes of {}", schema.id),
        )),
    }
}

fn at_path<'s>(
    head: Head<'s>,
    text: &str,
    value: Option<&Value>,
    out: &mut Vec<Operation<'s>>,
    compat: &mut Compat,
) -> Result<()> {
    let place = head.at("path");
    if let Some(schema) = urn::schema(head.ty, text, &place, compat)? {
        return match head.verb {
            Verb::Remove if std::ptr::eq(schema, &raw const head.ty.schema) => root(head, None, out, compat),
            Verb::Remove => {
                out.push(head.operation(Place::Extension(schema), None));
                Ok(())
            }
            Verb::Add | Verb::Replace => under_urn(head, schema, value, &head.at("value"), out, compat),
        };
    }
    // `schemas` follows from what the resource holds: nothing to do, and nothing that could be taken away.
    if text.eq_ignore_ascii_case("schemas") && head.verb != Verb::Remove {
        return echoed(&place, compat);
    }
    let path = filter::parse_path(text, compat).map_err(|error| ScimError {
        // The parser's detail begins with `path:` already.
        detail: format!("Operations[{}].{}", head.index, error.detail),
        ..error
    })?;
    let target = match filter::resolve(&path.attribute, head.ty, &ErrorKind::InvalidPath, compat) {
        Err(error) if filter::is_unknown(&path.attribute, head.ty) => return passed_over(&place, &error, compat),
        resolved => resolved.map_err(|error| error.at(&place))?,
    };
    if let Err(error) = sub_attribute(&path, target.attribute) {
        return passed_over(&place, &error, compat);
    }
    if read_only(target, &path) {
        return Err(ScimError::new(
            ErrorKind::Mutability,
            format!("{place}: `{}` is read-only: the server sets it; leave the operation out", excerpt(&path)),
        ));
    }
    change(&Change { head, path: &path, target, value, place: &head.at("value") }, out, compat).map_err(|mut error| {
        // What is wrong with a value is said by its place in the body; the attribute stands in `path`.
        if !error.detail.contains(target.attribute.name.as_ref()) {
            error.detail = format!("{}; the path is `{}`", error.detail, excerpt(&path));
        }
        error
    })
}

fn read_only(target: Target<'_>, path: &Path) -> bool {
    let sub = path.sub.as_ref().and_then(|sub| target.attribute.sub_attribute(sub)).or(target.sub);
    [Some(target.attribute), sub].into_iter().flatten().any(|a| a.mutability == Mutability::ReadOnly)
}

/// One change to one attribute, its value not yet looked at.
struct Change<'a, 's> {
    head: Head<'s>,
    path: &'a Path,
    target: Target<'s>,
    value: Option<&'a Value>,
    /// Where the value stands.
    place: &'a str,
}

fn change<'s>(change: &Change<'_, 's>, out: &mut Vec<Operation<'s>>, compat: &mut Compat) -> Result<()> {
    let Change { head, path, target, value, place } = *change;
    if value.is_none() && head.verb != Verb::Remove {
        return Err(ScimError::new(
            ErrorKind::InvalidValue,
            format!("{place}: missing; give the value of `{}`, or null to unset it", excerpt(path)),
        ));
    }
    match &path.filter {
        _ if target.attribute.source == Source::Members => edges(change, out, compat),
        Some(filter) => values(change, filter, out, compat),
        None => attribute(change, out, compat),
    }
}

fn attribute<'s>(change: &Change<'_, 's>, out: &mut Vec<Operation<'s>>, compat: &mut Compat) -> Result<()> {
    let Change { head, target, value, place, .. } = *change;
    let leaf = target.leaf();
    let whole = target.sub.is_none();
    match (head.verb, value) {
        // Not in the RFC: the values to remove listed in `value` (Entra ID, JumpCloud). Taking the path alone would clear
        // the attribute. An empty list removes nothing.
        (Verb::Remove, Some(value)) if whole && leaf.multi_valued && !value.is_null() => {
            compat.accept(Tolerance::RemoveByValue, place)?;
            if let Some(listed) = validate::value(leaf, value.clone(), place, compat)? {
                out.push(head.operation(Place::Attribute(target), Some(listed)));
            }
        }
        (Verb::Remove, _) | (_, None) => out.push(head.operation(Place::Attribute(target), None)),
        // RFC 7644 §3.5.2.1, §3.5.2.3: a single complex attribute takes the sub-attributes given and keeps the others.
        (Verb::Add | Verb::Replace, Some(Value::Object(object)))
            if whole && leaf.kind == Type::Complex && !leaf.multi_valued =>
        {
            sub_attributes(change, object, out, compat)?;
        }
        (Verb::Add | Verb::Replace, Some(value)) => {
            let value = validate::value(leaf, value.clone(), place, compat)?;
            if value.is_some() || head.verb == Verb::Replace || !leaf.multi_valued {
                out.push(head.operation(Place::Attribute(target), value));
            }
        }
    }
    Ok(())
}

fn sub_attributes<'s>(
    change: &Change<'_, 's>,
    object: &Object,
    out: &mut Vec<Operation<'s>>,
    compat: &mut Compat,
) -> Result<()> {
    let Change { head, target, place, .. } = *change;
    let first = out.len();
    for (key, value) in object {
        let place = format!("{place}.{key}");
        let Some(sub) = target.attribute.sub_attribute(key) else {
            compat.accept(Tolerance::Unknown, &place)?;
            continue;
        };
        if sub.mutability != Mutability::ReadOnly {
            let value = validate::value(sub, value.clone(), &place, compat)?;
            out.push(head.operation(Place::Attribute(Target { sub: Some(sub), ..target }), value));
        }
    }
    // A new `value` makes the old `$ref` void, so it goes before the new `$ref`.
    let is_value = |operation: &Operation<'_>| matches!(&operation.place, Place::Attribute(target) if target.leaf().name == "value");
    let (values, others): (Vec<_>, Vec<_>) = out.drain(first..).partition(is_value);
    out.extend(values);
    out.extend(others);
    Ok(())
}

fn values<'s>(
    change: &Change<'_, 's>,
    filter: &Filter,
    out: &mut Vec<Operation<'s>>,
    compat: &mut Compat,
) -> Result<()> {
    let Change { head, path, target, value, place } = *change;
    let attribute = target.attribute;
    if !attribute.multi_valued {
        return Err(ScimError::new(
            ErrorKind::InvalidPath,
            format!("{}: `{}` has one value, so nothing is to be selected in brackets", head.at("path"), target.name()),
        ));
    }
    let checked = filter::check_values(filter, target, compat).map_err(|error| error.at(&head.at("path")))?;
    let sub = sub_attribute(path, attribute).map_err(|error| error.at(&head.at("path")))?;
    let value = match (head.verb, sub, value) {
        (Verb::Remove, ..) | (_, _, None) => None,
        (_, Some(sub), Some(value)) => validate::value(sub, value.clone(), place, compat)?,
        (_, None, Some(Value::Array(values))) => match values.as_slice() {
            [] => None,
            [value] => {
                compat.accept(Tolerance::ArrayForSingle, place)?;
                validate::element(attribute, value.clone(), place, compat)?
            }
            several => {
                return Err(ScimError::new(
                    ErrorKind::InvalidValue,
                    format!("{place}: expected the one value to put in place, found an array of {}", several.len()),
                ));
            }
        },
        (_, None, Some(value)) => validate::element(attribute, value.clone(), place, compat)?,
    };
    if head.verb == Verb::Add && value.is_none() && sub.is_none() {
        return Ok(());
    }
    let seed = equalities(filter, attribute, &head.at("path"), compat);
    out.push(head.operation(Place::Values { target, filter: checked, sub, seed }, value));
    Ok(())
}

fn sub_attribute<'s>(path: &Path, attribute: &'s Attribute) -> Result<Option<&'s Attribute>> {
    let Some(name) = &path.sub else { return Ok(None) };
    attribute.sub_attribute(name).map(Some).ok_or_else(|| {
        let meant = did_you_mean(name, attribute.sub_attributes.iter().map(|sub| sub.name.as_ref()));
        ScimError::new(
            ErrorKind::InvalidPath,
            format!("`{}` has no sub-attribute `{}`{meant}", attribute.name, excerpt(name)),
        )
    })
}

/// The value that a filter of nothing but equalities describes.
fn equalities(filter: &Filter, attribute: &Attribute, place: &str, compat: &mut Compat) -> Option<Object> {
    let terms = match filter {
        Filter::And(terms) => terms.as_slice(),
        term => std::slice::from_ref(term),
    };
    let mut value = Object::new();
    for term in terms {
        match term {
            Filter::And(_) => {
                for (name, inner) in equalities(term, attribute, place, compat)? {
                    insert_once(&mut value, name, inner)?;
                }
            }
            Filter::Compare(path, Operator::Eq, literal) => {
                let sub = attribute.sub_attribute(&path.name).filter(|sub| sub.mutability != Mutability::ReadOnly)?;
                let literal = match literal {
                    Literal::String(text) => Value::from(text.as_str()),
                    Literal::Number(number) => Value::Number(number.clone()),
                    Literal::Boolean(boolean) => Value::Bool(*boolean),
                    Literal::Null => continue,
                };
                // What does not validate was refused when the filter was checked, or describes no value.
                let canonical = validate::value(sub, literal, place, compat).ok()??;
                insert_once(&mut value, sub.name.clone().into_owned(), canonical)?;
            }
            _ => return None,
        }
    }
    Some(value)
}

fn insert_once(object: &mut Object, name: String, value: Value) -> Option<()> {
    match object.get(&name) {
        Some(other) if *other != value => None,
        _ => {
            object.insert(name, value);
            Some(())
        }
    }
}

fn edges<'s>(change: &Change<'_, 's>, out: &mut Vec<Operation<'s>>, compat: &mut Compat) -> Result<()> {
    let Change { head, path, target, value, place } = *change;
    let sub = sub_attribute(path, target.attribute).map_err(|error| error.at(&head.at("path")))?.or(target.sub);
    // `value` is immutable (RFC 7643 §8.7.1): it comes and goes with its member.
    if let Some(sub) = sub.filter(|sub| sub.name != "value" || head.verb == Verb::Replace) {
        return Err(ScimError::new(
            ErrorKind::Mutability,
            format!(
                "{}: `{}.{}` follows from the member; remove the member and add another",
                head.at("path"),
                target.attribute.name,
                sub.name
            ),
        ));
    }
    let mut ids = |value: Option<&Value>| validate::member_ids(value.cloned().unwrap_or_default(), place, compat);
    let given = value.filter(|value| !value.is_null());
    let edits = match (&path.filter, head.verb) {
        (None, Verb::Add) => vec![EdgeEdit::Add(ids(given)?)],
        (None, Verb::Replace) => vec![EdgeEdit::Replace(ids(given)?)],
        (None, Verb::Remove) if given.is_none() => vec![EdgeEdit::Replace(Vec::new())],
        // As in `attribute`: the path alone would clear the group.
        (None, Verb::Remove) => {
            let ids = ids(given)?;
            compat.accept(Tolerance::RemoveByValue, place)?;
            vec![EdgeEdit::Remove(ids)]
        }
        (Some(filter), verb) => {
            // The path has named the member, so the value may be nothing but labels.
            let given = given.filter(|value| value.as_object().is_none_or(|object| member(object, "value").is_some()));
            let added = if verb == Verb::Remove { Vec::new() } else { ids(given)? };
            let target = Target { sub: None, ..target };
            let checked = filter::check_values(filter, target, compat).map_err(|error| error.at(&head.at("path")))?;
            let selected = named_ids(filter);
            match (verb, selected) {
                (Verb::Add, Some(selected)) => {
                    compat
                        .accept(Tolerance::CreateFromFilter, &head.at("path"))
                        .map_err(|error| ScimError { kind: ErrorKind::NoTarget, ..error })?;
                    vec![EdgeEdit::Add(selected), EdgeEdit::Add(added)]
                }
                (Verb::Add, None) => {
                    return Err(ScimError::new(
                        ErrorKind::NoTarget,
                        format!(
                            "{}: the filter names no member to add; use the path `{}` and list the ids in `value`",
                            head.at("path"),
                            target.attribute.name
                        ),
                    ));
                }
                (_, Some(selected)) => vec![EdgeEdit::Remove(selected), EdgeEdit::Add(added)],
                (_, None) => vec![EdgeEdit::RemoveWhere(checked), EdgeEdit::Add(added)],
            }
        }
    };
    let edits = edits.into_iter().filter(|edit| match edit {
        EdgeEdit::Add(ids) | EdgeEdit::Remove(ids) => !ids.is_empty(),
        EdgeEdit::RemoveWhere(_) | EdgeEdit::Replace(_) => true,
    });
    out.extend(edits.map(|edit| head.operation(Place::Edges(edit), None)));
    Ok(())
}

/// The ids in `value eq "a"` or `value eq "a" or value eq "b"`: no member has to be read for them.
fn named_ids(filter: &Filter) -> Option<Vec<String>> {
    match filter {
        Filter::Or(filters) => {
            let ids: Option<Vec<_>> = filters.iter().map(named_ids).collect();
            Some(ids?.concat())
        }
        Filter::Compare(path, Operator::Eq, Literal::String(id)) if path.name.eq_ignore_ascii_case("value") => {
            Some(vec![id.clone()])
        }
        Filter::Compare(path, Operator::Eq, Literal::Number(id)) if path.name.eq_ignore_ascii_case("value") => {
            Some(vec![id.to_string()])
        }
        _ => None,
    }
}

/// A key of the message itself, in its own spelling first and then in any case.
fn member<'v>(object: &'v Object, name: &str) -> Option<&'v Value> {
    object.get(name).or_else(|| object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
}

fn syntax(detail: String) -> ScimError {
    ScimError::new(ErrorKind::InvalidSyntax, detail)
}

#[cfg(test)]
mod tests;
