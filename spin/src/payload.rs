//! A commit as JSON, for the function in PostgreSQL: Spin passes no arrays of bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use scimwell_storage_check::{Check, Mutation};

/// `{"checks": [[key, expected or null], …], "mutations": [[kind, key, …], …]}`, bytes as base64.
pub fn of(checks: &[Check], mutations: &[Mutation]) -> String {
    let bytes = |bytes: &[u8]| Value::String(STANDARD.encode(bytes));
    let checks: Vec<Value> =
        checks.iter().map(|check| json!([bytes(&check.key), check.expected.as_deref().map(bytes)])).collect();
    let mutations: Vec<Value> = mutations
        .iter()
        .map(|mutation| match mutation {
            Mutation::Put(key, value) => json!(["put", bytes(key), bytes(value)]),
            Mutation::Delete(key) => json!(["delete", bytes(key)]),
            Mutation::DeleteRange(range) => json!(["delete-range", bytes(&range.start), bytes(&range.end)]),
            Mutation::Add(key, by) => json!(["add", bytes(key), by]),
            Mutation::Append(prefix, value) => json!(["append", bytes(prefix), bytes(value)]),
        })
        .collect();
    json!({ "checks": checks, "mutations": mutations }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use scimwell_storage_check::KeyRange;

    #[test]
    fn everything_a_commit_may_hold() {
        let checks =
            [Check { key: vec![0, 255], expected: None }, Check { key: b"k".to_vec(), expected: Some(vec![]) }];
        let mutations = [
            Mutation::Put(b"k".to_vec(), b"v".to_vec()),
            Mutation::Delete(b"k".to_vec()),
            Mutation::DeleteRange(KeyRange { start: vec![], end: b"k".to_vec() }),
            Mutation::Add(b"k".to_vec(), i64::MIN),
            Mutation::Append(b"k".to_vec(), b"v".to_vec()),
        ];
        let expect = r#"{"checks":[["AP8=",null],["aw==",""]],"mutations":[["put","aw==","dg=="],["delete","aw=="],["delete-range","","aw=="],["add","aw==",-9223372036854775808],["append","aw==","dg=="]]}"#;
        assert_eq!(of(&checks, &mutations), expect);
    }
}
