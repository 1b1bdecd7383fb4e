//! `sortBy` and `sortOrder` (RFC 7644 §3.4.2.3).

use std::cmp::Ordering;

use serde_json::Value;

use crate::compat::Compat;
use crate::datetime;
use crate::error::{ErrorKind, Result, ScimError};
use crate::filter;
use crate::query::SortOrder;
use crate::resource::Object;
use crate::schema::{ResourceType, Target, Type, fold_case};

/// What resources are sorted by.
pub(super) struct Sort<'s> {
    target: Target<'s>,
    order: SortOrder,
}

/// The value that decides a resource's place.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum SortKey {
    /// Numbers, by value.
    Number(f64),
    /// Instants, in nanoseconds.
    Instant(i128),
    /// Strings, folded unless the attribute is `caseExact`; booleans by their names.
    Text(String),
    /// No value: last in ascending order, first in descending order.
    Absent,
}

impl<'s> Sort<'s> {
    /// What `sortBy` names, or 400 invalidValue: invalidPath is about PATCH (RFC 7644 §3.12, table 9).
    pub(super) fn parse(
        resource_type: &'s ResourceType,
        sort_by: &str,
        order: SortOrder,
        compat: &mut Compat,
    ) -> Result<Self> {
        let error = |why: &str| ScimError::new(ErrorKind::InvalidValue, format!("sortBy=`{sort_by}`: {why}"));
        let invalid = |why: &str| Err(error(why));
        let path = filter::parse_path(sort_by, compat).map_err(|unparsed| error(&unparsed.detail))?;
        if path.filter.is_some() {
            return invalid("it takes an attribute without a value filter");
        }
        let name = &path.attribute;
        let Some(mut target) = resource_type.resolve(name.urn.as_deref(), &name.name, name.sub.as_deref()) else {
            return invalid("the schema has no such attribute; GET /Schemas lists what there is");
        };
        if target.leaf().kind == Type::Complex {
            // A complex attribute is compared by its `value`.
            let Some(value) = target.attribute.sub_attribute("value") else {
                return invalid("the attribute is complex; name one of its sub-attributes after a dot");
            };
            target.sub = Some(value);
        }
        Ok(Self { target, order })
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
            Some(Value::String(text)) if self.target.leaf().folds_case() => SortKey::Text(fold_case(text).into_owned()),
            Some(Value::String(text)) => SortKey::Text(text.clone()),
            Some(Value::Number(number)) => number.as_f64().map_or(SortKey::Absent, SortKey::Number),
            Some(Value::Bool(value)) => SortKey::Text(value.to_string()),
            _ => SortKey::Absent,
        }
    }

    /// The order of two resources; the id decides between equals, so that pages are stable.
    pub(super) fn compare(&self, a: &(SortKey, String), b: &(SortKey, String)) -> Ordering {
        let by_key = match self.order {
            SortOrder::Ascending => rank(&a.0, &b.0),
            SortOrder::Descending => rank(&b.0, &a.0),
        };
        by_key.then_with(|| a.1.cmp(&b.1))
    }
}

fn rank(a: &SortKey, b: &SortKey) -> Ordering {
    match (a, b) {
        (SortKey::Number(a), SortKey::Number(b)) => a.total_cmp(b),
        (SortKey::Instant(a), SortKey::Instant(b)) => a.cmp(b),
        (SortKey::Text(a), SortKey::Text(b)) => a.cmp(b),
        (SortKey::Absent, SortKey::Absent) => Ordering::Equal,
        (SortKey::Absent, _) => Ordering::Greater,
        (_, SortKey::Absent) => Ordering::Less,
        // One attribute has one type, so keys of two kinds never meet.
        _ => Ordering::Equal,
    }
}
