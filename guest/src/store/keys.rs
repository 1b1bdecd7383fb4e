//! The only place that builds or splits keys. One tenant's key space, by first byte:
//!
//! | key | value |
//! |---|---|
//! | `d` type 0 id | the document (see `repo`) |
//! | `a` id | type 0 display name: the resource lives. Small, so that others may check it instead of the document |
//! | `u` type 0 attribute 0 value | id: who holds a unique value |
//! | `i` type 0 attribute 0 value 0 1 id | nothing: a secondary index; `value` is escaped and cut |
//! | `i` type 0 attribute 0 FF 0 1 id | nothing: the same of a resource without a value, after all that have one |
//! | `m` id 0 member | member's type 0 display name: a member of a group |
//! | `g` id | counter: changes of the edges at this resource, and what it is a member of (see `edges::EdgeCounter`) |
//! | `g` member 0 id | nothing: the same edge, seen from the member; next to the member's counter, with which it is read |
//! | `c` id | counter: members of this resource |
//! | `t` id | when its members last changed: milliseconds, 8 bytes, little-endian |
//! | `x` id | nothing: a deleted resource whose edges are still to be swept |
//! | `x` FF time id | nothing: the tombstone of a deleted resource, in the order of time (8 bytes, big-endian) |
//! | `y` time digest | nothing: an answer kept for an `Idempotency-Key`, in the order of time (8 bytes, big-endian) |
//! | `s` | the last key made under `x` or `y`, until none of them is left |
//! | `o` id | such a tombstone (see `tombstones`) |
//! | `j` digest | id: the deleted resource that had a value which a POST may find it by |
//! | `k` digest | such an answer (see `answers`) |
//! | `k` digest number | a part of its body; the number has 4 bytes, big-endian |
//! | `n` type | counter: resources of the type |
//! | `b` type 0 digits prefix | counter: resources of the type whose ids start so; digits is the prefix's length, 1 byte |
//! | `p` id | the hash of a password |
//! | `q` | the key that authenticates cursors: 32 random bytes |
//! | `z` | the tenant's configuration |
//! | `zv` | its version: 8 bytes, little-endian; every write checks it |
//! | `w` digest tolerance 0 outcome | a tolerance that a client has needed (see `sightings`); the digest is its subject's |
//! | `l` sequence | the log (see `log`) |
//!
//! Ids never hold a NUL byte and type and attribute names are schema names, so the separators are unambiguous.

use std::ops::Bound;

use sha2::{Digest as _, Sha256};

use crate::limits;
use crate::resource::Timestamp;
use crate::schema::order::{self, Span};
use crate::schema::{Attribute, Keyed, ResourceType, Target, fold_case};

use super::{Key, KeyRange};

/// A SHA-256 digest, as a name of fixed length.
pub type Digest = [u8; 32];

/// Bytes of an id that this server could have made, at most.
const MAX_ID: usize = 64;

/// Whether `id` could be an id at all: anything else is not found, and never becomes part of a key.
pub fn is_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= MAX_ID && id.bytes().all(|b| b.is_ascii_graphic())
}

/// The document of a resource.
pub fn document(resource_type: &ResourceType, id: &str) -> Key {
    join(b'd', &[resource_type.name.as_bytes(), id.as_bytes()])
}

/// All documents of a type, in the order of creation (ids grow with time).
pub fn documents(resource_type: &ResourceType) -> KeyRange {
    below(join(b'd', &[resource_type.name.as_bytes(), b""]))
}

/// That a resource lives.
pub fn alive(id: &str) -> Key {
    join(b'a', &[id.as_bytes()])
}

/// Who holds a value of a unique attribute.
pub fn unique(resource_type: &ResourceType, target: &Target<'_>, value: &str) -> Key {
    let value = comparable(target.leaf(), value);
    join(b'u', &[resource_type.name.as_bytes(), target.name().as_bytes(), value.as_bytes()])
}

/// All keys of one attribute: its unique values or its secondary index.
pub fn keyed(keyed: &Keyed) -> KeyRange {
    let tag = if keyed.unique { b'u' } else { b'i' };
    below(join(tag, &[keyed.resource_type.as_bytes(), keyed.attribute.as_bytes(), b""]))
}

/// One entry of a secondary index.
pub fn index(resource_type: &ResourceType, target: &Target<'_>, value: &str, id: &str) -> Key {
    let mut key = index_prefix(resource_type, target, value);
    key.extend_from_slice(&END);
    key.extend_from_slice(id.as_bytes());
    key
}

/// The entry of a resource without a value.
pub fn index_absent(resource_type: &ResourceType, target: &Target<'_>, id: &str) -> Key {
    let mut key = index_base(resource_type, target);
    key.push(ABSENT);
    key.extend_from_slice(&END);
    key.extend_from_slice(id.as_bytes());
    key
}

/// The entries of a secondary index whose values lie in a span; where it ends at a value that is too long for a key, also
/// some of those that share its beginning.
pub fn index_span(resource_type: &ResourceType, target: &Target<'_>, span: &Span<'_>) -> KeyRange {
    let prefix = |value: &str| index_prefix(resource_type, target, value);
    let (from, to) = match span {
        Span::Equal(value) => return below([prefix(value).as_slice(), &END].concat()),
        Span::StartsWith(start) => return below(prefix(start)),
        Span::Absent => {
            return below([index_base(resource_type, target).as_slice(), &[ABSENT], &END].concat());
        }
        Span::Between(from, to) => (from, to),
    };
    let around = |value: &str| below(prefix(&value[..value.floor_char_boundary(order::WHOLE_BYTES)]));
    let start = match from {
        Bound::Unbounded => index_base(resource_type, target),
        Bound::Excluded(value) | Bound::Included(value) if !order::is_whole(value) => around(value).start,
        Bound::Excluded(value) => [prefix(value).as_slice(), &BEYOND].concat(),
        Bound::Included(value) => [prefix(value).as_slice(), &END].concat(),
    };
    let end = match to {
        Bound::Unbounded => [index_base(resource_type, target).as_slice(), &[ABSENT]].concat(),
        Bound::Excluded(value) | Bound::Included(value) if !order::is_whole(value) => around(value).end,
        Bound::Excluded(value) => [prefix(value).as_slice(), &END].concat(),
        Bound::Included(value) => [prefix(value).as_slice(), &BEYOND].concat(),
    };
    KeyRange { start, end }
}

/// The entries of an index that have the value of this one.
pub fn index_siblings(key: &[u8]) -> KeyRange {
    let end = key.iter().rposition(|byte| *byte == END[1]).map_or(0, |at| at + 1);
    below(key[..end].to_vec())
}

/// The entry of one resource among those of one value, whose range it is.
pub fn index_of(equal: &KeyRange, id: &str) -> Key {
    [equal.start.as_slice(), id.as_bytes()].concat()
}

/// The value in the key of an index entry; `None` in that of a resource without one.
pub fn index_value(resource_type: &ResourceType, target: &Target<'_>, key: &[u8]) -> Option<String> {
    let escaped = key.get(index_base(resource_type, target).len()..)?;
    let escaped = &escaped[..escaped.windows(2).position(|pair| pair == END)?];
    let mut value = Vec::with_capacity(escaped.len());
    let mut bytes = escaped.iter();
    while let Some(byte) = bytes.next() {
        value.push(*byte);
        if *byte == 0 {
            bytes.next();
        }
    }
    // What stands for no value is not UTF-8.
    String::from_utf8(value).ok()
}

/// Ends a value in an index key. Within one, a NUL byte is followed by FF.
const END: [u8; 2] = [0, 1];
/// Comes after all entries with one value and before those of the next.
const BEYOND: [u8; 2] = [0, 2];
/// Stands for no value; no byte of UTF-8 is as great.
const ABSENT: u8 = 0xFF;

fn index_base(resource_type: &ResourceType, target: &Target<'_>) -> Key {
    join(b'i', &[resource_type.name.as_bytes(), target.name().as_bytes(), b""])
}

fn index_prefix(resource_type: &ResourceType, target: &Target<'_>, value: &str) -> Key {
    let value = comparable(target.leaf(), value);
    let mut key = index_base(resource_type, target);
    for byte in value[..value.floor_char_boundary(limits::INDEX_VALUE_BYTES)].bytes() {
        key.push(byte);
        if byte == 0 {
            key.push(0xFF);
        }
    }
    key
}

/// One member of a resource.
pub fn member(id: &str, member: &str) -> Key {
    join(b'm', &[id.as_bytes(), member.as_bytes()])
}

/// All members of a resource.
pub fn members(id: &str) -> KeyRange {
    below(join(b'm', &[id.as_bytes(), b""]))
}

/// One edge, seen from the member.
pub fn membership(member: &str, id: &str) -> Key {
    join(b'g', &[member.as_bytes(), id.as_bytes()])
}

/// All edges, seen from the member.
pub fn memberships(member: &str) -> KeyRange {
    below(join(b'g', &[member.as_bytes(), b""]))
}

/// What leads from the entries of [`memberships`] to [`alive`] and [`edge_revision`] of what they are memberships of.
pub fn of_holders() -> [Key; 2] {
    [alive(""), edge_revision("")]
}

/// Counts the changes of the edges at a resource.
pub fn edge_revision(id: &str) -> Key {
    join(b'g', &[id.as_bytes()])
}

/// Counts the members of a resource.
pub fn member_count(id: &str) -> Key {
    join(b'c', &[id.as_bytes()])
}

/// When the members of a resource last changed.
pub fn members_modified(id: &str) -> Key {
    join(b't', &[id.as_bytes()])
}

/// A deleted resource whose edges are still to be swept.
pub fn gone(id: &str) -> Key {
    join(b'x', &[id.as_bytes()])
}

/// All of those.
pub fn all_gone() -> KeyRange {
    KeyRange { start: vec![b'x'], end: TOMBSTONES.to_vec() }
}

/// That there may be something [`to_sweep`].
pub fn marked() -> Key {
    vec![b's']
}

/// All that maintenance is to remove, what can go at once first: deleted resources, then tombstones by age, then kept answers
/// by age.
pub fn to_sweep() -> KeyRange {
    KeyRange { start: vec![b'x'], end: vec![b'y' + 1] }
}

/// The answer that is kept under a name.
pub fn answer(name: &Digest) -> Key {
    join(b'k', &[name])
}

/// A part of its body.
pub fn answer_part(name: &Digest, number: u32) -> Key {
    let mut key = answer(name);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// When it was given.
pub fn answer_time(time: Timestamp, name: &Digest) -> Key {
    let mut key = vec![b'y'];
    key.extend_from_slice(&time.to_be_bytes());
    key.extend_from_slice(name);
    key
}

/// All answers given before `time`, the oldest first.
pub fn answers_before(time: Timestamp) -> KeyRange {
    let mut end = vec![b'y'];
    end.extend_from_slice(&time.to_be_bytes());
    KeyRange { start: vec![b'y'], end }
}

/// The name in an [`answer_time`] key; `None` for any other key.
pub fn answer_name(key: &[u8]) -> Option<Digest> {
    match key {
        [b'y', rest @ ..] => rest.get(size_of::<Timestamp>()..)?.try_into().ok(),
        _ => None,
    }
}

/// The tombstone of a deleted resource.
pub fn tombstone(id: &str) -> Key {
    join(b'o', &[id.as_bytes()])
}

/// When the resource was deleted.
pub fn tombstone_time(time: Timestamp, id: &str) -> Key {
    let mut key = tombstones_at(time);
    key.extend_from_slice(id.as_bytes());
    key
}

/// All tombstones of what was deleted before `time`, the oldest first.
pub fn tombstones_before(time: Timestamp) -> KeyRange {
    KeyRange { start: TOMBSTONES.to_vec(), end: tombstones_at(time) }
}

/// The time and the id in a [`tombstone_time`] key; `None` for any other key.
pub fn tombstone_id(key: &[u8]) -> Option<(Timestamp, &str)> {
    let (time, id) = key.strip_prefix(&TOMBSTONES)?.split_first_chunk()?;
    Some((Timestamp::from_be_bytes(*time), std::str::from_utf8(id).ok()?))
}

// After all ids, which are ASCII.
const TOMBSTONES: [u8; 2] = [b'x', 0xFF];

fn tombstones_at(time: Timestamp) -> Key {
    let mut key = TOMBSTONES.to_vec();
    key.extend_from_slice(&time.to_be_bytes());
    key
}

/// The deleted resource that had a value, as [`value_digest`] has it.
pub fn former_holder(value: &Digest) -> Key {
    join(b'j', &[value])
}

/// Stands for a value that a resource of this type had, as it compares, without telling which it was.
pub fn value_digest(resource_type: &ResourceType, target: &Target<'_>, value: &str) -> Digest {
    Sha256::digest(unique(resource_type, target, value)).into()
}

/// Counts the resources of a type.
pub fn resource_count(resource_type: &ResourceType) -> Key {
    join(b'n', &[resource_type.name.as_bytes()])
}

/// Counts the resources of a type whose ids have this prefix of `length` digits; a shorter id is its own prefix.
pub fn prefix_count(resource_type: &ResourceType, length: usize, prefix: &str) -> Key {
    let mut key = prefix_level(resource_type, length);
    key.extend_from_slice(prefix.as_bytes());
    key
}

/// All those counters for prefixes of one length that start with `prefix`, in the order of ids.
pub fn prefix_counts(resource_type: &ResourceType, length: usize, prefix: &str) -> KeyRange {
    let mut key = prefix_level(resource_type, length);
    key.extend_from_slice(prefix.as_bytes());
    below(key)
}

/// The prefix that such a key counts.
pub fn counted_prefix<'k>(resource_type: &ResourceType, key: &'k [u8]) -> &'k str {
    let at = prefix_level(resource_type, 0).len();
    key.get(at..).and_then(|prefix| std::str::from_utf8(prefix).ok()).unwrap_or_default()
}

fn prefix_level(resource_type: &ResourceType, length: usize) -> Key {
    let mut key = join(b'b', &[resource_type.name.as_bytes(), b""]);
    // Ids are no longer than `MAX_ID`, so that this is one byte, and never 0, which separates.
    key.push(u8::try_from(length).unwrap_or(u8::MAX));
    key
}

/// The documents of a type from the first whose id starts with `prefix`, or comes after it, on.
pub fn documents_from(resource_type: &ResourceType, prefix: &str) -> KeyRange {
    KeyRange { start: document(resource_type, prefix), end: documents(resource_type).end }
}

/// The key that authenticates cursors.
pub fn cursor_key() -> Key {
    vec![b'q']
}

/// The tenant's configuration.
pub fn tenant() -> Key {
    vec![b'z']
}

/// The version of the tenant's configuration.
pub fn tenant_version() -> Key {
    vec![b'z', b'v']
}

/// The hash of a resource's password.
pub fn password(id: &str) -> Key {
    join(b'p', &[id.as_bytes()])
}

/// Where the log is appended.
pub fn log() -> Key {
    vec![b'l']
}

/// The whole log, oldest first.
pub fn log_records() -> KeyRange {
    below(log())
}

/// The log after the record with this sequence number.
pub fn log_after(sequence: u64) -> KeyRange {
    let last = [log().as_slice(), &sequence.to_be_bytes()].concat();
    after(&log_records(), &last)
}

/// The sequence number of a log record's key.
pub fn log_sequence(key: &[u8]) -> u64 {
    key.get(1..).and_then(|tail| tail.try_into().ok()).map_or(0, u64::from_be_bytes)
}

/// A tolerance that a client has needed, accepted or refused.
pub fn sighting(subject: &str, tolerance: &str, refused: bool) -> Key {
    // A digest, since nothing bounds a subject's length but its host.
    let digest: Digest = Sha256::digest(subject).into();
    let outcome: &[u8] = if refused { b"refused" } else { b"accepted" };
    let mut key = join(b'w', &[&digest]);
    key.extend_from_slice(&join(b'-', &[tolerance.as_bytes(), outcome])[1..]);
    key
}

/// All of those.
pub fn sightings() -> KeyRange {
    below(vec![b'w'])
}

/// The id at the end of a document, index, member or membership key: what follows the last separator.
pub fn last_part(key: &[u8]) -> String {
    let start = key.iter().rposition(|byte| matches!(byte, 0 | 1)).map_or(1, |at| at + 1);
    String::from_utf8_lossy(&key[start.min(key.len())..]).into_owned()
}

/// The value as it is compared: folded unless the attribute is `caseExact`.
pub fn comparable<'v>(attribute: &Attribute, value: &'v str) -> std::borrow::Cow<'v, str> {
    if attribute.folds_case() { fold_case(value) } else { value.into() }
}

/// The range that goes on after `key`.
pub fn after(range: &KeyRange, key: &[u8]) -> KeyRange {
    let mut start = key.to_vec();
    start.push(0);
    KeyRange { start, end: range.end.clone() }
}

fn join(tag: u8, parts: &[&[u8]]) -> Key {
    let mut key = Vec::with_capacity(parts.iter().map(|part| part.len() + 1).sum());
    key.push(tag);
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            key.push(0);
        }
        key.extend_from_slice(part);
    }
    key
}

/// The keys that start with `prefix`.
fn below(prefix: Key) -> KeyRange {
    let mut end = prefix.clone();
    while let Some(last) = end.pop() {
        if last < 0xFF {
            end.push(last + 1);
            break;
        }
    }
    KeyRange { start: prefix, end }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::REGISTRY;

    fn user() -> &'static ResourceType {
        REGISTRY.by_name("User").unwrap()
    }

    fn within(range: &KeyRange, key: &Key) -> bool {
        range.start <= *key && *key < range.end
    }

    #[test]
    fn a_range_holds_its_own_keys_and_no_others() {
        assert!(within(&documents(user()), &document(user(), "1")));
        assert!(within(&members("a"), &member("a", "b")));
        assert!(!within(&members("a"), &member("ab", "b")));
        assert!(!within(&memberships("a"), &membership("aa", "b")));
        assert!(within(&log_records(), &[b"l".as_slice(), &u64::MAX.to_be_bytes()].concat()));
    }

    #[test]
    fn index_keys_keep_the_order_of_values_and_the_id() {
        let target = user().resolve(None, "userName", None).unwrap();
        let key = |value: &str| index(user(), &target, value, "id-1");
        assert!(key("a") < key("a\0"));
        assert!(key("a\0") < key("ab"));
        assert_eq!(key("Ab"), key("aB"));
        assert_eq!(last_part(&key("x\0y")), "id-1");
        let span = |span: Span<'_>| index_span(user(), &target, &span);
        let equal = span(Span::Equal("a".into()));
        assert!(within(&equal, &key("a")) && !within(&equal, &key("a\0")) && !within(&equal, &key("ab")));
        assert!(within(&span(Span::StartsWith("A".into())), &key("ab")));
        let long = "é".repeat(1000);
        assert!(within(&span(Span::Equal(long.as_str().into())), &key(&long)));
        assert!(key(&long).len() < 512);
    }

    #[test]
    fn spans_of_an_index_hold_what_lies_between() {
        let target = user().resolve(None, "userName", None).unwrap();
        let values = ["", "a", "a\0", "a\0b", "ab", "b", "é"];
        let key = |value: &str| index(user(), &target, value, "1");
        let absent = index_absent(user(), &target, "1");
        for (i, at) in values.into_iter().enumerate() {
            assert_eq!(index_value(user(), &target, &key(at)).as_deref(), Some(at));
            assert!(within(&index_siblings(&key(at)), &index(user(), &target, at, "2")));
            let span = |from, to| index_span(user(), &target, &Span::Between(from, to));
            let (above, from) = (span(Bound::Excluded(at.into()), Bound::Unbounded), Bound::Included(at.into()));
            let (below, to) = (span(Bound::Unbounded, Bound::Excluded(at.into())), Bound::Included(at.into()));
            let (from, to) = (span(from, Bound::Unbounded), span(Bound::Unbounded, to));
            for (j, other) in values.into_iter().enumerate() {
                let found = [&below, &to, &from, &above].map(|range| within(range, &key(other)));
                assert_eq!(found, [j < i, j <= i, j >= i, j > i], "{other:?} by {at:?}");
                let siblings = index_siblings(&key(at));
                assert_eq!(within(&siblings, &key(other)), i == j);
            }
            assert!(!within(&above, &absent));
        }
        assert!(within(&index_span(user(), &target, &Span::Absent), &absent));
        assert!(!within(&index_span(user(), &target, &Span::ALL), &absent));
        assert_eq!(index_value(user(), &target, &absent), None);
    }

    #[test]
    fn the_last_part_of_every_key_is_its_id() {
        assert_eq!(last_part(&document(user(), "7")), "7");
        assert_eq!(last_part(&gone("7")), "7");
        assert_eq!(last_part(&member("g", "7")), "7");
    }

    #[test]
    fn answers_are_swept_after_the_deleted_and_by_age() {
        let (old, new) = (answer_time(255, &[1; 32]), answer_time(256, &[0; 32]));
        assert!(gone("7") < old && old < new);
        assert!([&gone("7"), &old, &new].iter().all(|key| within(&to_sweep(), key)));
        assert!(within(&answers_before(256), &old) && !within(&answers_before(256), &new));
        assert_eq!((answer_name(&old), answer_name(&gone("7"))), (Some([1; 32]), None));
        assert_ne!(answer(&[1; 32]), answer_part(&[1; 32], 0));
        // The id of a tombstone may be as long as a digest.
        let id = "i".repeat(32);
        let (first, second) = (tombstone_time(255, &id), tombstone_time(256, "a"));
        assert!(gone("~") < first && first < second && second < old && within(&to_sweep(), &first));
        assert!(within(&all_gone(), &gone("~")) && !within(&all_gone(), &first));
        assert!(within(&tombstones_before(256), &first) && !within(&tombstones_before(256), &second));
        assert!(!within(&tombstones_before(u64::MAX), &old) && !within(&tombstones_before(256), &gone("~")));
        assert_eq!((answer_name(&first), tombstone_id(&first)), (None, Some((255, id.as_str()))));
        assert_eq!((tombstone_id(&old), tombstone_id(&gone("7"))), (None, None));
    }

    #[test]
    fn only_printable_ascii_is_an_id() {
        assert!(is_id("0193-a"));
        assert!(!is_id(""));
        assert!(!is_id("a\0b"));
        assert!(!is_id("é"));
        assert!(!is_id(&"x".repeat(65)));
    }
}
