//! `sortBy` and `sortOrder` (RFC 7644 §3.4.2.3).

use std::cmp::Ordering;

use serde_json::Value;

use crate::compat::Compat;
use crate::datetime;
use crate::error::{ErrorKind, Result, ScimError};
use crate::filter;
use crate::limits;
use crate::query::SortOrder;
use crate::resource::Object;
use crate::schema::{Attribute, Mutability, ResourceType, Returned, Target, Type, fold_case};

/// What resources are sorted by.
pub(super) struct Sort<'s> {
    target: Target<'s>,
}

/// The value that decides a resource's place.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum SortKey {
    /// Numbers, by value.
    Number(f64),
    /// Instants, in nanoseconds.
    Instant(i128),
    /// Strings, folded unless the attribute is `caseExact`, and their first bytes only; booleans by their names.
    Text(String),
    /// No value: last in ascending order, first in descending order.
    Absent,
}

/// Where a resource stands in a list: by its sort key, then by type, then by id, so that no two are equal and pages are
/// stable. Ascends in the order in which the list is shown.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Place {
    /// [`SortKey::Absent`] for all of a list that isn't sorted.
    pub key: SortKey,
    /// The same for all places of a list.
    pub order: SortOrder,
    /// Its type's place among those that are listed.
    pub rank: usize,
    /// Ids grow with time: what isn't sorted is in the order of creation.
    pub id: String,
}

impl Eq for Place {}

impl Ord for Place {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_key = match self.order {
            SortOrder::Ascending => rank(&self.key, &other.key),
            SortOrder::Descending => rank(&other.key, &self.key),
        };
        by_key.then_with(|| (self.rank, &self.id).cmp(&(other.rank, &other.id)))
    }
}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<'s> Sort<'s> {
    /// What `sortBy` names in one of several types that are listed together; `None` where only others have it, whose
    /// resources alone have a value to sort by (§3.4.2.1).
    pub(super) fn across(
        resource_type: &'s ResourceType,
        types: &[&ResourceType],
        sort_by: &str,
        compat: &mut Compat,
    ) -> Result<Option<Self>> {
        match Self::parse(resource_type, sort_by, compat) {
            Ok(sort) => Ok(Some(sort)),
            Err(error) => match types.iter().any(|other| Sort::parse(other, sort_by, &mut compat.trial()).is_ok()) {
                true => Ok(None),
                false => Err(filter::nowhere(error, types)),
            },
        }
    }

    /// What `sortBy` names, or 400 invalidValue: invalidPath is about PATCH (RFC 7644 §3.12, table 9).
    pub(super) fn parse(resource_type: &'s ResourceType, sort_by: &str, compat: &mut Compat) -> Result<Self> {
        let error = |why: &str| ScimError::new(ErrorKind::InvalidValue, format!("sortBy=`{sort_by}`: {why}"));
        let invalid = |why: &str| Err(error(why));
        let path = filter::parse_path(sort_by, compat).map_err(|unparsed| error(&unparsed.detail))?;
        if path.filter.is_some() {
            return invalid("it takes an attribute without a value filter");
        }
        let name = &path.attribute;
        let mut target = filter::resolve(name, resource_type, &ErrorKind::InvalidValue, compat)
            .map_err(|unknown| error(&unknown.detail))?;
        if target.leaf().kind == Type::Complex {
            // A complex attribute is compared by its `value`.
            let Some(value) = target.attribute.sub_attribute("value") else {
                return invalid("the attribute is complex; name one of its sub-attributes after a dot");
            };
            target.sub = Some(value);
        }
        // The order of values that are never shown would tell what they are.
        let secret = |a: &Attribute| a.mutability == Mutability::WriteOnly || a.returned == Returned::Never;
        if secret(target.attribute) || secret(target.leaf()) {
            return invalid("the attribute is never returned, so a list can't be sorted by it");
        }
        Ok(Self { target })
    }

    /// The attribute's place in the schema, to know what a view needs.
    pub(super) fn target(&self) -> &Target<'s> {
        &self.target
    }

    /// The sort key of a resource: of several values the primary one, else the first.
    pub(super) fn key(&self, view: &Object) -> SortKey {
        let object = match self.target.extension {
            None => Some(view),
            Some(extension) => view.get(extension.id.as_ref()).and_then(Value::as_object),
        };
        let value = object.and_then(|o| o.get(self.target.attribute.name.as_ref()));
        let value = match value {
            Some(Value::Array(values)) => {
                let primary = values.iter().find(|v| v.get("primary") == Some(&Value::Bool(true)));
                primary.or_else(|| values.first())
            }
            other => other,
        };
        let value = match self.target.sub {
            Some(sub) => value.and_then(|v| v.get(sub.name.as_ref())),
            None => value,
        };
        match value {
            Some(Value::String(text)) if self.target.leaf().kind == Type::DateTime => {
                datetime::parse(text).map_or(SortKey::Absent, SortKey::Instant)
            }
            Some(Value::String(text)) if self.target.leaf().folds_case() => SortKey::Text(start(&fold_case(text))),
            Some(Value::String(text)) => SortKey::Text(start(text)),
            Some(Value::Number(number)) => number.as_f64().map_or(SortKey::Absent, SortKey::Number),
            Some(Value::Bool(value)) => SortKey::Text(value.to_string()),
            _ => SortKey::Absent,
        }
    }
}

/// As much of a text as decides.
fn start(text: &str) -> String {
    text[..text.floor_char_boundary(limits::SORT_KEY_BYTES)].to_owned()
}

fn rank(a: &SortKey, b: &SortKey) -> Ordering {
    match (a, b) {
        (SortKey::Number(a), SortKey::Number(b)) => a.total_cmp(b),
        (SortKey::Instant(a), SortKey::Instant(b)) => a.cmp(b),
        (SortKey::Text(a), SortKey::Text(b)) => a.cmp(b),
        (SortKey::Absent, SortKey::Absent) => Ordering::Equal,
        // Two types of resource may have attributes of one name and two kinds.
        (a, b) => kind(a).cmp(&kind(b)),
    }
}

/// What has no value comes last in ascending order (§3.4.2.3).
fn kind(key: &SortKey) -> u8 {
    match key {
        SortKey::Number(_) => 0,
        SortKey::Instant(_) => 1,
        SortKey::Text(_) => 2,
        SortKey::Absent => 3,
    }
}
