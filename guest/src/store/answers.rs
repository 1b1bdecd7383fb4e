//! Answers kept for a day, so that a repeated request gets the first one again (`Idempotency-Key`).
//!
//! An answer is written in the commit of the change that it tells of, and the key that it is kept under is checked absent
//! there: of two equal requests at once, one executes, and the other starts again and finds the answer. A body longer than
//! [`limits::ANSWER_PART_BYTES`] is kept in parts, so that no answer is too large to be kept.

use serde::{Deserialize, Serialize};

use crate::error::{ErrorKind, Result, ScimError};
use crate::limits;
use crate::resource::Timestamp;

use super::keys::Digest;
use super::{Key, Mode, Read, Store, Txn, keys, sweep, transact};

/// What a request was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Tells the request apart from others: the digest of its parts.
    pub fingerprint: Digest,
    /// The HTTP status.
    pub status: u16,
    /// Names and values of the header fields.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

/// Everything but the body, as stored under [`keys::answer`].
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    time: Timestamp,
    fingerprint: Digest,
    status: u16,
    headers: Vec<(String, String)>,
    parts: u32,
}

impl Head {
    fn decode(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|error| {
            ScimError::new(ErrorKind::Internal, "The server failed to read the answer kept for this Idempotency-Key.")
                .with_log(error.to_string())
        })
    }

    /// The keys of the body's parts.
    fn parts(&self, name: &Digest) -> Vec<Key> {
        (0..self.parts).map(|number| keys::answer_part(name, number)).collect()
    }
}

/// The answer kept under `name`, unless it is older than [`limits::IDEMPOTENCY_MILLISECONDS`].
pub fn find(reader: &impl Read, name: &Digest, now: Timestamp) -> Result<Option<Answer>> {
    let Some(head) = reader.peek_one(keys::answer(name))? else { return Ok(None) };
    let head = Head::decode(&head)?;
    if expired(head.time, now) {
        return Ok(None);
    }
    let mut body = Vec::new();
    for part in reader.peek(&head.parts(name))? {
        // A part that is missing was swept since the head was read: the answer had expired by another clock.
        let Some(part) = part else { return Ok(None) };
        body.extend(part);
    }
    let Head { fingerprint, status, headers, .. } = head;
    Ok(Some(Answer { fingerprint, status, headers, body }))
}

/// Keep an answer under `name`, where `find` has found none; whoever keeps another there meanwhile wins.
pub fn keep<S: Store>(txn: &mut Txn<'_, S>, name: &Digest, answer: &Answer, now: Timestamp) -> Result<()> {
    forget(txn, name)?;
    let parts: Vec<&[u8]> = answer.body.chunks(limits::ANSWER_PART_BYTES).collect();
    let head = Head {
        time: now,
        fingerprint: answer.fingerprint,
        status: answer.status,
        headers: answer.headers.clone(),
        parts: u32::try_from(parts.len()).unwrap_or(u32::MAX),
    };
    let encoded = serde_json::to_vec(&head).map_err(|error| {
        ScimError::new(ErrorKind::Internal, "The server failed to keep the answer for this Idempotency-Key.")
            .with_log(error.to_string())
    })?;
    txn.put(keys::answer(name), encoded);
    sweep::mark(txn, keys::answer_time(now, name));
    for (key, part) in head.parts(name).into_iter().zip(parts) {
        txn.put(key, part.to_vec());
    }
    Ok(())
}

/// Remove up to [`limits::SWEEP_ANSWERS`] answers that have expired. Returns whether there were any.
pub fn sweep<S: Store>(store: &S, now: Timestamp) -> Result<bool> {
    let before = now.saturating_sub(limits::IDEMPOTENCY_MILLISECONDS);
    let due = store.entries(&keys::answers_before(before), true, limits::SWEEP_ANSWERS)?;
    if due.is_empty() {
        return Ok(false);
    }
    transact(store, Mode::Commit, |txn| {
        for entry in &due {
            let Some(name) = keys::answer_name(&entry.key) else { continue };
            // Another sweeper may have been here, and another answer may be kept under the name by now.
            if txn.read_one(&entry.key)?.is_some() {
                forget(txn, &name)?;
            }
        }
        Ok(true)
    })
}

/// Remove the answer kept under `name`, if there is one; none other must come there before the commit.
fn forget<S: Store>(txn: &mut Txn<'_, S>, name: &Digest) -> Result<()> {
    let Some(head) = txn.read_one(&keys::answer(name))? else { return Ok(()) };
    let head = Head::decode(&head)?;
    txn.delete(keys::answer(name));
    txn.delete(keys::answer_time(head.time, name));
    for key in head.parts(name) {
        txn.delete(key);
    }
    Ok(())
}

fn expired(time: Timestamp, now: Timestamp) -> bool {
    now.saturating_sub(time) > limits::IDEMPOTENCY_MILLISECONDS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::Memory;
    use crate::store::sweep;

    const DAY: Timestamp = limits::IDEMPOTENCY_MILLISECONDS;

    fn answer(body: usize) -> Answer {
        Answer {
            fingerprint: [7; 32],
            status: 201,
            headers: vec![("etag".into(), "W/\"1.0\"".into())],
            body: (0..body).map(|i| i.to_le_bytes()[0]).collect(),
        }
    }

    fn put(store: &Memory, name: u8, answer: &Answer, now: Timestamp) {
        transact(store, Mode::Commit, |txn| keep(txn, &[name; 32], answer, now)).unwrap();
    }

    #[test]
    fn answers_of_any_size_come_back_whole() {
        let store = Memory::default();
        for (name, size) in [0, 1, limits::ANSWER_PART_BYTES, 3 * limits::ANSWER_PART_BYTES + 1].into_iter().enumerate()
        {
            let name = u8::try_from(name).unwrap();
            put(&store, name, &answer(size), 5);
            assert_eq!(find(&store, &[name; 32], 5 + DAY), Ok(Some(answer(size))), "{size} bytes");
        }
        assert_eq!(find(&store, &[0; 32], 6 + DAY), Ok(None));
        assert!(store.dump().values().all(|value| value.len() <= limits::ANSWER_PART_BYTES));
    }

    #[test]
    fn what_has_expired_is_swept_and_nothing_else() {
        let store = Memory::default();
        put(&store, 1, &answer(2 * limits::ANSWER_PART_BYTES), 0);
        put(&store, 2, &answer(10), 1);
        assert_eq!(sweep::step(&store, DAY, 0), Ok(false));
        assert_eq!(sweep::step(&store, DAY + 1, 0), Ok(true));
        assert_eq!(find(&store, &[2; 32], DAY + 1), Ok(Some(answer(10))));
        assert_eq!(store.dump().len(), 4);
        assert_eq!(sweep::step(&store, DAY + 2, 0), Ok(true));
        assert_eq!(store.dump().into_keys().collect::<Vec<_>>(), [keys::marked()]);
        assert_eq!(sweep::step_if_marked(&store, &store, DAY + 2, 0), Ok(false));
        assert!(store.dump().is_empty());
    }

    #[test]
    fn a_new_answer_under_an_old_name_outlives_the_sweeping_of_the_old() {
        let store = Memory::default();
        put(&store, 1, &answer(limits::ANSWER_PART_BYTES + 1), 0);
        put(&store, 1, &answer(3), 2 * DAY);
        assert_eq!(sweep::step(&store, 2 * DAY, 0), Ok(false));
        assert_eq!(find(&store, &[1; 32], 2 * DAY), Ok(Some(answer(3))));
        assert_eq!(store.dump().len(), 4);
    }
}
