//! Values as text in which equal values are equal and the order of bytes is the order of values: what unique keys and
//! secondary indexes are made of.

use std::borrow::Cow;
use std::ops::Bound;

use serde_json::{Number, Value};

use super::{Attribute, Type, fold_case};
use crate::datetime;
use crate::limits;

/// Some of the values that an attribute can have, as texts: what one range of an index holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Span<'v> {
    /// This one.
    Equal(Cow<'v, str>),
    /// Those that start so.
    StartsWith(Cow<'v, str>),
    /// Those from one to another.
    Between(Bound<Cow<'v, str>>, Bound<Cow<'v, str>>),
    /// None at all. Only an attribute that has one value at most is in the index without one.
    Absent,
}

/// Bytes of a text up to which its place in an index is exact: a longer one is cut there, before a character of four bytes at
/// most, and so never to as few.
pub const WHOLE_BYTES: usize = limits::INDEX_VALUE_BYTES - 4;

/// Whether the place of a text in an index is exact.
pub fn is_whole(text: &str) -> bool {
    text.len() <= WHOLE_BYTES
}

impl Span<'_> {
    /// Every value there is.
    pub const ALL: Span<'static> = Span::Between(Bound::Unbounded, Bound::Unbounded);
}

/// The text of a stored value of this attribute; `None` where it has none (a complex or a binary value).
pub fn text<'v>(attribute: &Attribute, value: &'v Value) -> Option<Cow<'v, str>> {
    match (attribute.kind, value) {
        (Type::String | Type::Reference, Value::String(text)) if attribute.folds_case() => Some(fold_case(text)),
        (Type::String | Type::Reference, Value::String(text)) => Some(Cow::Borrowed(text)),
        (Type::Boolean, Value::Bool(value)) => Some(Cow::Borrowed(boolean(*value))),
        (Type::Integer | Type::Decimal, Value::Number(value)) => number(attribute, value).map(Cow::Owned),
        (Type::DateTime, Value::String(text)) => datetime::parse(text).map(|at| Cow::Owned(instant(at))),
        _ => None,
    }
}

/// A boolean as text.
pub fn boolean(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

/// A number as text; `None` for what an attribute of this type can't hold.
pub fn number(attribute: &Attribute, value: &Number) -> Option<String> {
    match attribute.kind {
        Type::Integer => value.as_i64().map(|value| format!("{:016x}", value.cast_unsigned() ^ (1 << 63))),
        // An integer beyond 2⁵³ shares its text with neighbours; whoever reads the index tests the value again.
        Type::Decimal => {
            let value = value.as_f64()?;
            // 0 and -0 are equal.
            let bits = if value == 0.0 { 0 } else { value.to_bits() };
            let ordered = if bits >> 63 == 0 { bits | 1 << 63 } else { !bits };
            Some(format!("{ordered:016x}"))
        }
        _ => None,
    }
}

/// An instant, in nanoseconds since 1970-01-01T00:00:00Z, as text.
pub fn instant(nanoseconds: i128) -> String {
    format!("{:032x}", nanoseconds.cast_unsigned() ^ (1 << 127))
}

/// The instant that a text of [`instant`] stands for.
pub fn from_instant(text: &str) -> Option<i128> {
    u128::from_str_radix(text, 16).ok().map(|bits| (bits ^ (1 << 127)).cast_signed())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(kind: Type, ascending: &[Value]) {
        let attribute = Attribute { name: "x".into(), kind, ..Attribute::default() };
        let texts: Vec<_> = ascending.iter().map(|value| text(&attribute, value).expect("has a text")).collect();
        assert!(texts.is_sorted_by(|a, b| a < b), "{texts:?}");
    }

    #[test]
    fn order_is_kept() {
        check(Type::Integer, &[json!(i64::MIN), json!(-7), json!(0), json!(1), json!(10), json!(i64::MAX)]);
        check(Type::Decimal, &[json!(-1e300), json!(-2), json!(-0.5), json!(0), json!(0.25), json!(3), json!(1e10)]);
        check(Type::Boolean, &[json!(false), json!(true)]);
        check(
            Type::DateTime,
            &[json!("1950-01-01T00:00:00Z"), json!("2026-01-01T01:00:00+02:00"), json!("2026-01-01T00:00:00Z")],
        );
        check(Type::String, &[json!("A"), json!("b"), json!("C")]);
    }

    #[test]
    fn instants_come_back() {
        for nanoseconds in [i128::MIN, -1, 0, 1_700_000_000_000_000_000, i128::MAX] {
            assert_eq!(from_instant(&instant(nanoseconds)), Some(nanoseconds));
        }
    }

    #[test]
    fn equal_values_have_one_text() {
        let of = |kind, value| text(&Attribute { kind, ..Attribute::default() }, &value).map(Cow::into_owned);
        assert_eq!(of(Type::Decimal, json!(-0.0)), of(Type::Decimal, json!(0)));
        assert_eq!(of(Type::Decimal, json!(5)), of(Type::Decimal, json!(5.0)));
        assert_eq!(
            of(Type::DateTime, json!("2026-01-01T01:00:00+01:00")),
            of(Type::DateTime, json!("2026-01-01T00:00:00Z"))
        );
        assert_eq!(of(Type::String, json!("É")), of(Type::String, json!("é")));
        assert_eq!(of(Type::Complex, json!({})), None);
    }
}
