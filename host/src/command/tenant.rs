//! `scimwell tenant create | list | show | set`.

use serde_json::{Map, Value, json};

use super::output::{Output, pairs, shown, table};
use super::target::{Target, encoded};
use super::{CommandError, TenantCommand};

/// The one key that is not of the tenant's settings but of the tenant's record.
const DISPLAY_NAME: &str = "displayName";

pub(super) async fn run(command: TenantCommand, target: &Target, output: Output) -> Result<(), CommandError> {
    match command {
        TenantCommand::Create { name, display_name } => create(target, output, &name, display_name).await,
        TenantCommand::List => list(target, output).await,
        TenantCommand::Show { name } => show(target, output, &name).await,
        TenantCommand::Set { name, settings } => set(target, output, &name, &settings).await,
    }
}

async fn create(target: &Target, output: Output, name: &str, display_name: Option<String>) -> Result<(), CommandError> {
    let mut body = json!({ "name": name });
    if let Some(text) = display_name {
        body[DISPLAY_NAME] = text.into();
    }
    let tenant = target.records("POST", "/tenants", Some(&body)).await?;
    output.print(&tenant, || {
        format!(
            "Created the tenant {name}. Its SCIM base path is /t/{name}/scim/v2.\n\
             A token for its identity provider: scimwell token create --tenant {name} --label Okta\n"
        )
    })
}

async fn list(target: &Target, output: Output) -> Result<(), CommandError> {
    let tenants = pages(target, "/tenants", "tenants", "").await?;
    output.print(&json!({ "tenants": tenants }), || {
        let rows: Vec<_> =
            tenants.iter().map(|tenant| ["name", DISPLAY_NAME, "created"].map(|key| shown(&tenant[key]))).collect();
        table(["NAME", "DISPLAY NAME", "CREATED"], &rows)
    })
}

/// All pages of a list, as one.
pub(super) async fn pages(target: &Target, path: &str, key: &str, query: &str) -> Result<Vec<Value>, CommandError> {
    let mut found = Vec::new();
    let mut after = String::new();
    loop {
        let mut page = target.records("GET", &format!("{path}?{query}{after}"), None).await?;
        if let Value::Array(entries) = page[key].take() {
            found.extend(entries);
        }
        match page["next"].as_str() {
            Some(next) => after = format!("&after={}", encoded(next)),
            None => return Ok(found),
        }
    }
}

async fn show(target: &Target, output: Output, name: &str) -> Result<(), CommandError> {
    let mut tenant = target.records("GET", &format!("/tenants/{}", encoded(name)), None).await?;
    let settings = target.configuration(name, "GET", "/settings", None).await?;
    tenant["settings"] = settings.clone();
    output.print(&tenant, || {
        let record = ["name", DISPLAY_NAME, "created"].map(|key| (key, shown(&tenant[key])));
        format!("{}settings\n{}", pairs("", record), settings_text(&settings))
    })
}

fn settings_text(settings: &Value) -> String {
    let settings = settings.as_object().into_iter().flatten();
    pairs("  ", settings.map(|(key, value)| (key.as_str(), shown(value))))
}

async fn set(target: &Target, output: Output, name: &str, settings: &[String]) -> Result<(), CommandError> {
    let mut changes = parse(settings)?;
    let display_name = changes.remove(DISPLAY_NAME);
    let mut result = Map::new();
    // The settings first: they are what may be refused.
    if !changes.is_empty() {
        let after = target.configuration(name, "PATCH", "/settings", Some(&Value::Object(changes.clone()))).await?;
        result.extend(changes.keys().map(|key| (key.clone(), after[key.as_str()].clone())));
    }
    if let Some(text) = display_name {
        let path = format!("/tenants/{}", encoded(name));
        let after = target.records("PATCH", &path, Some(&json!({ DISPLAY_NAME: text }))).await?;
        result.insert(DISPLAY_NAME.to_owned(), after[DISPLAY_NAME].clone());
    }
    let result = Value::Object(result);
    output.print(&result, || format!("Changed the tenant {name}:\n{}", settings_text(&result)))
}

/// `KEY=VALUE` as a merge patch (RFC 7396): a value that is JSON as that, any other as a string.
fn parse(settings: &[String]) -> Result<Map<String, Value>, CommandError> {
    settings
        .iter()
        .map(|setting| match setting.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => {
                let key = key.trim().to_owned();
                let value = match (key.as_str(), value) {
                    (_, "null") => Value::Null,
                    // A company may be called 42.
                    (DISPLAY_NAME, text) => text.into(),
                    (_, text) => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
                };
                Ok((key, value))
            }
            _ => Err(CommandError::Setting(setting.clone())),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(setting: &str, expect: Option<(&str, Value)>) {
        let found = parse(&[setting.to_owned()]).ok();
        assert_eq!(found, expect.map(|(key, value)| Map::from_iter([(key.to_owned(), value)])));
    }

    #[test]
    fn settings() {
        check("passwords=true", Some(("passwords", json!(true))));
        check("maxPageSize=50", Some(("maxPageSize", json!(50))));
        check("patchReply=no-content", Some(("patchReply", json!("no-content"))));
        check("meAttribute=null", Some(("meAttribute", json!(null))));
        check("displayName=42", Some(("displayName", json!("42"))));
        check("displayName=a=b", Some(("displayName", json!("a=b"))));
        check("passwords", None);
        check("=true", None);
    }
}
