//! The operations: one a file. Each decodes into something typed, runs in a transaction and renders what it did.

pub mod bulk;
pub mod create;
mod cursor;
pub mod delete;
pub mod discover;
pub mod dry_run;
pub(crate) mod expected;
pub mod explain;
pub mod idempotency;
pub mod me;
mod membership;
mod password;
pub mod patch;
mod precondition;
mod preference;
pub mod read;
pub mod replace;
mod reprovision;
pub mod search;
mod select;
mod sort;
pub mod tolerated;
mod view;

use serde_json::Value;

use crate::compat::{Compat, Tolerance};
use crate::error::{ErrorKind, Result, SCIM_TYPES, ScimError};
use crate::host::{Change, Host, Principal};
use crate::http::Request;
use crate::password::Password;
use crate::query::Query;
use crate::resource::{self, Object, Resource, Timestamp};
use crate::schema::{Mutability, ResourceType};
use crate::store::ahead::Ahead;
use crate::store::edges::EdgeCounter;
use crate::store::log::{Cause, Operation};
use crate::store::repo::Loaded;
use crate::store::{Mode, Store, Txn, keys};
use crate::tenant::Tenant;
use crate::validate::{self, Draft};

/// Everything that an operation may use.
pub struct Context<'a, H: Host> {
    /// Whom to ask.
    pub host: &'a H,
    /// The tenant's store.
    pub store: H::Store,
    /// What was read of it before anything else.
    pub ahead: Ahead,
    /// Who asks.
    pub principal: Principal,
    /// The tenant's configuration and resource types.
    pub tenant: &'a Tenant,
    /// The request as received.
    pub request: &'a Request,
    /// Its query string, decoded.
    pub query: Query,
    /// What is tolerated, and what was.
    pub compat: Compat,
    /// The time of the request.
    pub now: Timestamp,
    /// Whether what it does is to stay.
    pub mode: Mode,
}

/// The JSON body, or why there is none (RFC 7644 §3.1, §8.1).
pub(crate) fn body(request: &Request, compat: &mut Compat) -> Result<Value> {
    let media_type = request.header("content-type").map(|v| v.split(';').next().unwrap_or_default().trim());
    match media_type {
        Some(m) if m.eq_ignore_ascii_case(crate::render::MEDIA_TYPE) => {}
        None | Some("") => compat.accept(Tolerance::MediaType, "Content-Type")?,
        Some(m) if m.eq_ignore_ascii_case("application/json") => compat.accept(Tolerance::MediaType, "Content-Type")?,
        Some(other) => {
            return Err(ScimError::new(
                ErrorKind::UnsupportedMediaType,
                format!("Content-Type `{other}` is not supported. Send application/scim+json or application/json."),
            ));
        }
    }
    validate::parse_json(&request.body)
}

impl<H: Host> Context<'_, H> {
    /// The JSON body.
    pub(crate) fn body(&mut self) -> Result<Value> {
        body(self.request, &mut self.compat)
    }

    /// What a POST or PUT body says, fit to be stored, and its password apart.
    fn draft(&mut self, resource_type: &ResourceType, body: Value) -> Result<(Draft, Password)> {
        let mut draft = validate::draft(resource_type, body, &mut self.compat)?;
        validate::document(resource_type, &draft.attributes)?;
        let password = password::sent(self, resource_type, &draft.attributes)?;
        drop_secrets(resource_type, &mut draft.attributes);
        Ok((draft, password))
    }

    /// Run an operation in a transaction of its own, on the configuration that it was validated against.
    fn transact<T>(&self, mut operation: impl FnMut(&mut Txn<'_, H::Store>) -> Result<T>) -> Result<T> {
        let mut attempt = 0;
        crate::store::transact_ahead(&self.store, &self.ahead, self.mode, |txn| {
            attempt += 1;
            self.tenant.hold(txn, attempt)?;
            operation(txn)
        })
    }

    /// The version that the request insists on.
    fn if_match(&self) -> Option<String> {
        self.request.header("if-match").map(str::to_owned)
    }

    /// Ask the embedding application.
    fn review(
        &self,
        operation: Operation,
        resource_type: &ResourceType,
        id: &str,
        (before, after): (Option<&Object>, Option<&Object>),
    ) -> Result<()> {
        let change = Change {
            tenant: self.principal.tenant.clone(),
            subject: self.principal.subject.clone(),
            operation,
            resource_type: resource_type.name.to_string(),
            id: id.to_owned(),
            before: before.map(resource::text),
            after: after.map(resource::text),
        };
        self.host.review(&change).map_err(|refusal| {
            // A policy speaks to clients only of their requests; anything else would read as a failure of the server.
            let status = if (400..500).contains(&refusal.status) { refusal.status } else { 403 };
            let scim_type = refusal.scim_type.filter(|kind| SCIM_TYPES.contains(&kind.as_str()));
            let detail = match refusal.detail.trim() {
                "" => {
                    "The application that these resources belong to refuses the change, and says no reason.".to_owned()
                }
                detail => detail.to_owned(),
            };
            ScimError::new(ErrorKind::Refused { status, scim_type }, detail)
        })
    }

    /// What the log says of a change beside the change itself.
    fn cause(&self, operation: Operation, compat: &Compat) -> Cause<'_> {
        Cause {
            time: self.now,
            subject: &self.principal.subject,
            operation,
            tolerances: compat.used().collect(),
            password_changed: false,
            reprovisioned: None,
        }
    }

    /// A new resource id: a UUID of version 7 (RFC 9562), so that ids grow with time and lists are in order of creation.
    fn new_id(&self) -> String {
        let random = self.host.random();
        let mut tail = [0; 10];
        tail.copy_from_slice(&random[..10]);
        uuid::Builder::from_unix_timestamp_millis(self.now, &tail).into_uuid().to_string()
    }
}

/// Refuse a stale writer (RFC 7644 §3.14). What `If-Match` was compared with must be so at the commit.
fn check_if_match<S: Store>(txn: &mut Txn<'_, S>, if_match: Option<&str>, loaded: &mut Loaded) -> Result<()> {
    let Some(wanted) = if_match else { return Ok(()) };
    let edges = txn.read_one(&keys::edge_revision(&loaded.resource.id))?;
    loaded.edges = EdgeCounter::decode(edges.as_deref())?;
    match matches_version(wanted, &loaded.version()) {
        true => Ok(()),
        false => Err(ScimError::new(
            ErrorKind::PreconditionFailed,
            format!(
                "If-Match is {wanted}, but the resource is at version {}: it has changed since it was read. Read it \
                 again and repeat the change.",
                loaded.version()
            ),
        )),
    }
}

/// The changed form of a resource: the same one where nothing differs, so that an unchanged resource keeps its version.
fn revised(old: &Resource, attributes: Object, now: Timestamp) -> Resource {
    if old.attributes == attributes {
        return old.clone();
    }
    Resource {
        id: old.id.clone(),
        attributes,
        created: old.created,
        modified: now.max(old.modified),
        revision: old.revision + 1,
    }
}

/// Secrets are checked and then dropped: a document never holds them (RFC 7643 §9.2).
fn drop_secrets(resource_type: &ResourceType, attributes: &mut Object) {
    for attribute in resource_type.schema.attributes.iter().filter(|a| a.mutability == Mutability::WriteOnly) {
        attributes.shift_remove(attribute.name.as_ref());
    }
    for extension in resource_type.extensions.iter() {
        let Some(Value::Object(object)) = attributes.get_mut(extension.schema.id.as_ref()) else { continue };
        for attribute in extension.schema.attributes.iter().filter(|a| a.mutability == Mutability::WriteOnly) {
            object.shift_remove(attribute.name.as_ref());
        }
        // What is left of an extension without attributes would still be named in `schemas`.
        if object.is_empty() {
            attributes.shift_remove(extension.schema.id.as_ref());
        }
    }
}

/// Whether a list of entity tags (`If-Match`, `If-None-Match`) names this version, compared weakly (RFC 9110 §8.8.3.2).
fn matches_version(list: &str, version: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").trim_matches('"').to_owned();
    list.split(',').any(|tag| tag.trim() == "*" || opaque(tag) == opaque(version))
}

#[cfg(test)]
mod tests {
    use super::matches_version;

    #[test]
    fn entity_tags_compare_weakly() {
        assert!(matches_version("W/\"1.0\"", "W/\"1.0\""));
        assert!(matches_version("\"1.0\"", "W/\"1.0\""));
        assert!(matches_version("\"0.0\", W/\"1.0\"", "W/\"1.0\""));
        assert!(matches_version("*", "W/\"1.0\""));
        assert!(!matches_version("W/\"1.1\"", "W/\"1.0\""));
    }
}
