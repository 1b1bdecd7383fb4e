//! What refers to other resources: members of groups, managers, written once all resources are there.

use bytes::Bytes;
use serde_json::{Value, json};
use std::sync::PoisonError;

use super::equal;
use super::import::Import;
use super::record::{Record, Reject, records};
use super::shape::Shape;
use super::source::Item;
use crate::command::CommandError;

/// Up to so many values an attribute is made to be what the file says. Beyond, values are added, and none taken away: a
/// list is replaced in one request only.
const REPLACED: usize = 10_000;
/// Values added in one request.
const ADDED: usize = 5_000;
/// References that were looked up and are remembered.
const REMEMBERED: usize = 100_000;

/// The references of a record.
pub(super) struct Links {
    record: Record,
    shape: usize,
    /// Of the resource on this server.
    id: String,
}

/// What a reference comes to.
enum Resolved {
    To(String),
    Nothing,
    Several,
}

impl Links {
    /// Of the record of an item with this number; `None` where it was rejected.
    pub(super) fn of(import: &Import, item: &Item, which: usize) -> Option<Self> {
        let record = records(item, &import.shapes, import.columns.as_ref()).into_iter().nth(which)?.ok()?;
        let id = import.id_of(&record.name)?;
        let shape = import.shape_of(&record.attributes)?;
        Some(Self { record, shape, id })
    }
}

/// Writes the references of a record; what could not be written.
pub(super) async fn write(import: &Import, links: &Links) -> Result<Vec<Reject>, CommandError> {
    let mut rejects = Vec::new();
    let shape = &import.shapes.0[links.shape];
    for reference in &shape.references {
        let Some(referred) = links.record.referred(reference) else { continue };
        let value = match resolve(import, referred).await? {
            Resolved::To(id) => id,
            // It may name somebody in another system: text is what it is.
            Resolved::Nothing | Resolved::Several => referred.to_owned(),
        };
        let edit = json!({ "op": "add", "path": reference.path(), "value": { "value": value } });
        if let Some(error) = patch(import, links, shape, &edit).await? {
            rejects.push(links.reject(error, json!({ reference.path(): { "value": referred } })));
        }
    }
    for (name, listed) in &links.record.links {
        let mut ids = Vec::with_capacity(listed.len());
        for one in listed {
            match resolve(import, one).await? {
                Resolved::To(id) => ids.push((one.as_str(), id)),
                Resolved::Nothing => {
                    rejects.push(links.unresolved(name, one, "is the id, userName or externalId of no resource"));
                }
                Resolved::Several => rejects.push(links.unresolved(name, one, "is what several resources are called")),
            }
        }
        rejects.extend(list(import, links, shape, name, &ids).await?);
    }
    Ok(rejects)
}

/// Writes a list of references.
async fn list(
    import: &Import,
    links: &Links,
    shape: &Shape,
    name: &str,
    ids: &[(&str, String)],
) -> Result<Vec<Reject>, CommandError> {
    let mut rejects = Vec::new();
    let mut parts: Vec<(&str, &[(&str, String)])> = match ids.len() {
        0..=REPLACED => vec![("replace", ids)],
        _ => ids.chunks(ADDED).rev().map(|part| ("add", part)).collect(),
    };
    while let Some((op, part)) = parts.pop() {
        let values: Vec<Value> = part.iter().map(|(_, id)| json!({ "value": id })).collect();
        let edit = json!({ "op": op, "path": name, "value": values });
        match (patch(import, links, shape, &edit).await?, part) {
            (None, _) => {}
            // One of them is to blame: the others are added without it.
            (Some(error), [_, _, ..]) if error["status"] == "400" => {
                let (first, second) = part.split_at(part.len() / 2);
                parts.extend([("add", second), ("add", first)]);
            }
            (Some(error), _) => {
                let values: Vec<_> = part.iter().map(|(name, _)| json!({ "value": name })).collect();
                rejects.push(links.reject(error, json!({ name: values })));
            }
        }
    }
    Ok(rejects)
}

/// One edit of the resource; the SCIM Error where it was refused.
async fn patch(import: &Import, links: &Links, shape: &Shape, edit: &Value) -> Result<Option<Value>, CommandError> {
    // The resource is not there to be edited.
    if import.dry_run {
        return Ok(None);
    }
    let target = format!("{}/{}?attributes=id", shape.endpoint, links.id);
    let body = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [edit] });
    let headers = [("prefer", "return=minimal")];
    let reply = import.scim.send("PATCH", &target, &headers, Bytes::from(body.to_string())).await?;
    match reply.status {
        200..300 => Ok(None),
        400 | 404 | 409 | 412 | 413 => Ok(Some(reply.json())),
        status => Err(CommandError::Refused { status, body: reply.json() }),
    }
}

impl Links {
    fn reject(&self, error: Value, references: Value) -> Reject {
        let mut record = json!({ "id": self.record.name });
        for name in ["userName", "displayName", "externalId"] {
            if let Some(value) = self.record.attributes.get(name) {
                record[name] = value.clone();
            }
        }
        if let (Some(record), Value::Object(references)) = (record.as_object_mut(), references) {
            record.extend(references);
        }
        Reject { line: self.record.line, error, record }
    }

    fn unresolved(&self, name: &str, referred: &str, what: &str) -> Reject {
        let detail = format!("{name}: {referred:?} {what}, neither in the file nor on the server.");
        let own = Reject::new(self.record.line, "invalidValue", &detail, Value::Null);
        self.reject(own.error, json!({ name: [{ "value": referred }] }))
    }
}

/// The resource on this server that a reference means: what the file or another import calls so, else the one with this
/// id, unique value, externalId, or name of a type whose resources have nothing unique.
async fn resolve(import: &Import, referred: &str) -> Result<Resolved, CommandError> {
    if let Some(id) = import.id_of(referred) {
        return Ok(Resolved::To(id));
    }
    let known = import.resolved.lock().unwrap_or_else(PoisonError::into_inner).get(referred).cloned();
    if let Some(known) = known {
        return Ok(known.map_or(Resolved::Nothing, Resolved::To));
    }
    let mut found = None;
    for (number, attribute) in named_by(&import.shapes.0) {
        let shape = &import.shapes.0[number];
        let target = format!("{}?attributes=id&count=2&filter={}", shape.endpoint, equal(&attribute, referred));
        let reply = import.scim.send("GET", &target, &[], Bytes::new()).await?;
        if !reply.is_success() {
            return Err(CommandError::Refused { status: reply.status, body: reply.json() });
        }
        let page = reply.json();
        match page["Resources"].as_array().map(Vec::as_slice) {
            Some([_, _, ..]) => return Ok(Resolved::Several),
            Some([one]) => {
                found = one["id"].as_str().map(str::to_owned);
                break;
            }
            _ => {}
        }
    }
    let mut remembered = import.resolved.lock().unwrap_or_else(PoisonError::into_inner);
    if remembered.len() < REMEMBERED {
        remembered.insert(referred.to_owned(), found.clone());
    }
    Ok(found.map_or(Resolved::Nothing, Resolved::To))
}

/// What a resource may be called, the surest first: types by their numbers, with attributes.
fn named_by(shapes: &[Shape]) -> Vec<(usize, String)> {
    let each = |attributes: &dyn Fn(&Shape) -> Vec<String>| -> Vec<(usize, String)> {
        let numbered = shapes.iter().enumerate();
        numbered.flat_map(|(number, shape)| attributes(shape).into_iter().map(move |name| (number, name))).collect()
    };
    [
        each(&|_| vec!["id".to_owned()]),
        each(&|shape| shape.unique.clone()),
        each(&|_| vec!["externalId".to_owned()]),
        each(&|shape| shape.required.first().filter(|_| shape.unique.is_empty()).cloned().into_iter().collect()),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::super::shape::tests::shapes;
    use super::named_by;

    #[test]
    fn what_members_may_be_called() {
        let named = named_by(&shapes().0);
        let named: Vec<_> = named.iter().map(|(number, name)| (*number, name.as_str())).collect();
        let expect = [(0, "id"), (1, "id"), (0, "userName"), (0, "externalId"), (1, "externalId"), (1, "displayName")];
        assert_eq!(named, expect);
    }
}
