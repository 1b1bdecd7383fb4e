//! A batch of resources into the tenant: one bulk request, and another for what turns out to be there already.

use std::collections::VecDeque;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::checkpoint::{Loaded, Place, id_number};
use super::import::Import;
use super::options::OnConflict;
use super::record::{Record, Reject, records};
use super::scim::Reply;
use super::shape::{Shape, unexpected};
use super::source::Item;
use super::{equal, hex};
use crate::command::CommandError;

/// Bytes of the operations in one bulk request: below `maxPayloadSize`, with room for what is around them.
const BULK_BYTES: usize = 900 * 1024;
/// How far the clocks of this machine and of the server may be apart, in milliseconds.
const CLOCK_SKEW: u64 = 60_000;

/// One resource on its way.
struct Draft {
    record: Record,
    /// Which record of its item it is, and where that is.
    at: (Place, usize),
    shape: usize,
    body: Map<String, Value>,
    /// Whether some of its references wait for all resources to be there.
    waits: bool,
}

/// An operation of a bulk request.
struct Operation {
    draft: Draft,
    /// The resource that it replaces.
    existing: Option<String>,
    /// Whether that one was created by this import, before it was cut off.
    ours: bool,
    text: String,
}

/// A resource that is there already.
struct Found {
    id: String,
    ours: bool,
}

/// What became of a batch.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) loaded: Loaded,
    pub(super) rejects: Vec<Reject>,
}

/// Brings the records of the items into the tenant. `recheck` where an earlier run may have done so already.
pub(super) async fn load(import: &Import, items: &[Item], recheck: bool) -> Result<Batch, CommandError> {
    let mut batch = Batch::default();
    let mut operations = Vec::new();
    for item in items {
        let found = records(item, &import.shapes, import.columns.as_ref());
        for (number, record) in found.into_iter().enumerate() {
            let at = (super::checkpoint::place(item.start), number);
            match record.and_then(|record| draft(import, record, at)) {
                Ok(draft) => operations.extend(plan(import, &mut batch, draft, recheck).await?),
                Err(reject) => batch.rejects.push(*reject),
            }
        }
    }
    let conflicts = send_all(import, &mut batch, operations).await?;
    let mut again = Vec::new();
    for (operation, error) in conflicts {
        again.extend(settle(import, &mut batch, operation, error, recheck).await?);
    }
    for (operation, error) in send_all(import, &mut batch, again).await? {
        batch.rejects.push(reject(&operation.draft.record, error));
    }
    batch.rejects.sort_by_key(|reject| reject.line);
    batch.loaded.counts.rejected += batch.rejects.len() as u64;
    Ok(batch)
}

/// What is sent of a record: without what is the server's own, and with the ids of this server.
fn draft(import: &Import, record: Record, at: (Place, usize)) -> Result<Draft, Box<Reject>> {
    let Some(shape) = import.shape_of(&record.attributes) else {
        let detail = format!(
            "The record is of no resource type that there is: neither its `meta.resourceType` nor its `schemas` names one of \
             {}. Define the type first, or leave both out and say --type.",
            import.shapes.names()
        );
        return Err(Reject::new(record.line, "invalidValue", &detail, record.shown()));
    };
    let kind = &import.shapes.0[shape];
    if let Some((link, _)) = record.links.iter().find(|(link, _)| !kind.links.contains(link)) {
        let detail = format!("A {} has no attribute `{link}`.", kind.name);
        return Err(Reject::new(record.line, "invalidSyntax", &detail, record.shown()));
    }
    let mut body = record.attributes.clone();
    for name in &kind.read_only {
        body.shift_remove(name);
    }
    if !body.contains_key("schemas") {
        body.insert("schemas".to_owned(), json!([kind.core.id]));
    }
    let mut waits = false;
    for reference in &kind.references {
        let Some(referred) = record.referred(reference) else { continue };
        let Some(holder) = reference.holder_mut(&mut body) else { continue };
        match import.id_of(referred) {
            Some(id) => _ = holder.insert(reference.name.clone(), json!({ "value": id })),
            None => {
                holder.shift_remove(&reference.name);
                waits = true;
            }
        }
    }
    Ok(Draft { record, at, shape, body, waits })
}

/// How a draft is brought in; `None` where that is settled.
async fn plan(
    import: &Import,
    batch: &mut Batch,
    draft: Draft,
    recheck: bool,
) -> Result<Option<Operation>, CommandError> {
    let found = match recheck || import.existing[draft.shape] {
        true => find(import, &draft, recheck).await?,
        false => None,
    };
    match found {
        Some(found) => Ok(meet(import, batch, draft, found, None)),
        None => Ok(Some(Operation::new(draft, None, false, &import.shapes.0))),
    }
}

/// What to do about a resource that is there already.
fn meet(
    import: &Import,
    batch: &mut Batch,
    mut draft: Draft,
    Found { id, ours }: Found,
    error: Option<Value>,
) -> Option<Operation> {
    match import.on_conflict {
        OnConflict::Update => Some(Operation::new(draft, Some(id), ours, &import.shapes.0)),
        OnConflict::Skip | OnConflict::Fail if ours => {
            // What it refers to may have been unknown when it was made, before the import was cut off, and be known now.
            let references = &import.shapes.0[draft.shape].references;
            draft.waits = references.iter().any(|reference| draft.record.referred(reference).is_some());
            done(import, batch, &draft, &id, true);
            None
        }
        OnConflict::Skip => {
            batch.loaded.counts.skipped += 1;
            if import.shapes.0[draft.shape].unique.is_empty() {
                batch.loaded.claimed.push(id.clone());
            }
            batch.loaded.ids.push((draft.record.name, id));
            None
        }
        OnConflict::Fail => {
            let detail = format!("This {} is there already, with the id {id}.", import.shapes.0[draft.shape].name);
            let own = Reject::new(draft.record.line, "uniqueness", &detail, draft.record.shown());
            batch.rejects.push(error.map_or(*own, |error| reject(&draft.record, error)));
            None
        }
    }
}

/// What a POST that met a unique value comes to: the resource that has it is looked up.
async fn settle(
    import: &Import,
    batch: &mut Batch,
    operation: Operation,
    error: Value,
    recheck: bool,
) -> Result<Option<Operation>, CommandError> {
    let Operation { draft, existing, .. } = operation;
    let found = match existing {
        // A PUT whose new value another resource has.
        Some(_) => None,
        None => holder(import, &draft, recheck).await?,
    };
    match found {
        Some(found) => Ok(meet(import, batch, draft, found, Some(error))),
        None => {
            batch.rejects.push(reject(&draft.record, error));
            Ok(None)
        }
    }
}

/// A resource that is the same though nothing unique says so: by externalId, or by what every resource of a type without
/// unique attributes has. One that another record of the file stands for is another.
async fn find(import: &Import, draft: &Draft, recheck: bool) -> Result<Option<Found>, CommandError> {
    let shape = &import.shapes.0[draft.shape];
    let text = |name: &str| draft.body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let filter = match text("externalId") {
        Some(external) => equal("externalId", external),
        None if !shape.unique.is_empty() || shape.required.is_empty() => return Ok(None),
        None => {
            let values: Option<Vec<_>> = shape.required.iter().map(|name| Some(equal(name, text(name)?))).collect();
            match values {
                Some(values) => values.join("%20and%20"),
                // The server says what is missing.
                None => return Ok(None),
            }
        }
    };
    let found = search(import, shape, &filter, recheck).await?;
    Ok(found.into_iter().find(|found| !shape.unique.is_empty() || import.claim(&found.id)))
}

/// The resource that has a unique value of the draft.
async fn holder(import: &Import, draft: &Draft, recheck: bool) -> Result<Option<Found>, CommandError> {
    let shape = &import.shapes.0[draft.shape];
    for path in &shape.unique {
        let value = match path.rsplit_once(':') {
            Some((urn, name)) => draft.body.get(urn).and_then(|extension| extension.get(name)),
            None => draft.body.get(path),
        };
        let Some(value) = value.and_then(Value::as_str) else { continue };
        if let Some(found) = search(import, shape, &equal(path, value), recheck).await?.into_iter().next() {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

async fn search(import: &Import, shape: &Shape, filter: &str, recheck: bool) -> Result<Vec<Found>, CommandError> {
    let target = format!("{}?attributes=meta.created&filter={filter}", shape.endpoint);
    let reply = import.scim.send("GET", &target, &[], Bytes::new()).await?;
    if !reply.is_success() {
        return Err(CommandError::Refused { status: reply.status, body: reply.json() });
    }
    let since = import.started.saturating_sub(CLOCK_SKEW);
    let found = |resource: &Value| {
        let created = resource["meta"]["created"].as_str().and_then(crate::datetime::milliseconds);
        let ours = recheck && created.is_some_and(|created| created >= since);
        Some(Found { id: resource["id"].as_str()?.to_owned(), ours })
    };
    Ok(reply.json()["Resources"].as_array().into_iter().flatten().filter_map(found).collect())
}

impl Operation {
    fn new(draft: Draft, existing: Option<String>, ours: bool, shapes: &[Shape]) -> Self {
        let endpoint = &shapes[draft.shape].endpoint;
        let text = match &existing {
            Some(id) => json!({ "method": "PUT", "path": format!("{endpoint}/{id}"), "data": draft.body }),
            None => {
                let bulk_id = format!("{}.{}", draft.at.0.0, draft.at.1);
                json!({ "method": "POST", "path": endpoint, "bulkId": bulk_id, "data": draft.body })
            }
        };
        Self { draft, existing, ours, text: text.to_string() }
    }
}

/// Sends all, in as many requests as it takes; those that met a unique value come back with the server's words.
async fn send_all(
    import: &Import,
    batch: &mut Batch,
    operations: Vec<Operation>,
) -> Result<Vec<(Operation, Value)>, CommandError> {
    let mut conflicts = Vec::new();
    let mut parts = VecDeque::new();
    let (mut part, mut bytes) = (Vec::new(), 0);
    for operation in operations {
        let more = operation.text.len();
        if !part.is_empty() && (part.len() == import.batch || bytes + more > BULK_BYTES) {
            parts.push_back(std::mem::take(&mut part));
            bytes = 0;
        }
        bytes += more;
        part.push(operation);
    }
    parts.push_back(part);
    while let Some(mut part) = parts.pop_front().filter(|part| !part.is_empty()) {
        let reply = send(import, &part).await?;
        match reply.status {
            200 => take(import, batch, part, &reply, &mut conflicts)?,
            // The request as a whole was refused: one of its operations may be to blame.
            400 | 413 if part.len() > 1 => {
                let rest = part.split_off(part.len() / 2);
                parts.push_front(rest);
                parts.push_front(part);
            }
            400 | 413 => batch.rejects.extend(part.iter().map(|one| reject(&one.draft.record, reply.json()))),
            status => return Err(CommandError::Refused { status, body: reply.json() }),
        }
    }
    Ok(conflicts)
}

async fn send(import: &Import, part: &[Operation]) -> Result<Reply, CommandError> {
    let mut body =
        String::from("{\"schemas\":[\"urn:ietf:params:scim:api:messages:2.0:BulkRequest\"],\"Operations\":[");
    for (number, operation) in part.iter().enumerate() {
        if number > 0 {
            body.push(',');
        }
        body.push_str(&operation.text);
    }
    body.push_str("]}");
    // One commit, and the same answer should the request have to be repeated.
    let key = hex(&Sha256::new().chain_update(&import.id).chain_update(&body).finalize());
    let header = match import.dry_run {
        true => ("scimwell-dry-run", "true"),
        false => ("idempotency-key", key.as_str()),
    };
    import.scim.send("POST", "/Bulk", &[header], Bytes::from(body)).await
}

/// What became of each operation.
fn take(
    import: &Import,
    batch: &mut Batch,
    part: Vec<Operation>,
    reply: &Reply,
    conflicts: &mut Vec<(Operation, Value)>,
) -> Result<(), CommandError> {
    let mut answer = reply.json();
    let Value::Array(outcomes) = answer["Operations"].take() else {
        return Err(unexpected(&import.scim.place, "a bulk response without Operations"));
    };
    if outcomes.len() != part.len() {
        let reason = format!("{} operations were sent, and {} answered", part.len(), outcomes.len());
        return Err(unexpected(&import.scim.place, &reason));
    }
    for (operation, mut outcome) in part.into_iter().zip(outcomes) {
        let status: u16 = outcome["status"].as_str().and_then(|status| status.parse().ok()).unwrap_or_default();
        let id = outcome["location"].as_str().and_then(|location| location.rsplit('/').next()).unwrap_or_default();
        match status {
            200..300 if id_number(id).is_some() => {
                let created = operation.existing.is_none() || operation.ours;
                done(import, batch, &operation.draft, id, created);
            }
            200..300 => {
                let reason =
                    format!("a resource was created, but its location {:?} ends in no UUID", outcome["location"]);
                return Err(unexpected(&import.scim.place, &reason));
            }
            409 if outcome["response"]["scimType"] == "uniqueness" => {
                conflicts.push((operation, outcome["response"].take()));
            }
            500.. => return Err(CommandError::Refused { status, body: outcome["response"].take() }),
            _ => batch.rejects.push(reject(&operation.draft.record, outcome["response"].take())),
        }
    }
    Ok(())
}

/// Notes a resource that is there now.
fn done(import: &Import, batch: &mut Batch, draft: &Draft, id: &str, created: bool) {
    let counts = &mut batch.loaded.counts;
    match created {
        true => counts.created += 1,
        false => counts.updated += 1,
    }
    batch.loaded.ids.push((draft.record.name.clone(), id.to_owned()));
    if import.shapes.0[draft.shape].unique.is_empty() {
        import.claim(id);
        batch.loaded.claimed.push(id.to_owned());
    }
    // An empty list says something of a resource that may have had members before.
    let links = draft.record.links.iter().any(|(_, ids)| !created || !ids.is_empty());
    if links || draft.waits {
        batch.loaded.later.push(draft.at);
    }
}

fn reject(record: &Record, error: Value) -> Reject {
    Reject { line: record.line, error, record: record.shown() }
}
