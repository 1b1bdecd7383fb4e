//! `/admin/settings`: the tenant's settings as one JSON object, with the keys of [`Settings`].

use serde_json::{Map, Value};

use crate::compat::Compat;
use crate::error::{ErrorKind, Result, ScimError, excerpt};
use crate::filter;
use crate::host::Host;
use crate::http::Response;
use crate::limits;
use crate::ops::Context;
use crate::render;
use crate::schema::{Registry, Type};
use crate::suggest::did_you_mean;
use crate::tenant::Settings;

use super::change::{self, Subject};
use super::json;

/// All settings, those at their default included.
pub(super) fn show<H: Host>(ctx: &Context<'_, H>) -> Result<Response> {
    Ok(render::json(200, &json(&ctx.tenant.settings)?))
}

/// What the body leaves out goes back to its default.
pub(super) fn replace<H: Host>(ctx: &Context<'_, H>) -> Result<Response> {
    let body = super::body(ctx)?;
    store(ctx, |_| merged(&Settings::default(), &body))
}

/// What the body leaves out stays; null goes back to the default (RFC 7396).
pub(super) fn merge<H: Host>(ctx: &Context<'_, H>) -> Result<Response> {
    let body = match ctx.request.header("content-type") {
        Some(media_type) if media_type.starts_with("application/merge-patch+json") => {
            crate::validate::parse_json(&ctx.request.body)?
        }
        _ => super::body(ctx)?,
    };
    store(ctx, |current| merged(current, &body))
}

fn store<H: Host>(ctx: &Context<'_, H>, new: impl Fn(&Settings) -> Result<Settings>) -> Result<Response> {
    let settings = change::publish(ctx, Subject { kind: "Settings", id: "settings" }, |configuration| {
        configuration.settings = new(&configuration.settings)?;
        Ok(configuration.settings.clone())
    })?;
    Ok(render::json(200, &json(&settings)?))
}

/// Settings with the body's keys put over them, one by one, so that an error can name its key.
fn merged(current: &Settings, body: &Value) -> Result<Settings> {
    let Value::Object(body) = body else {
        return Err(ScimError::new(ErrorKind::InvalidSyntax, "the body must be a JSON object with settings"));
    };
    let defaults = object(&Settings::default())?;
    let mut all = object(current)?;
    for (key, value) in body {
        let Some(default) = defaults.get(key) else {
            let known = defaults.keys().map(String::as_str);
            return Err(invalid(format!(
                "{}: there is no such setting{}; there are {}",
                excerpt(key),
                did_you_mean(key, known.clone()),
                known.collect::<Vec<_>>().join(", ")
            )));
        };
        let value = match (all.get(key), value) {
            (_, Value::Null) => default.clone(),
            // RFC 7396: of an object, what is left out stays and what is null goes.
            (Some(Value::Object(there)), Value::Object(given)) => {
                let mut merged = there.clone();
                merged.extend(given.clone());
                merged.retain(|_, value| !value.is_null());
                Value::Object(merged)
            }
            (_, value) => value.clone(),
        };
        all.insert(key.clone(), value);
        if let Err(error) = serde_json::from_value::<Settings>(Value::Object(all.clone())) {
            return Err(invalid(format!("{key}: {error}")));
        }
    }
    serde_json::from_value(Value::Object(all)).map_err(|error| invalid(error.to_string()))
}

fn object(settings: &Settings) -> Result<Map<String, Value>> {
    match json(settings)? {
        Value::Object(object) => Ok(object),
        _ => Ok(Map::new()),
    }
}

/// Whether the numbers are in range, and what is named is there.
pub(super) fn check(settings: &Settings, registry: &Registry) -> Result<()> {
    if !(1..=limits::MAX_PAGE).contains(&settings.max_page_size) {
        return Err(invalid(format!("maxPageSize: {} is not from 1 to {}", settings.max_page_size, limits::MAX_PAGE)));
    }
    if !(1..=settings.max_page_size).contains(&settings.default_page_size) {
        return Err(invalid(format!(
            "defaultPageSize: {} is not from 1 to maxPageSize, which is {}",
            settings.default_page_size, settings.max_page_size
        )));
    }
    if !limits::CURSOR_SECONDS_RANGE.contains(&settings.cursor_seconds) {
        return Err(invalid(format!(
            "cursorSeconds: {} is not from {} to {}",
            settings.cursor_seconds,
            limits::CURSOR_SECONDS_RANGE.start(),
            limits::CURSOR_SECONDS_RANGE.end()
        )));
    }
    if !limits::RESTORE_DAYS_RANGE.contains(&settings.restore_days) {
        return Err(invalid(format!(
            "restoreDays: {} is not from {} to {}",
            settings.restore_days,
            limits::RESTORE_DAYS_RANGE.start(),
            limits::RESTORE_DAYS_RANGE.end()
        )));
    }
    match &settings.me_attribute {
        None => Ok(()),
        Some(name) => check_me(name, registry),
    }
}

/// `/Me` looks users up by it (RFC 7644 §3.11), so that it must be one string.
fn check_me(name: &str, registry: &Registry) -> Result<()> {
    let wrong = |why: &str| Err(invalid(format!("meAttribute: `{}` {why}", excerpt(name))));
    let Some(user) = registry.by_name("User") else { return wrong("needs the resource type User") };
    let path = match filter::parse_path(name, &mut Compat::default()) {
        Ok(path) if path.filter.is_none() => path.attribute,
        _ => return wrong("is no attribute name; write one such as userName or externalId"),
    };
    let Some(target) = user.resolve(path.urn.as_deref(), &path.name, path.sub.as_deref()) else {
        let known = user.targets().map(|target| target.name()).collect::<Vec<_>>();
        let meant = did_you_mean(name, known.iter().map(String::as_str));
        return wrong(&format!("is no attribute of User{meant}"));
    };
    let leaf = target.leaf();
    let many = target.attribute.multi_valued || leaf.multi_valued;
    match leaf.kind == Type::String && !many && leaf.returned != crate::schema::Returned::Never {
        true => Ok(()),
        false => wrong("is not a single string; name one such as userName, externalId or id"),
    }
}

fn invalid(detail: String) -> ScimError {
    ScimError::new(ErrorKind::InvalidValue, detail)
}
