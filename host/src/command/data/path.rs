//! What a column of a CSV file stands for: `userName`, `name.familyName`, `emails[type eq "work"].value`,
//! `urn:…:User:department`. These are paths of PATCH (RFC 7644 §3.5.2) of which a filter, where there is one, says by `eq`
//! and `and` which value is meant, so that the value can be made where it is not there.

use serde_json::{Map, Value};

use super::shape::{Attribute, Shape};

/// Between the values of a multi-valued attribute in one cell.
const SEPARATOR: char = ';';

/// Sub-attributes and the values that they must have.
type Selection = Vec<(String, String)>;

/// A path, checked against a resource type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path {
    extension: Option<String>,
    attribute: String,
    multi_valued: bool,
    /// Which of several values is meant.
    selected: Selection,
    sub: Option<String>,
    kind: Kind,
}

/// What a cell is turned into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Boolean,
    Number,
}

impl Path {
    /// The path in this text; the error says what is wrong with it.
    pub(super) fn parse(text: &str, shape: &Shape) -> Result<Self, String> {
        let (extension, rest) = schema_of(text.trim(), shape)?;
        let end = rest.find(['[', '.']).unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        if extension.is_none() && rest.is_empty() && ["id", "externalId"].iter().any(|n| n.eq_ignore_ascii_case(name)) {
            let attribute = if name.eq_ignore_ascii_case("id") { "id" } else { "externalId" };
            return Ok(Self::simple(attribute.to_owned()));
        }
        if extension.is_none() && name == "meta" && rest.len() > 1 {
            let path = Self { sub: Some(rest.trim_start_matches('.').to_owned()), ..Self::simple(name.to_owned()) };
            return Ok(path);
        }
        let Some(found) = shape.attribute(extension.as_deref(), name) else {
            return Err(format!("{} has no attribute `{name}`", shape.name));
        };
        let (selected, rest) = match rest.strip_prefix('[') {
            Some(filter) => selection(filter, found)?,
            None => (Vec::new(), rest),
        };
        let sub = match rest.strip_prefix('.') {
            Some(sub) => Some(sub),
            None if rest.is_empty() && found.sub_attributes.is_some() => {
                let has_value = found.multi_valued && found.sub("value").is_some();
                let choose = || format!("`{name}` is complex; name one of its sub-attributes, as in `{name}.…`");
                Some(has_value.then_some("value").ok_or_else(choose)?)
            }
            None if rest.is_empty() => None,
            None => return Err(format!("`{rest}` is not expected at the end")),
        };
        let leaf = match sub {
            Some(sub) => found.sub(sub).ok_or_else(|| format!("`{name}` has no sub-attribute `{sub}`"))?,
            None => found,
        };
        if !selected.is_empty() && !found.multi_valued {
            return Err(format!("`{name}` has one value only; leave the filter out"));
        }
        let kind = match leaf.kind.as_str() {
            "boolean" => Kind::Boolean,
            "integer" | "decimal" => Kind::Number,
            "complex" => return Err(format!("`{}` is complex; name one of its sub-attributes", leaf.name)),
            _ => Kind::Text,
        };
        Ok(Self {
            extension,
            attribute: found.name.clone(),
            multi_valued: found.multi_valued,
            selected,
            sub: sub.map(|_| leaf.name.clone()),
            kind,
        })
    }

    fn simple(attribute: String) -> Self {
        let (extension, selected, sub) = (None, Vec::new(), None);
        Self { extension, attribute, multi_valued: false, selected, sub, kind: Kind::Text }
    }

    /// The attribute of the core schema that it begins with.
    pub(super) fn core_attribute(&self) -> Option<&str> {
        self.extension.is_none().then_some(self.attribute.as_str())
    }

    /// Puts a cell into a resource; an empty cell says nothing. The error says what the cell should have been.
    pub(super) fn set(&self, resource: &mut Map<String, Value>, cell: &str) -> Result<(), String> {
        let cell = cell.trim();
        if cell.is_empty() {
            return Ok(());
        }
        let holder = match &self.extension {
            None => resource,
            Some(urn) => object(resource, urn),
        };
        match (&self.sub, self.multi_valued) {
            (None, false) => _ = holder.insert(self.attribute.clone(), self.value(cell)?),
            (None, true) => {
                let values = values(cell).map(|one| self.value(one)).collect::<Result<Vec<_>, _>>()?;
                holder.insert(self.attribute.clone(), values.into());
            }
            (Some(sub), false) => _ = object(holder, &self.attribute).insert(sub.clone(), self.value(cell)?),
            (Some(sub), true) => {
                let Some(elements) = array(holder, &self.attribute) else { return Ok(()) };
                if self.selected.is_empty() {
                    for one in values(cell) {
                        elements.push(Value::Object(Map::from_iter([(sub.clone(), self.value(one)?)])));
                    }
                    return Ok(());
                }
                let at = match elements.iter().position(|element| self.selects(element)) {
                    Some(at) => at,
                    None => {
                        let selected = self.selected.iter();
                        let made: Map<_, _> =
                            selected.map(|(name, value)| (name.clone(), value.as_str().into())).collect();
                        elements.push(Value::Object(made));
                        elements.len() - 1
                    }
                };
                elements[at][sub.as_str()] = self.value(cell)?;
            }
        }
        Ok(())
    }

    /// What a resource has there: several values with `;` between them, nothing as an empty text.
    pub(super) fn get(&self, resource: &Value) -> String {
        let holder = self.extension.as_ref().map_or(resource, |urn| &resource[urn.as_str()]);
        let found = &holder[self.attribute.as_str()];
        let leaf = |value: &Value| shown(self.sub.as_ref().map_or(value, |sub| &value[sub.as_str()]));
        match found {
            Value::Array(elements) => {
                let selected = elements.iter().filter(|element| self.selects(element)).map(leaf);
                selected.filter(|text| !text.is_empty()).collect::<Vec<_>>().join(&SEPARATOR.to_string())
            }
            single => leaf(single),
        }
    }

    fn selects(&self, element: &Value) -> bool {
        self.selected.iter().all(|(name, value)| match &element[name.as_str()] {
            Value::String(text) => text.eq_ignore_ascii_case(value),
            other => shown(other) == *value,
        })
    }

    fn value(&self, cell: &str) -> Result<Value, String> {
        let name = self.sub.as_ref().unwrap_or(&self.attribute);
        match self.kind {
            Kind::Text => Ok(cell.into()),
            Kind::Boolean => match cell.to_ascii_lowercase().as_str() {
                "true" | "yes" | "1" => Ok(true.into()),
                "false" | "no" | "0" => Ok(false.into()),
                _ => Err(format!("{name}: found {cell:?}, expected true or false")),
            },
            Kind::Number => match serde_json::from_str(cell) {
                Ok(Value::Number(number)) => Ok(number.into()),
                _ => Err(format!("{name}: found {cell:?}, expected a number")),
            },
        }
    }
}

/// The extension whose URN the text begins with, and the rest; of URNs that begin with each other, the longest counts.
fn schema_of<'t>(text: &'t str, shape: &Shape) -> Result<(Option<String>, &'t str), String> {
    let after = |urn: &str| {
        let (start, rest) = text.split_at_checked(urn.len())?;
        start.eq_ignore_ascii_case(urn).then(|| rest.strip_prefix(':'))?
    };
    if let Some(rest) = after(&shape.core.id) {
        return Ok((None, rest));
    }
    let extensions = shape.extensions.iter().filter_map(|e| Some((e.id.as_str(), after(&e.id)?)));
    match extensions.max_by_key(|(urn, _)| urn.len()) {
        Some((urn, rest)) => Ok((Some(urn.to_owned()), rest)),
        None if text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("urn:")) => {
            Err(format!("{} has no schema of that URN", shape.name))
        }
        None => Ok((None, text)),
    }
}

/// `type eq "work" and primary eq true].value`, read up to what follows the bracket.
fn selection<'t>(text: &'t str, attribute: &Attribute) -> Result<(Selection, &'t str), String> {
    let expected =
        || format!("in `[…]` expected comparisons by `eq`, joined by `and`: `{}[type eq \"work\"]`", attribute.name);
    let mut selected = Vec::new();
    let mut rest = text;
    loop {
        let (name, after) = rest.trim_start().split_once(char::is_whitespace).ok_or_else(expected)?;
        let sub = attribute.sub(name).ok_or_else(|| format!("`{}` has no sub-attribute `{name}`", attribute.name))?;
        let after = after.trim_start();
        let operator = after.get(..2).filter(|operator| operator.eq_ignore_ascii_case("eq")).ok_or_else(expected)?;
        // A value is JSON (RFC 7644 §3.4.2.2), so that a bracket or a quote may stand in it.
        let mut values = serde_json::Deserializer::from_str(&after[operator.len()..]).into_iter::<Value>();
        let value = values.next().and_then(Result::ok).ok_or_else(expected)?;
        if !matches!(value, Value::String(_) | Value::Bool(_) | Value::Number(_)) {
            return Err(expected());
        }
        selected.push((sub.name.clone(), shown(&value)));
        rest = after[operator.len() + values.byte_offset()..].trim_start();
        if let Some(end) = rest.strip_prefix(']') {
            return Ok((selected, end));
        }
        let and = rest.get(..4).filter(|word| word.eq_ignore_ascii_case("and ")).ok_or_else(expected)?;
        rest = &rest[and.len()..];
    }
}

/// The values in a cell of a multi-valued attribute.
pub(super) fn values(cell: &str) -> impl Iterator<Item = &str> {
    cell.split(SEPARATOR).map(str::trim).filter(|one| !one.is_empty())
}

fn object<'m>(map: &'m mut Map<String, Value>, key: &str) -> &'m mut Map<String, Value> {
    let entry = map.entry(key).or_insert_with(|| Value::Object(Map::new()));
    if !entry.is_object() {
        *entry = Value::Object(Map::new());
    }
    match entry {
        Value::Object(object) => object,
        _ => unreachable!("made an object above"),
    }
}

fn array<'m>(map: &'m mut Map<String, Value>, key: &str) -> Option<&'m mut Vec<Value>> {
    map.entry(key).or_insert_with(|| Value::Array(Vec::new())).as_array_mut()
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::shape::tests::shapes;
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(path: &str, cell: &str, expect: &Value) {
        let path = Path::parse(path, &shapes().0[0]).unwrap();
        let mut resource = Map::new();
        path.set(&mut resource, cell).unwrap();
        let resource = Value::Object(resource);
        assert_eq!(resource, *expect);
        assert_eq!(path.get(&resource), cell);
    }

    #[test]
    fn cells() {
        check("userName", "ann", &json!({ "userName": "ann" }));
        check("externalId", "7", &json!({ "externalId": "7" }));
        check("ACTIVE", "true", &json!({ "active": true }));
        check("name.familyName", "Lee", &json!({ "name": { "familyName": "Lee" } }));
        check("emails[type eq \"work\"].value", "a@b", &json!({ "emails": [{ "type": "work", "value": "a@b" }] }));
        check("emails", "a@b;c@d", &json!({ "emails": [{ "value": "a@b" }, { "value": "c@d" }] }));
        check(
            "emails[type eq \"a]\\\"b\" and value eq \"x\"].value",
            "x",
            &json!({ "emails": [{ "type": "a]\"b", "value": "x" }] }),
        );
        let urn = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
        check(&format!("{urn}:department"), "R&D", &json!({ urn: { "department": "R&D" } }));
        check(&format!("{urn}:manager.value"), "m", &json!({ urn: { "manager": { "value": "m" } } }));
        check("urn:ietf:params:scim:schemas:core:2.0:User:userName", "ann", &json!({ "userName": "ann" }));
        check("userName", "", &json!({}));
    }

    #[test]
    fn columns_share_a_value() {
        let mut resource = Map::new();
        for (path, cell) in [("emails[type eq \"work\"].value", "a@b"), ("emails[type eq \"work\"].primary", "yes")] {
            Path::parse(path, &shapes().0[0]).unwrap().set(&mut resource, cell).unwrap();
        }
        let expect = json!({ "emails": [{ "type": "work", "value": "a@b", "primary": true }] });
        assert_eq!(Value::Object(resource), expect);
    }

    #[track_caller]
    fn check_refused(path: &str, says: &str) {
        let refused = Path::parse(path, &shapes().0[0]).unwrap_err();
        assert!(refused.contains(says), "{refused}");
    }

    #[test]
    fn what_is_no_path() {
        check_refused("user", "no attribute `user`");
        check_refused("name", "name one of its sub-attributes");
        check_refused("name.given", "no sub-attribute `given`");
        check_refused("name[a eq \"b\"].familyName", "no sub-attribute `a`");
        check_refused("emails[type sw \"w\"].value", "`eq`");
        check_refused("emails[type eq \"w\".value", "`eq`");
        check_refused("emails[type eq \"w\"", "`eq`");
        check_refused("emails[", "`eq`");
        check_refused("urn:a:b", "no schema of that URN");
        check_refused("", "no attribute ``");
    }

    #[test]
    fn cells_of_another_kind() {
        let path = Path::parse("active", &shapes().0[0]).unwrap();
        assert_eq!(path.set(&mut Map::new(), "maybe").unwrap_err(), "active: found \"maybe\", expected true or false");
    }
}
