//! `/admin/schemas`: the tenant's own schemas, in the form of RFC 7643 §7 and with `indexed`.

use serde_json::{Value, json};

use crate::error::{ErrorKind, Result, ScimError};
use crate::host::Host;
use crate::http::Response;
use crate::ops::Context;
use crate::render;
use crate::schema::{Attribute, ENTERPRISE_USER, GROUP, Schema, USER, define, discovery};
use crate::store::Read;
use crate::store::keys;
use crate::suggest::did_you_mean;
use crate::tenant::Stored;

use super::change::{self, Subject};

/// The built-in schemas and the tenant's own, those that no resource type uses included.
pub(super) fn list<H: Host>(ctx: &Context<'_, H>) -> Result<Response> {
    let stored = stored(ctx)?;
    let own = stored.configuration.definitions.schemas.iter();
    let all = [&USER, &ENTERPRISE_USER, &GROUP].into_iter().chain(own);
    Ok(render::all(&all.map(|schema| document(schema, &ctx.request.base_url)).collect::<Vec<_>>()))
}

/// One of them.
pub(super) fn show<H: Host>(ctx: &Context<'_, H>, urn: &str) -> Result<Response> {
    let stored = stored(ctx)?;
    let own = stored.configuration.definitions.schema(urn);
    let built_in = [&USER, &ENTERPRISE_USER, &GROUP].into_iter().find(|schema| schema.id.eq_ignore_ascii_case(urn));
    match own.or(built_in) {
        Some(schema) => Ok(render::json(200, &document(schema, &ctx.request.base_url))),
        None => Err(unknown(urn, &stored)),
    }
}

/// Define a schema, or define it anew: 201 or 200 with the schema. 409 where stored data violates the new one.
pub(super) fn put<H: Host>(ctx: &Context<'_, H>, urn: &str) -> Result<Response> {
    let schema = define::schema(urn, &super::body(ctx)?)?;
    let created = change::publish(ctx, Subject { kind: "Schema", id: &schema.id }, |configuration| {
        let own = &mut configuration.definitions.schemas;
        let at = own.iter().position(|other| other.id.eq_ignore_ascii_case(urn));
        match at {
            Some(at) if own[at].id != schema.id => Err(ScimError::new(
                ErrorKind::InvalidValue,
                format!("`{urn}` and the schema `{}` differ in case only; write it so", own[at].id),
            )),
            Some(at) => {
                own[at] = schema.clone();
                Ok(false)
            }
            None => {
                own.push(schema.clone());
                Ok(true)
            }
        }
    })?;
    Ok(render::json(if created { 201 } else { 200 }, &document(&schema, &ctx.request.base_url)))
}

/// Forget a schema that no resource type uses; 204.
pub(super) fn delete<H: Host>(ctx: &Context<'_, H>, urn: &str) -> Result<Response> {
    if [&USER, &ENTERPRISE_USER, &GROUP].into_iter().any(|schema| schema.id.eq_ignore_ascii_case(urn)) {
        return Err(ScimError::new(ErrorKind::Mutability, format!("`{urn}` is built in and can't be deleted.")));
    }
    let id = match stored(ctx)?.configuration.definitions.schema(urn) {
        Some(schema) => schema.id.to_string(),
        None => return Err(unknown(urn, &stored(ctx)?)),
    };
    change::publish(ctx, Subject { kind: "Schema", id: &id }, |configuration| {
        let users = configuration.definitions.users_of(&id);
        if !users.is_empty() {
            return Err(ScimError::new(
                ErrorKind::Conflict,
                format!(
                    "`{id}` is in use by {}. Take it off them with PUT /admin/resource-types/{{name}}, or delete them, \
                     first.",
                    users.join(", ")
                ),
            ));
        }
        configuration.definitions.schemas.retain(|schema| schema.id != id);
        Ok(())
    })?;
    Ok(render::empty(204))
}

/// As discovery shows it, with `indexed` on what has an index.
pub(super) fn document(schema: &Schema, base_url: &str) -> Value {
    let mut document = discovery::schema(schema, base_url);
    document["meta"]["location"] = json!(format!("{base_url}/admin/schemas/{}", schema.id));
    if let Some(attributes) = document["attributes"].as_array_mut() {
        mark_indexed(&schema.attributes, attributes);
    }
    document
}

fn mark_indexed(attributes: &[Attribute], documents: &mut [Value]) {
    for (attribute, document) in attributes.iter().zip(documents) {
        if attribute.indexed {
            document["indexed"] = json!(true);
        }
        // Not by index, which would put a null where there are none.
        if let Some(documents) = document.get_mut("subAttributes").and_then(Value::as_array_mut) {
            mark_indexed(&attribute.sub_attributes, documents);
        }
    }
}

/// The configuration as it is stored now.
pub(super) fn stored<H: Host>(ctx: &Context<'_, H>) -> Result<Stored> {
    Stored::decode(ctx.store.peek_one(keys::tenant())?.as_deref())
}

fn unknown(urn: &str, stored: &Stored) -> ScimError {
    let known = stored.configuration.definitions.schemas.iter().map(|schema| schema.id.as_ref());
    ScimError::new(
        ErrorKind::NotFound,
        format!("There is no schema `{urn}`{}; GET /admin/schemas lists what there is.", did_you_mean(urn, known)),
    )
}
