//! Tolerances that requests have needed, by client: what the operator's report is made of.
//!
//! The log has those of changes; reads and refused requests leave no record there, and must not cost a commit each. So one
//! value for each client, tolerance and outcome tells that it was needed, and is written again only after an hour
//! ([`limits::SIGHTING_MILLISECONDS`]) or when it has something new to show: a request costs one more read, hardly ever more.

use serde::{Deserialize, Serialize};

use crate::compat::Tolerance;
use crate::error::{Result, ScimError};
use crate::limits;
use crate::resource::Timestamp;

use super::{Check, Mutation, Read, Store, failure, keys};

/// A tolerance that a client has needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sighted {
    /// The principal's subject.
    pub subject: String,
    /// What was needed.
    pub tolerance: Tolerance,
    /// The profile refused it.
    pub refused: bool,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub first: Timestamp,
    /// The same; up to an hour behind.
    pub last: Timestamp,
    /// Where it was needed.
    pub examples: Vec<Example>,
}

/// A request that needed a tolerance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Example {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub time: Timestamp,
    /// The client's product, as it calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// The HTTP method.
    pub method: String,
    /// The path, without its query.
    pub path: String,
    /// Where in the request.
    pub place: String,
    /// What stood there; absent where it has to do with a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<String>,
}

impl Example {
    /// Whether the other shows nothing that this one doesn't: a client needs a tolerance of an endpoint again and again.
    fn resembles(&self, other: &Self) -> bool {
        let endpoint = |example: &Self| example.path.split('/').find(|s| !s.is_empty()).map(str::to_ascii_lowercase);
        self.user_agent == other.user_agent && self.method == other.method && endpoint(self) == endpoint(other)
    }
}

/// Keep what a request of `subject` has needed, and whether it was refused. `complete` tells what stood at an example's
/// place; it is asked only for what is new.
pub fn note<S: Store>(
    store: &S,
    subject: &str,
    now: Timestamp,
    needed: &[(Tolerance, bool, Example)],
    complete: impl Fn(&Example) -> Option<String>,
) -> Result<()> {
    let names: Vec<_> =
        needed.iter().map(|(tolerance, refused, _)| keys::sighting(subject, tolerance.id(), *refused)).collect();
    let found = store.peek(&names)?;
    let (mut checks, mut mutations) = (Vec::new(), Vec::new());
    for ((key, stored), (tolerance, refused, example)) in names.into_iter().zip(found).zip(needed) {
        let known = stored.as_deref().and_then(|bytes| serde_json::from_slice::<Sighted>(bytes).ok());
        let mut sighted = known.unwrap_or_else(|| Sighted {
            subject: subject.to_owned(),
            tolerance: *tolerance,
            refused: *refused,
            first: now,
            last: 0,
            examples: Vec::new(),
        });
        let new = sighted.examples.len() < limits::SIGHTING_EXAMPLES
            && !sighted.examples.iter().any(|known| known.resembles(example));
        if !new && now.saturating_sub(sighted.last) < limits::SIGHTING_MILLISECONDS {
            continue;
        }
        sighted.last = sighted.last.max(now);
        if new {
            sighted.examples.push(Example { sent: complete(example), ..example.clone() });
        }
        let value = serde_json::to_vec(&sighted).map_err(|error| broken(&error))?;
        checks.push(Check { key: key.clone(), expected: stored });
        mutations.push(Mutation::Put(key, value));
    }
    if !mutations.is_empty() {
        // Whoever loses a race has been seen doing the same as the winner; the next request tells what is missing.
        store.commit(&checks, &mutations).map_err(failure)?;
    }
    Ok(())
}

/// All that is kept, by client. There are as many clients as tokens, and a fixed number of tolerances.
pub fn all(reader: &impl Read) -> Result<Vec<Sighted>> {
    let entries = reader.all_entries(&keys::sightings(), false)?;
    entries.iter().map(|entry| serde_json::from_slice(&entry.value).map_err(|error| broken(&error))).collect()
}

/// Forget all that is kept.
pub fn clear<S: Store>(store: &S) -> Result<()> {
    store.commit(&[], &[Mutation::DeleteRange(keys::sightings())]).map_err(failure).map(|_| ())
}

fn broken(error: &serde_json::Error) -> ScimError {
    ScimError::new(crate::error::ErrorKind::Internal, "The server failed to read what was tolerated.")
        .with_log(error.to_string())
}
