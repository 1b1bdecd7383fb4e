//! The body of a bulk request to typed operations (RFC 7644 §3.7): references resolved, data decoded.
//!
//! What is wrong with the message as a whole fails the request; what is wrong with an operation fails that one.

use std::collections::BTreeMap;

use serde_json::Value;

use super::order::steps;
use super::references::{Created, References, is_reference, refers};
use super::{Action, Bulk, Operation, place};
use crate::compat::{Compat, Tolerance};
use crate::error::{ErrorKind, Result, ScimError, excerpt};
use crate::host::Host;
use crate::limits;
use crate::ops::create::{Assigned, Create};
use crate::ops::delete::Delete;
use crate::ops::patch::Patch;
use crate::ops::replace::Replace;
use crate::ops::{Context, reprovision};
use crate::resource::Object;
use crate::route::{self, Route};
use crate::schema::{Registry, ResourceType};
use crate::suggest::did_you_mean;

const BULK_REQUEST: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
const METHODS: [&str; 4] = ["POST", "PUT", "PATCH", "DELETE"];

/// An operation whose references are still to be resolved.
struct Draft<'t> {
    method: String,
    bulk_id: Option<String>,
    /// The resource that `path` names, however wrong the rest is: §3.7.3 wants its location in the reply.
    named: Option<(&'t ResourceType, String)>,
    head: Result<Head<'t>>,
}

/// What an operation is to do, and with what.
struct Head<'t> {
    resource_type: &'t ResourceType,
    action: route::Action,
    version: Option<String>,
    data: Option<Value>,
    compat: Compat,
}

impl<'t> Bulk<'t> {
    /// From the request's body.
    pub(super) fn read<H: Host>(ctx: &mut Context<'t, H>) -> Result<Self> {
        let Value::Object(mut body) = ctx.body()? else {
            return Err(syntax("the body must be a JSON object with `schemas` and `Operations`"));
        };
        let named = match take(&mut body, "schemas") {
            Some(Value::Array(urns)) => {
                urns.iter().filter_map(Value::as_str).any(|urn| urn.eq_ignore_ascii_case(BULK_REQUEST))
            }
            _ => false,
        };
        if !named {
            ctx.compat.accept(Tolerance::MissingSchemas, "schemas")?;
        }
        let fail_on_errors = fail_on_errors(take(&mut body, "failOnErrors"), &mut ctx.compat)?;
        let listed = match take(&mut body, "Operations") {
            Some(Value::Array(operations)) => operations,
            Some(_) => return Err(syntax("Operations: expected an array of operations")),
            None => return Err(syntax("Operations: missing; a bulk request lists its operations there")),
        };
        if listed.len() > limits::BULK_OPERATIONS {
            // §3.7.4
            return Err(ScimError::new(
                ErrorKind::PayloadTooLarge,
                format!(
                    "Operations: {} operations, and maxOperations is {}. Send them as several requests.",
                    listed.len(),
                    limits::BULK_OPERATIONS
                ),
            ));
        }
        let registry: &'t Registry = &ctx.tenant.registry;
        let mut drafts = Vec::with_capacity(listed.len());
        for (index, operation) in listed.into_iter().enumerate() {
            drafts.push(Draft::read(operation, registry, ctx.compat.within(&format!("Operations[{index}]."))));
        }
        refuse_repeated(&mut drafts);
        let (created, mut ids) = assign(ctx, &drafts)?;
        let mut operations = Vec::with_capacity(drafts.len());
        for (index, draft) in drafts.into_iter().enumerate() {
            operations.push(draft.resolve(ctx, ids.remove(&index), &created));
        }
        let needs: Vec<Vec<usize>> = operations.iter().map(|operation| operation.needs.clone()).collect();
        Ok(Self { steps: steps(&needs), operations, fail_on_errors })
    }
}

/// `failOnErrors`: an integer from 1; absent, all operations run whatever fails.
fn fail_on_errors(value: Option<Value>, compat: &mut Compat) -> Result<Option<usize>> {
    let number = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.as_u64(),
        Some(Value::String(text)) => {
            let number = text.trim().parse().ok();
            if number.is_some() {
                compat.accept(Tolerance::NumberString, "failOnErrors")?;
            }
            number
        }
        Some(_) => None,
    };
    match number {
        Some(number) if number > 0 => Ok(Some(usize::try_from(number).unwrap_or(usize::MAX))),
        _ => Err(ScimError::new(
            ErrorKind::InvalidValue,
            "failOnErrors: expected an integer from 1, the number of failures to stop after; leave it out to run all",
        )),
    }
}

/// A `bulkId` must be unique within the request (§3.7.2): nobody could tell which of two POSTs a reference means.
fn refuse_repeated(drafts: &mut [Draft<'_>]) {
    let mut named: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, draft) in drafts.iter().enumerate().filter(|(_, draft)| draft.method == "POST") {
        if let Some(bulk_id) = &draft.bulk_id {
            named.entry(bulk_id.clone()).or_default().push(index);
        }
    }
    for (bulk_id, indexes) in named.into_iter().filter(|(_, indexes)| indexes.len() > 1) {
        for index in &indexes {
            let other = indexes.iter().find(|other| *other != index).unwrap_or(index);
            drafts[*index].head = Err(ScimError::new(
                ErrorKind::InvalidValue,
                format!(
                    "bulkId: \"{}\" is the bulkId of {} too. Give each POST of a request its own.",
                    excerpt(&bulk_id),
                    place(*other)
                ),
            ));
        }
    }
}

/// An id for each POST, in order: what is created is listed in the order sent. Those that will fail are known by name too,
/// so that it can be told what became of them. Who comes back (see [`reprovision`]) has an id already: where there are
/// references, it is the one that they stand for.
fn assign<H: Host>(ctx: &Context<'_, H>, drafts: &[Draft<'_>]) -> Result<(Created, BTreeMap<usize, Assigned>)> {
    let posts: Vec<usize> =
        drafts.iter().enumerate().filter(|(_, draft)| draft.method == "POST").map(|(index, _)| index).collect();
    let mut ids: Vec<String> = posts.iter().map(|_| ctx.new_id()).collect();
    ids.sort_unstable();
    let referred = drafts.iter().filter_map(|draft| draft.head.as_ref().ok()).any(Head::refers);
    let (mut created, mut assigned) = (Created::new(), BTreeMap::new());
    for (index, fresh) in posts.into_iter().zip(ids) {
        let draft = &drafts[index];
        let former = match &draft.head {
            Ok(Head { resource_type, data: Some(data), .. }) if referred => {
                reprovision::expected(ctx, resource_type, data)?
            }
            _ => None,
        };
        let told = former.unwrap_or_else(|| fresh.clone());
        if let Some(bulk_id) = &draft.bulk_id {
            created.insert(bulk_id.clone(), (index, told.clone()));
        }
        assigned.insert(index, Assigned { fresh, told: referred.then_some(told) });
    }
    Ok((created, assigned))
}

impl<'t> Draft<'t> {
    fn read(operation: Value, registry: &'t Registry, mut compat: Compat) -> Self {
        let Value::Object(mut operation) = operation else {
            let error = syntax("expected an object with `method` and `path`");
            return Self { method: String::new(), bulk_id: None, named: None, head: Err(error) };
        };
        let named = named(&operation, registry);
        let (method, bulk_id) = (take(&mut operation, "method"), take(&mut operation, "bulkId"));
        let sent = method.as_ref().and_then(Value::as_str).unwrap_or_default();
        let known = METHODS.into_iter().find(|known| known.eq_ignore_ascii_case(sent.trim()));
        let head = check_method(method.as_ref(), known, &mut compat)
            .and_then(|method| check_bulk_id(bulk_id.as_ref(), method).map(|()| method))
            .and_then(|method| Head::read(method, operation, registry, compat));
        Self {
            method: known.map_or_else(|| excerpt(sent), str::to_owned),
            bulk_id: bulk_id.as_ref().and_then(Value::as_str).filter(|id| !id.is_empty()).map(str::to_owned),
            named,
            head,
        }
    }

    /// The operation, with the ids that were assigned to it if it is a POST.
    fn resolve<H: Host>(
        self,
        ctx: &mut Context<'t, H>,
        assigned: Option<Assigned>,
        created: &Created,
    ) -> Operation<'t> {
        let mut references = References::new(created);
        let mut target = self.named;
        let action = self.head.and_then(|mut head| {
            let id = head.id(assigned, &mut references)?;
            target = Some((head.resource_type, id.told.clone().unwrap_or_else(|| id.fresh.clone())));
            head.resolve_data(&mut references)?;
            head.decode(ctx, id)
        });
        Operation { method: self.method, bulk_id: self.bulk_id, target, action, needs: references.needs }
    }
}

fn named<'t>(operation: &Object, registry: &'t Registry) -> Option<(&'t ResourceType, String)> {
    let (_, path) = operation.iter().find(|(key, _)| key.eq_ignore_ascii_case("path"))?;
    match route::route(registry, "DELETE", path.as_str()?.trim(), &mut Compat::default()) {
        Ok(Route::Resources(resource_type, route::Action::Delete(id))) if !is_reference(&id) => {
            Some((resource_type, id))
        }
        _ => None,
    }
}

fn check_method(sent: Option<&Value>, known: Option<&'static str>, compat: &mut Compat) -> Result<&'static str> {
    let word = match sent {
        Some(Value::String(word)) => word,
        Some(_) => return Err(syntax("method: expected POST, PUT, PATCH or DELETE")),
        None => return Err(syntax("method: missing; it is POST, PUT, PATCH or DELETE")),
    };
    let Some(method) = known else {
        let meant = did_you_mean(word, METHODS);
        let word = excerpt(word);
        return Err(syntax(&format!("method: found \"{word}\", expected POST, PUT, PATCH or DELETE{meant}")));
    };
    if word != method {
        compat.accept(Tolerance::MethodCase, "method")?;
    }
    Ok(method)
}

/// §3.7: required of a POST, so that its answer can be told from the others.
fn check_bulk_id(sent: Option<&Value>, method: &str) -> Result<()> {
    match sent {
        Some(Value::String(id)) if !id.is_empty() => Ok(()),
        None | Some(Value::Null) if method != "POST" => Ok(()),
        None | Some(Value::Null) => {
            Err(invalid("bulkId: missing; give each POST a bulkId that no other POST of the request has"))
        }
        Some(_) => Err(invalid("bulkId: expected a string that is not empty, such as \"user-1\"")),
    }
}

impl<'t> Head<'t> {
    fn read(method: &str, mut operation: Object, registry: &'t Registry, mut compat: Compat) -> Result<Self> {
        let path = match take(&mut operation, "path") {
            Some(Value::String(path)) => path,
            Some(_) => return Err(syntax("path: expected a string such as \"/Users\"")),
            None => return Err(syntax("path: missing; it names the endpoint: \"/Users\"")),
        };
        let (resource_type, action) = match route::route(registry, method, path.trim(), &mut compat) {
            Ok(Route::Resources(resource_type, action)) => (resource_type, action),
            Ok(_) => {
                return Err(invalid(&format!(
                    "path: `{}` is not offered within a bulk request, which takes resources only: /Users, /Users/{{id}}",
                    excerpt(&path)
                )));
            }
            // Neither 404 nor 405: nothing is wrong with a resource, but with the operation.
            Err(error) => return Err(invalid(&format!("path: {}", error.detail))),
        };
        let version = match take(&mut operation, "version") {
            None | Some(Value::Null) => None,
            // §3.7: not to be given with POST, where there is no version to insist on.
            Some(_) if method == "POST" => {
                return Err(invalid("version: a POST has no version to insist on; leave it out"));
            }
            Some(Value::String(version)) => Some(version),
            Some(_) => {
                return Err(invalid("version: expected a string, as in meta.version: \"W/\\\"1.0\\\"\""));
            }
        };
        let data = match (method, take(&mut operation, "data")) {
            ("DELETE", _) => None,
            (_, Some(data @ Value::Object(_))) => Some(data),
            (_, Some(_)) => return Err(syntax("data: expected a JSON object")),
            (_, None) => {
                return Err(syntax(&format!("data: missing; it holds what the body of a {method} would")));
            }
        };
        Ok(Self { resource_type, action, version, data, compat })
    }

    /// Whether it refers to what the request creates.
    fn refers(&self) -> bool {
        self.data.as_ref().is_some_and(refers) || self.named_id().is_some_and(|id| is_reference(id))
    }

    /// The id in its path.
    fn named_id(&self) -> Option<&String> {
        match &self.action {
            route::Action::Replace(id) | route::Action::Patch(id) | route::Action::Delete(id) => Some(id),
            _ => None,
        }
    }

    /// The id of what it works on.
    fn id(&self, assigned: Option<Assigned>, references: &mut References<'_>) -> Result<Assigned> {
        let Some(id) = self.named_id() else { return Ok(assigned.unwrap_or_default()) };
        let mut id = id.clone();
        references.in_id(&mut id, "path")?;
        Ok(Assigned { fresh: id, told: None })
    }

    fn resolve_data(&mut self, references: &mut References<'_>) -> Result<()> {
        let Some(data) = &mut self.data else { return Ok(()) };
        if matches!(self.action, route::Action::Patch(_)) {
            references.in_paths(data, "data", &mut self.compat)?;
        }
        references.in_value(data, "data")
    }

    /// As the operation alone would be decoded.
    fn decode<H: Host>(self, ctx: &mut Context<'t, H>, assigned: Assigned) -> Result<Action<'t>> {
        let Self { resource_type, action, version, data, compat } = self;
        let envelope = std::mem::replace(&mut ctx.compat, compat.within("data."));
        let data = data.unwrap_or_default();
        let decoded = match action {
            route::Action::Create => Create::decode(ctx, resource_type, assigned, data).map(Action::Create),
            route::Action::Replace(_) => {
                Replace::decode(ctx, resource_type, &assigned.fresh, version, data).map(Action::Replace)
            }
            route::Action::Patch(_) => {
                Patch::decode(ctx, resource_type, &assigned.fresh, version, &data).map(Action::Patch)
            }
            route::Action::Delete(_) => {
                let id = assigned.fresh;
                Ok(Action::Delete(Delete { resource_type, id, if_match: version, compat: ctx.compat.clone() }))
            }
            _ => Err(invalid("path: reads are not offered within a bulk request")),
        };
        ctx.compat = envelope;
        decoded
    }
}

/// A key of the message, in its own spelling first and then in any case.
fn take(object: &mut Object, name: &str) -> Option<Value> {
    if let Some(value) = object.swap_remove(name) {
        return Some(value);
    }
    let key = object.keys().find(|key| key.eq_ignore_ascii_case(name))?.clone();
    object.swap_remove(&key)
}

fn syntax(detail: &str) -> ScimError {
    ScimError::new(ErrorKind::InvalidSyntax, detail)
}

fn invalid(detail: &str) -> ScimError {
    ScimError::new(ErrorKind::InvalidValue, detail)
}
