//! `scimwell token create | list | revoke`.

use serde_json::{Value, json};

use super::output::{Output, pairs, shown, table};
use super::target::{Target, encoded};
use super::tenant::pages;
use super::{CommandError, TokenCommand};

pub(super) async fn run(command: TokenCommand, target: &Target, output: Output) -> Result<(), CommandError> {
    match command {
        TokenCommand::Create { tenant, label, permissions, expires } => {
            let mut body = json!({ "label": label, "permissions": permissions });
            for (key, value) in [("tenant", tenant), ("expires", expires)] {
                if let Some(text) = value {
                    body[key] = text.into();
                }
            }
            create(target, output, &body).await
        }
        TokenCommand::List { tenant } => list(target, output, tenant).await,
        TokenCommand::Revoke { ids } => revoke(target, output, &ids).await,
    }
}

async fn create(target: &Target, output: Output, body: &Value) -> Result<(), CommandError> {
    let token = target.records("POST", "/tokens", Some(body)).await?;
    output.print(&token, || {
        let keys = ["token", "id", "tenant", "label", "permissions", "expires"];
        let text = pairs("", keys.map(|key| (key, shown(&token[key]))));
        format!("{text}The token is shown this once; keep it where secrets are kept.\n")
    })
}

async fn list(target: &Target, output: Output, tenant: Option<String>) -> Result<(), CommandError> {
    let query = tenant.map(|tenant| format!("tenant={}", encoded(&tenant))).unwrap_or_default();
    let tokens = pages(target, "/tokens", "tokens", &query).await?;
    output.print(&json!({ "tokens": tokens }), || {
        let rows: Vec<_> = tokens
            .iter()
            .map(|token| {
                let [id, tenant, label, permissions, created, expires] =
                    ["id", "tenant", "label", "permissions", "created", "expires"].map(|key| shown(&token[key]));
                let expires = if token["active"] == false { format!("{expires} (expired)") } else { expires };
                [id, tenant, label, permissions, created, expires]
            })
            .collect();
        table(["ID", "TENANT", "LABEL", "PERMISSIONS", "CREATED", "EXPIRES"], &rows)
    })
}

/// Revokes what can be revoked; the first that can't decides how the command ends.
async fn revoke(target: &Target, output: Output, ids: &[String]) -> Result<(), CommandError> {
    let mut failed = None;
    for id in ids {
        match target.records("DELETE", &format!("/tokens/{}", encoded(id)), None).await {
            Ok(_) => output.confirm(&format!("Revoked the token {id}.\n"))?,
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    failed.map_or(Ok(()), Err)
}
