//! A storage's calls as JSON, and what its answers mean: the protocol of docs/embedding.md, "Over the wire".
//!
//! `get`, `scan` and `read` of the WIT are one call here, `read`: keys and ranges are each a list.

use serde::{Deserialize, Serialize};

use crate::base64::{Received, Sent};
use crate::store::{Check, Entry, Key, KeyRange, Mutation, Outcome, Reading, ScanOptions, StoreError};

/// Bytes of an answer at most: a hundred of the largest values.
pub const ANSWER_BYTES: usize = 160 * 1024 * 1024;
/// Characters of an answer that is none which are passed on to the log.
const EXCERPT: usize = 200;
/// The largest integer that every JSON reader takes as it is (RFC 8259 §6). No range has as many entries to pass over.
const MAX_NUMBER: u64 = (1 << 53) - 1;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Read<'a> {
    tenant: &'a str,
    keys: Vec<Sent<'a>>,
    ranges: Vec<[Sent<'a>; 2]>,
    reverse: bool,
    keys_only: bool,
    skip: u64,
    limit: u32,
    /// Left out where it is empty, so that only who is asked it must know it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    follow: Vec<Sent<'a>>,
}

#[derive(Serialize)]
struct Count<'a> {
    tenant: &'a str,
    range: [Sent<'a>; 2],
}

#[derive(Serialize)]
struct Commit<'a> {
    tenant: &'a str,
    checks: Vec<(Sent<'a>, Option<Sent<'a>>)>,
    mutations: Vec<Change<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Change<'a> {
    Put(Sent<'a>, Sent<'a>),
    Delete(Sent<'a>),
    DeleteRange(Sent<'a>, Sent<'a>),
    /// The number in decimal: it has 64 bits.
    Add(Sent<'a>, String),
    Append(Sent<'a>, Sent<'a>),
}

#[derive(Deserialize)]
struct Found {
    values: Vec<Option<Received>>,
    entries: Vec<Vec<(Received, Received)>>,
    #[serde(default)]
    followed: Vec<Vec<Option<Received>>>,
}

#[derive(Deserialize)]
struct Counted {
    count: u64,
}

#[derive(Deserialize)]
struct Ended {
    outcome: Named,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Named {
    Committed,
    Conflict,
}

fn range(range: &KeyRange) -> [Sent<'_>; 2] {
    [Sent(&range.start), Sent(&range.end)]
}

fn json(body: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(body).map_err(|error| StoreError::Other(format!("the request is no JSON: {error}")))
}

/// The body of `read`.
pub fn read(
    tenant: &str,
    keys: &[Key],
    ranges: &[KeyRange],
    options: ScanOptions,
    follow: &[Key],
) -> Result<Vec<u8>, StoreError> {
    json(&Read {
        tenant,
        keys: keys.iter().map(|key| Sent(key)).collect(),
        ranges: ranges.iter().map(range).collect(),
        reverse: options.reverse,
        keys_only: options.keys_only,
        skip: options.skip.min(MAX_NUMBER),
        limit: options.limit,
        follow: follow.iter().map(|prefix| Sent(prefix)).collect(),
    })
}

/// The body of `count`.
pub fn count(tenant: &str, counted: &KeyRange) -> Result<Vec<u8>, StoreError> {
    json(&Count { tenant, range: range(counted) })
}

/// The body of `commit`.
pub fn commit(tenant: &str, checks: &[Check], mutations: &[Mutation]) -> Result<Vec<u8>, StoreError> {
    json(&Commit {
        tenant,
        checks: checks.iter().map(|check| (Sent(&check.key), check.expected.as_deref().map(Sent))).collect(),
        mutations: mutations.iter().map(change).collect(),
    })
}

fn change(mutation: &Mutation) -> Change<'_> {
    match mutation {
        Mutation::Put(entry) => Change::Put(Sent(&entry.key), Sent(&entry.value)),
        Mutation::Delete(key) => Change::Delete(Sent(key)),
        Mutation::DeleteRange(range) => Change::DeleteRange(Sent(&range.start), Sent(&range.end)),
        Mutation::Add(add) => Change::Add(Sent(&add.key), add.by.to_string()),
        Mutation::Append(record) => Change::Append(Sent(&record.prefix), Sent(&record.value)),
    }
}

/// What `read` found. What does not fit what was asked is no answer: the component would see that too, but a log line is
/// written here alone.
pub fn reading(
    body: &[u8],
    keys: &[Key],
    ranges: &[KeyRange],
    options: ScanOptions,
    follow: &[Key],
) -> Result<Reading, StoreError> {
    let Found { values, entries, followed } = parsed(body, r#"{"values": […], "entries": [[…], …]}"#)?;
    let wrong = |what: String| Err(StoreError::Other(what));
    if values.len() != keys.len() {
        return wrong(format!("{} keys were asked for, and {} values came", keys.len(), values.len()));
    }
    if entries.len() != ranges.len() {
        return wrong(format!("{} ranges were asked for, and the entries of {} came", ranges.len(), entries.len()));
    }
    let entry = |(Received(key), Received(value))| Entry { key, value };
    let entries: Vec<Vec<Entry>> = entries.into_iter().map(|found| found.into_iter().map(entry).collect()).collect();
    for (range, found) in ranges.iter().zip(&entries) {
        if found.len() > usize::try_from(options.limit).unwrap_or(usize::MAX) {
            return wrong(format!("{} entries came, and {} were wanted at most", found.len(), options.limit));
        }
        if found.iter().any(|entry| entry.key < range.start || entry.key >= range.end) {
            return wrong("an entry outside its range came".to_owned());
        }
        let ordered =
            |pair: &[Entry]| if options.reverse { pair[0].key > pair[1].key } else { pair[0].key < pair[1].key };
        if !found.windows(2).all(ordered) {
            return wrong("entries came that are not in the order of their bytes".to_owned());
        }
    }
    let wanted: Vec<usize> = match follow {
        [] => Vec::new(),
        _ => entries.iter().map(|entries| entries.len() * follow.len()).collect(),
    };
    let came: Vec<usize> = followed.iter().map(Vec::len).collect();
    if came != wanted {
        return wrong(format!(
            "`followed` should hold {wanted:?} values, one for each entry and prefix, and has {came:?}"
        ));
    }
    let bytes =
        |values: Vec<Option<Received>>| values.into_iter().map(|value| value.map(|Received(bytes)| bytes)).collect();
    Ok(Reading { values: bytes(values), entries, followed: followed.into_iter().map(bytes).collect() })
}

/// What `count` counted.
pub fn counted(body: &[u8]) -> Result<u64, StoreError> {
    Ok(parsed::<Counted>(body, r#"{"count": 7}"#)?.count)
}

/// How `commit` ended.
pub fn outcome(body: &[u8], checks: &[Check]) -> Result<Outcome, StoreError> {
    match parsed::<Ended>(body, r#"{"outcome": "committed"} or {"outcome": "conflict"}"#)?.outcome {
        Named::Committed => Ok(Outcome::Committed),
        Named::Conflict if checks.is_empty() => {
            Err(StoreError::Other("a commit without checks ended in a conflict".to_owned()))
        }
        Named::Conflict => Ok(Outcome::Conflict),
    }
}

fn parsed<'b, T: Deserialize<'b>>(body: &'b [u8], expected: &str) -> Result<T, StoreError> {
    serde_json::from_slice(body).map_err(|error| {
        // serde's words may quote what was found, which is somebody's data.
        let place = format!("line {} column {}", error.line(), error.column());
        StoreError::Other(format!("the answer is not {expected} with bytes in base64; it differs at {place}"))
    })
}

/// The answer's body, if its status says that it is one.
pub fn answered(status: u16, body: &[u8]) -> Result<(), StoreError> {
    let words = || {
        let text = String::from_utf8_lossy(body);
        let excerpt: String = text.trim().chars().filter(|c| !c.is_control()).take(EXCERPT).collect();
        format!("it answers {status}: {excerpt}")
    };
    match status {
        200 => Ok(()),
        401 => Err(StoreError::Other("it answers 401: SCIMWELL_STORAGE_TOKEN is not what it expects".to_owned())),
        403 => Err(StoreError::AccessDenied),
        413 => Err(StoreError::TooLarge),
        408 | 425 | 429 | 502 | 503 | 504 => Err(StoreError::Unavailable(words())),
        _ => Err(StoreError::Other(words())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: ScanOptions = ScanOptions { reverse: false, keys_only: true, skip: u64::MAX, limit: 2 };

    fn between(start: &str, end: &str) -> KeyRange {
        KeyRange { start: start.into(), end: end.into() }
    }

    fn text(body: Result<Vec<u8>, StoreError>) -> String {
        String::from_utf8(body.unwrap()).unwrap()
    }

    #[test]
    fn what_is_asked() {
        assert_eq!(
            text(read("acme", &[vec![0, 255]], &[between("a", "b")], OPTIONS, &[])),
            r#"{"tenant":"acme","keys":["AP8="],"ranges":[["YQ==","Yg=="]],"reverse":false,"keysOnly":true,"skip":9007199254740991,"limit":2}"#
        );
        let followed = text(read("acme", &[], &[], OPTIONS, &[b"a".to_vec(), vec![]]));
        assert!(followed.ends_with(r#""limit":2,"follow":["YQ==",""]}"#), "{followed}");
        assert_eq!(text(count("a\"", &between("", "b"))), r#"{"tenant":"a\"","range":["","Yg=="]}"#);
    }

    #[test]
    fn what_is_committed() {
        let entry = || Entry { key: b"k".into(), value: b"v".into() };
        let checks =
            [Check { key: b"k".into(), expected: None }, Check { key: b"k".into(), expected: Some(b"".into()) }];
        let mutations = [
            Mutation::Put(entry()),
            Mutation::Delete(b"k".into()),
            Mutation::DeleteRange(between("a", "b")),
            Mutation::Add(crate::store::Increment { key: b"k".into(), by: i64::MIN }),
            Mutation::Append(crate::store::LogEntry { prefix: b"k".into(), value: b"v".into() }),
        ];
        assert_eq!(
            text(commit("acme", &checks, &mutations)),
            r#"{"tenant":"acme","checks":[["aw==",null],["aw==",""]],"mutations":[{"put":["aw==","dg=="]},{"delete":"aw=="},{"deleteRange":["YQ==","Yg=="]},{"add":["aw==","-9223372036854775808"]},{"append":["aw==","dg=="]}]}"#
        );
    }

    #[track_caller]
    fn says<T: std::fmt::Debug>(found: Result<T, StoreError>, words: &str) {
        match found {
            Err(StoreError::Other(why)) => assert!(why.contains(words), "{why}"),
            other => panic!("expected {words:?}, found {other:?}"),
        }
    }

    #[test]
    fn what_was_found() {
        let read = |body: &str| reading(body.as_bytes(), &[b"k".to_vec()], &[between("a", "c")], OPTIONS, &[]);
        let found = read(r#"{"values": [null], "entries": [[["YQ==", ""], ["Yg==", ""]]], "took": 3}"#).unwrap();
        assert_eq!(found.values, [None]);
        assert_eq!(found.entries[0].iter().map(|entry| &entry.key[..]).collect::<Vec<_>>(), [b"a", b"b"]);
        says(read(r#"{"values": [], "entries": [[]]}"#), "1 keys were asked for, and 0 values came");
        says(read(r#"{"values": [null], "entries": []}"#), "1 ranges were asked for, and the entries of 0 came");
        says(read(r#"{"values": [null], "entries": [[["Yw==", ""]]]}"#), "outside its range");
        says(read(r#"{"values": [null], "entries": [[["Yg==", ""], ["YQ==", ""]]]}"#), "not in the order");
        says(read(r#"{"values": [null], "entries": [[["YQ==", ""], ["YQ==", ""]]]}"#), "not in the order");
        let many = r#"{"values": [null], "entries": [[["YQ==", ""], ["YWE=", ""], ["Yg==", ""]]]}"#;
        says(read(many), "3 entries came, and 2 were wanted at most");
        for nonsense in [
            "",
            "[]",
            "{}",
            "<html>",
            r#"{"values": ["S3CRET!"], "entries": [[]]}"#,
            r#"{"values": [7], "entries": []}"#,
        ] {
            says(read(nonsense), "with bytes in base64; it differs at line");
            assert!(!format!("{:?}", read(nonsense)).contains("S3CRET"));
        }
        let back = ScanOptions { reverse: true, ..OPTIONS };
        let body = br#"{"values": [], "entries": [[["Yg==", "dg=="], ["YQ==", "dg=="]]]}"#;
        assert_eq!(reading(body, &[], &[between("a", "c")], back, &[]).unwrap().entries[0].len(), 2);
        let led = |followed: &str| {
            let body = format!(r#"{{"values": [], "entries": [[["YQ==", ""]]], "followed": {followed}}}"#);
            reading(body.as_bytes(), &[], &[between("a", "c")], OPTIONS, &[b"x".to_vec(), b"y".to_vec()])
        };
        assert_eq!(led(r#"[[null, "dg=="]]"#).unwrap().followed, [[None, Some(b"v".to_vec())]]);
        for wrong in ["[]", "[[]]", "[[null]]", "[[null, null], []]"] {
            says(led(wrong), "`followed` should hold [2] values");
        }
    }

    #[test]
    fn how_it_ended() {
        let check = [Check { key: vec![], expected: None }];
        assert_eq!(outcome(br#"{"outcome": "committed"}"#, &[]).unwrap(), Outcome::Committed);
        assert_eq!(outcome(br#"{"outcome": "conflict"}"#, &check).unwrap(), Outcome::Conflict);
        says(outcome(br#"{"outcome": "conflict"}"#, &[]), "without checks");
        says(outcome(br#"{"outcome": "maybe"}"#, &[]), r#"not {"outcome": "committed"}"#);
        assert_eq!(counted(br#"{"count": 7}"#).unwrap(), 7);
        says(counted(br#"{"count": -7}"#), "not {\"count\": 7}");
    }

    #[test]
    fn statuses() {
        let check = |status| answered(status, b"<h1>gone\nwrong</h1>").unwrap_err();
        assert!(answered(200, b"").is_ok());
        assert!(matches!(check(403), StoreError::AccessDenied));
        assert!(matches!(check(413), StoreError::TooLarge));
        assert!(matches!(check(401), StoreError::Other(why) if why.contains("SCIMWELL_STORAGE_TOKEN")));
        assert!(matches!(check(503), StoreError::Unavailable(why) if why == "it answers 503: <h1>gonewrong</h1>"));
        for status in [201, 204, 301, 404, 500] {
            assert!(matches!(check(status), StoreError::Other(_)), "{status}");
        }
    }
}
