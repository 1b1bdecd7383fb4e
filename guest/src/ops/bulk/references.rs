//! `bulkId:x` wherever an operation refers to a resource that the same request creates (RFC 7644 §3.7.2).

use std::collections::BTreeMap;

use serde_json::Value;

use crate::compat::Compat;
use crate::error::{ErrorKind, Result, ScimError, excerpt};
use crate::filter::{self, Filter, Literal};

const PREFIX: &str = "bulkId:";

/// The POSTs of a request, by `bulkId`: their numbers and the ids of what they create.
pub(super) type Created = BTreeMap<String, (usize, String)>;

/// One operation's references: each is replaced by the id that it stands for.
pub(super) struct References<'c> {
    created: &'c Created,
    /// The numbers of the operations referred to, each once.
    pub(super) needs: Vec<usize>,
}

/// A reference to nothing: its name, and where it stands below what was looked through.
struct Dangling {
    name: String,
    place: String,
}

/// Whether this stands for the id of something that the request creates.
pub(super) fn is_reference(text: &str) -> bool {
    text.starts_with(PREFIX)
}

/// Whether a value refers to anything that the request creates, whole strings and filters in paths alike.
pub(super) fn refers(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(PREFIX),
        Value::Array(values) => values.iter().any(refers),
        Value::Object(object) => object.values().any(refers),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

impl<'c> References<'c> {
    pub(super) fn new(created: &'c Created) -> Self {
        Self { created, needs: Vec::new() }
    }

    /// The id in a path; `at` is the path's place, for the error.
    pub(super) fn in_id(&mut self, id: &mut String, at: &str) -> Result<()> {
        self.replace(id).map_err(|dangling| explain(&dangling, at))
    }

    /// Every whole string in a value.
    pub(super) fn in_value(&mut self, value: &mut Value, at: &str) -> Result<()> {
        self.within(value).map_err(|dangling| explain(&dangling, at))
    }

    /// The filters in the paths of a PATCH body. A path that does not parse is left for the PATCH to refuse.
    pub(super) fn in_paths(&mut self, body: &mut Value, at: &str, compat: &mut Compat) -> Result<()> {
        let Some(Value::Array(operations)) = member(body, "Operations") else { return Ok(()) };
        for (index, operation) in operations.iter_mut().enumerate() {
            let Some(Value::String(text)) = member(operation, "path") else { continue };
            if !text.contains(PREFIX) {
                continue;
            }
            let Ok(mut path) = filter::parse_path(text, compat) else { continue };
            if let Some(filter) = &mut path.filter {
                self.in_filter(filter)
                    .map_err(|dangling| explain(&dangling, &format!("{at}.Operations[{index}].path")))?;
                *text = path.to_string();
            }
        }
        Ok(())
    }

    // The depth of what a parser has made is bounded there.
    fn within(&mut self, value: &mut Value) -> Result<(), Dangling> {
        match value {
            Value::String(text) => self.replace(text),
            Value::Array(values) => values.iter_mut().enumerate().try_for_each(|(index, value)| {
                self.within(value).map_err(|dangling| dangling.below(&format!("[{index}]")))
            }),
            Value::Object(object) => object.iter_mut().try_for_each(|(key, value)| {
                self.within(value).map_err(|dangling| dangling.below(&format!(".{}", excerpt(key))))
            }),
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
        }
    }

    fn in_filter(&mut self, filter: &mut Filter) -> Result<(), Dangling> {
        match filter {
            Filter::And(filters) | Filter::Or(filters) => filters.iter_mut().try_for_each(|f| self.in_filter(f)),
            Filter::Not(filter) | Filter::Values(_, filter) => self.in_filter(filter),
            Filter::Compare(_, _, Literal::String(text)) => self.replace(text),
            Filter::Compare(..) | Filter::Present(_) => Ok(()),
        }
    }

    fn replace(&mut self, text: &mut String) -> Result<(), Dangling> {
        let Some(name) = text.strip_prefix(PREFIX) else { return Ok(()) };
        let Some((number, id)) = self.created.get(name) else {
            return Err(Dangling { name: name.to_owned(), place: String::new() });
        };
        if !self.needs.contains(number) {
            self.needs.push(*number);
        }
        text.clone_from(id);
        Ok(())
    }
}

impl Dangling {
    fn below(mut self, part: &str) -> Self {
        self.place.insert_str(0, part);
        self
    }
}

fn explain(dangling: &Dangling, at: &str) -> ScimError {
    ScimError::new(
        ErrorKind::InvalidValue,
        format!(
            "{at}{}: \"bulkId:{}\" refers to no POST of this request. Give the POST that creates it this bulkId, or use \
             the id of an existing resource.",
            dangling.place,
            excerpt(&dangling.name)
        ),
    )
}

/// A key of a message, in its own spelling first and then in any case.
fn member<'v>(value: &'v mut Value, name: &str) -> Option<&'v mut Value> {
    let object = value.as_object_mut()?;
    let key = match object.contains_key(name) {
        true => name.to_owned(),
        false => object.keys().find(|key| key.eq_ignore_ascii_case(name))?.clone(),
    };
    object.get_mut(&key)
}
