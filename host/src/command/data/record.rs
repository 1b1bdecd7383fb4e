//! One resource of a file, as an import sends it.

use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, json};

use super::path::{Path, values};
use super::shape::{Reference, Shapes};
use super::source::{Content, Item};

/// The largest lists that are kept in a reject: what is longer can be read in the file itself.
const SHOWN_LINKS: usize = 20;

/// A resource.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Record {
    /// What the file calls it: its id, else its place. What others of the file refer to.
    pub(super) name: String,
    pub(super) line: u64,
    /// Its attributes without those that list other resources.
    pub(super) attributes: Map<String, Value>,
    /// The ids that each of those lists.
    pub(super) links: Vec<(String, Vec<String>)>,
}

/// A record that can't be, or was not, imported.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reject {
    pub(super) line: u64,
    /// A SCIM Error (RFC 7644 §3.12).
    pub(super) error: Value,
    pub(super) record: Value,
}

impl Reject {
    /// A refusal of this program's own.
    pub(super) fn new(line: u64, scim_type: &str, detail: &str, record: Value) -> Box<Self> {
        let error = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
            "status": "400",
            "scimType": scim_type,
            "detail": detail,
        });
        Box::new(Self { line, error, record })
    }

    /// A line of the rejects' file.
    pub(super) fn text(&self) -> String {
        format!("{}\n", json!({ "line": self.line, "error": self.error, "record": self.record }))
    }
}

/// What a CSV file's columns are.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    /// The resource type of every row.
    pub(super) shape: usize,
    /// `None` for columns that are left out.
    pub(super) paths: Vec<Option<Path>>,
}

/// The records of an item: one, or those of a list response.
pub(super) fn records(item: &Item, shapes: &Shapes, columns: Option<&Columns>) -> Vec<Result<Record, Box<Reject>>> {
    let line = item.start.line;
    match (&item.content, columns) {
        (Content::Json(text), _) => match Parsed::read(text, shapes) {
            Ok(parsed) => parsed.records(line),
            Err(error) => {
                let detail = format!("This is no SCIM resource in JSON: {error}.");
                vec![Err(Reject::new(line, "invalidSyntax", &detail, String::from_utf8_lossy(text).into()))]
            }
        },
        (Content::Row(cells), Some(columns)) => vec![row(line, cells, shapes, columns)],
        (Content::Row(cells), None) => {
            vec![Err(Reject::new(line, "invalidSyntax", "This row has no columns.", json!(cells)))]
        }
        (Content::Broken { text, reason }, _) => {
            vec![Err(Reject::new(
                line,
                "invalidSyntax",
                &format!("This can't be read: {reason}."),
                text.as_str().into(),
            ))]
        }
    }
}

fn row(line: u64, cells: &[String], shapes: &Shapes, columns: &Columns) -> Result<Record, Box<Reject>> {
    let refuse = |detail: String| Reject::new(line, "invalidValue", &detail, json!(cells));
    if cells.len() != columns.paths.len() {
        return Err(refuse(format!(
            "The row has {} cells, and there are {} columns.",
            cells.len(),
            columns.paths.len()
        )));
    }
    let shape = &shapes.0[columns.shape];
    let mut attributes = Map::from_iter([("schemas".to_owned(), Value::Null)]);
    let mut links: Vec<(String, Vec<String>)> = Vec::new();
    for (path, cell) in columns.paths.iter().zip(cells) {
        let Some(path) = path else { continue };
        match path.core_attribute().filter(|name| shape.links.iter().any(|link| link == name)) {
            Some(link) => {
                links.push((link.to_owned(), values(cell).map(str::to_owned).collect()));
            }
            None => path.set(&mut attributes, cell).map_err(|detail| refuse(format!("{detail}.")))?,
        }
    }
    let extensions = shape.extensions.iter().map(|extension| &extension.id).filter(|id| attributes.contains_key(*id));
    let schemas: Vec<&String> = std::iter::once(&shape.core.id).chain(extensions).collect();
    attributes.insert("schemas".to_owned(), json!(schemas));
    Ok(Record { name: name_of(&attributes, line, 0), line, attributes, links })
}

/// Its id, else its place in the file.
fn name_of(attributes: &Map<String, Value>, line: u64, number: usize) -> String {
    match attributes.get("id").and_then(Value::as_str).filter(|id| !id.is_empty()) {
        Some(id) => id.to_owned(),
        None if number == 0 => format!("line {line}"),
        None => format!("line {line}, resource {}", number + 1),
    }
}

impl Record {
    /// As a reject shows it.
    pub(super) fn shown(&self) -> Value {
        let mut shown = self.attributes.clone();
        for (name, ids) in &self.links {
            let mut values: Vec<Value> = ids.iter().take(SHOWN_LINKS).map(|id| json!({ "value": id })).collect();
            if ids.len() > SHOWN_LINKS {
                values.push(format!("and {} more", ids.len() - SHOWN_LINKS).into());
            }
            shown.insert(name.clone(), values.into());
        }
        Value::Object(shown)
    }

    /// The id that a reference of it holds.
    pub(super) fn referred(&self, reference: &Reference) -> Option<&str> {
        let value = reference.holder(&self.attributes)?.get(&reference.name)?;
        value.as_str().or_else(|| value.get("value")?.as_str()).filter(|id| !id.is_empty())
    }
}

/// The text of an item: a resource, or a list response.
struct Parsed {
    attributes: Map<String, Value>,
    links: Vec<(String, Vec<String>)>,
    /// What a list response lists.
    resources: Option<Vec<Parsed>>,
}

impl Parsed {
    fn read(text: &[u8], shapes: &Shapes) -> serde_json::Result<Self> {
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        let parsed = Resource { shapes, listed: false }.deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(parsed)
    }

    fn records(self, line: u64) -> Vec<Result<Record, Box<Reject>>> {
        let record = |(number, Self { attributes, links, .. }): (usize, Self)| {
            Ok(Record { name: name_of(&attributes, line, number), line, attributes, links })
        };
        match self.resources {
            Some(resources) => resources.into_iter().enumerate().map(record).collect(),
            None => vec![record((0, self))],
        }
    }
}

/// Reads a resource; of attributes that list others only their ids, since there may be a million.
#[derive(Clone, Copy)]
struct Resource<'s> {
    shapes: &'s Shapes,
    /// Whether it stands in a list response, which holds no other.
    listed: bool,
}

impl<'de> DeserializeSeed<'de> for Resource<'_> {
    type Value = Parsed;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Parsed, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Resource<'_> {
    type Value = Parsed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Parsed, A::Error> {
        let mut parsed = Parsed { attributes: Map::new(), links: Vec::new(), resources: None };
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "Resources" if !self.listed => {
                    parsed.resources = Some(map.next_value_seed(Each(Resource { listed: true, ..self }))?);
                }
                name if self.shapes.is_link(name) => {
                    let ids = map.next_value_seed(Each(Link))?;
                    parsed.links.push((key, ids));
                }
                _ => _ = parsed.attributes.insert(key, map.next_value()?),
            }
        }
        Ok(parsed)
    }
}

/// An array of what the seed reads, or null.
struct Each<S>(S);

impl<'de, S: DeserializeSeed<'de> + Copy> DeserializeSeed<'de> for Each<S> {
    type Value = Vec<S::Value>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, S: DeserializeSeed<'de> + Copy> Visitor<'de> for Each<S> {
    type Value = Vec<S::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(one) = sequence.next_element_seed(self.0)? {
            all.push(one);
        }
        Ok(all)
    }
}

/// The id in an element: an object with `value`, or the id itself.
#[derive(Clone, Copy)]
struct Link;

impl<'de> DeserializeSeed<'de> for Link {
    type Value = String;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Link {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `value`, or an id")
    }

    fn visit_str<E>(self, id: &str) -> Result<String, E> {
        Ok(id.to_owned())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<String, A::Error> {
        let mut id = None;
        while let Some(key) = map.next_key::<String>()? {
            match key.eq_ignore_ascii_case("value") {
                true => id = Some(map.next_value()?),
                false => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        id.ok_or_else(|| serde::de::Error::missing_field("value"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::shape::tests::shapes;
    use super::super::source::Position;
    use super::*;

    fn item(content: Content) -> Item {
        Item { start: Position { offset: 0, line: 7 }, end: 1, content }
    }

    fn read(text: &str) -> Vec<Result<Record, Box<Reject>>> {
        records(&item(Content::Json(text.into())), &shapes(), None)
    }

    #[test]
    fn resources() {
        let found = read(r#"{"id":"g","displayName":"A","members":[{"value":"u","$ref":"x"},"v"]}"#);
        let [Ok(record)] = &found[..] else { panic!("{found:?}") };
        assert_eq!((record.name.as_str(), record.line), ("g", 7));
        assert_eq!(record.links, [("members".to_owned(), vec!["u".to_owned(), "v".to_owned()])]);
        assert!(!record.attributes.contains_key("members"));
    }

    #[test]
    fn list_responses() {
        let found = read(r#"{"schemas":[],"Resources":[{"userName":"a"},{"userName":"b","id":"2"}]}"#);
        let names: Vec<_> = found.iter().map(|record| record.as_ref().unwrap().name.as_str()).collect();
        assert_eq!(names, ["line 7", "2"]);
    }

    #[track_caller]
    fn check_refused(text: &str, says: &str) {
        let found = read(text);
        let [Err(reject)] = &found[..] else { panic!("{found:?}") };
        assert!(reject.error["detail"].as_str().unwrap().contains(says), "{reject:?}");
        assert_eq!(reject.record, Value::from(text));
    }

    #[test]
    fn what_is_no_resource() {
        check_refused("{oops", "column 2");
        check_refused("{} {}", "trailing");
        check_refused("5", "expected an object");
        check_refused(r#"{"members":[{"display":"x"}]}"#, "missing field `value`");
        check_refused(r#"{"members":7}"#, "expected an array");
    }

    #[test]
    fn rows() {
        let shapes = shapes();
        let path = |text: &str| Some(Path::parse(text, &shapes.0[1]).unwrap());
        let columns = Columns { shape: 1, paths: vec![path("displayName"), None, path("members")] };
        let read = |cells: &[&str]| {
            let cells = cells.iter().map(|cell| (*cell).to_owned()).collect();
            records(&item(Content::Row(cells)), &shapes, Some(&columns)).remove(0)
        };
        let record = read(&["A", "-", "ann; bob;"]).unwrap();
        assert_eq!(record.name, "line 7");
        assert_eq!(record.links, [("members".to_owned(), vec!["ann".to_owned(), "bob".to_owned()])]);
        assert_eq!(record.attributes["schemas"], json!(["urn:ietf:params:scim:schemas:core:2.0:Group"]));
        let refused = read(&["A"]).unwrap_err();
        assert!(refused.error["detail"].as_str().unwrap().contains("1 cells"), "{refused:?}");
    }
}
