//! `Idempotency-Key` on POST of a resource and on Bulk: a repeated request gets the first answer and executes no more.
//!
//! The answer (status, header fields, body) is kept for [`limits::IDEMPOTENCY_MILLISECONDS`], for each subject and key, in
//! the commit of what the request changed. So of two equal requests at once exactly one executes, and an answer is never
//! kept without its change nor lost after it. A repeat is answered with `idempotent-replayed: true`; the same key with
//! another request is 400. Errors are not kept, since nothing happened. A dry run neither keeps nor repeats anything.
//!
//! A bulk request with a key is one commit, its operations failing alone as ever.

use sha2::{Digest as _, Sha256};

use crate::error::{ErrorKind, Result, ScimError};
use crate::host::Host;
use crate::http::{Header, Response};
use crate::limits;
use crate::resource::Timestamp;
use crate::store::answers::{self, Answer};
use crate::store::keys::{self, Digest};
use crate::store::{Mode, Read, Store, Txn};

use super::Context;

const HEADER: &str = "idempotency-key";
const REPLAYED: &str = "idempotent-replayed";

/// What makes a request happen once, where it has a key.
#[derive(Clone, Debug)]
pub(super) struct Once {
    key: Option<Key>,
    now: Timestamp,
}

#[derive(Clone, Debug)]
struct Key {
    /// Under which the answer is kept: subject and key. Another subject's key is another key.
    name: Digest,
    /// Which request it was.
    fingerprint: Digest,
}

impl Once {
    /// Of this request; 400 for a key that is empty, too long or not printable ASCII.
    pub(super) fn of<H: Host>(ctx: &Context<'_, H>) -> Result<Self> {
        let request = ctx.request;
        let key = match request.header(HEADER) {
            None => None,
            Some(_) if ctx.mode == Mode::Rehearse => None,
            Some(key) => {
                let printable = key.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
                if key.is_empty() || key.len() > limits::IDEMPOTENCY_KEY_BYTES || !printable {
                    return Err(invalid(&format!(
                        "a key has from 1 to {} printable ASCII characters, such as a UUID",
                        limits::IDEMPOTENCY_KEY_BYTES
                    )));
                }
                Some(Key {
                    name: digest(&[ctx.principal.subject.as_bytes(), key.as_bytes()]),
                    fingerprint: digest(&[request.method.as_bytes(), request.target.as_bytes(), &request.body]),
                })
            }
        };
        Ok(Self { key, now: ctx.now })
    }

    /// Whether the request has a key, so that all it does must be one commit.
    pub(super) fn wanted(&self) -> bool {
        self.key.is_some()
    }

    /// What the request was answered the first time; 400 where the key was used for another request.
    pub(super) fn first_answer(&self, reader: &impl Read) -> Result<Option<Response>> {
        let Some(key) = &self.key else { return Ok(None) };
        let Some(answer) = answers::find(reader, &key.name, self.now)? else { return Ok(None) };
        if answer.fingerprint != key.fingerprint {
            return Err(invalid(
                "the key was used for another request less than a day ago; use a new key for each new request, and send \
                 a repeated one unchanged",
            ));
        }
        let mut headers: Vec<Header> =
            answer.headers.into_iter().map(|(name, value)| Header::new(name, value)).collect();
        headers.push(Header::new(REPLAYED, "true"));
        Ok(Some(Response { status: answer.status, headers, body: answer.body, log: None }))
    }

    /// Run the request's operation, unless it has been; its answer is kept in the same transaction.
    pub(super) fn run<S: Store>(
        &self,
        txn: &mut Txn<'_, S>,
        operation: impl FnOnce(&mut Txn<'_, S>) -> Result<Response>,
    ) -> Result<Response> {
        let Some(key) = &self.key else { return operation(txn) };
        // Checked at the commit: a repeat that comes meanwhile makes one of the two start again, here.
        txn.read_one(&keys::answer(&key.name))?;
        if let Some(first) = self.first_answer(txn)? {
            return Ok(first);
        }
        let response = operation(txn)?;
        let answer = Answer {
            fingerprint: key.fingerprint,
            status: response.status,
            headers: response.headers.iter().map(|h| (h.name.clone(), h.value.clone())).collect(),
            body: response.body.clone(),
        };
        answers::keep(txn, &key.name, &answer, self.now)?;
        Ok(response)
    }
}

/// Of several parts, each with its length in front, so that no two lists of parts read the same.
fn digest(parts: &[&[u8]]) -> Digest {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

fn invalid(why: &str) -> ScimError {
    ScimError::new(ErrorKind::InvalidValue, format!("Idempotency-Key: {why}"))
}
