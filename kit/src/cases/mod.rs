//! The cases, by what they look at.

pub(crate) mod commits;
pub(crate) mod points;
pub(crate) mod races;
pub(crate) mod scans;
pub(crate) mod sizes;
pub(crate) mod tenants;

use crate::types::{Check, KeyRange, Mutation};

fn put(key: &str, value: &str) -> Mutation {
    Mutation::Put(key.into(), value.into())
}

fn delete(key: &str) -> Mutation {
    Mutation::Delete(key.into())
}

fn range(start: &str, end: &str) -> KeyRange {
    KeyRange { start: start.into(), end: end.into() }
}

fn range_deleted(start: &str, end: &str) -> Mutation {
    Mutation::DeleteRange(range(start, end))
}

fn add(key: &str, by: i64) -> Mutation {
    Mutation::Add(key.into(), by)
}

fn log(prefix: &str, value: &str) -> Mutation {
    Mutation::Append(prefix.into(), value.into())
}

fn is(key: &str, value: &str) -> Check {
    Check { key: key.into(), expected: Some(value.into()) }
}

fn is_absent(key: &str) -> Check {
    Check { key: key.into(), expected: None }
}
