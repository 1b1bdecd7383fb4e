//! `scimwell log`: a tenant's change log, and the report of what was tolerated.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;

use super::output::{Output, pairs, shown, table, write};
use super::target::Target;
use super::{CommandError, LogOptions};
use crate::datetime;

/// How often a follower looks for new records.
const PAUSE: Duration = Duration::from_secs(1);
/// Records in a page, which the server bounds too.
const PAGE: u64 = 1_000;

pub(super) async fn run(
    options: LogOptions,
    tenant: &str,
    target: &Target,
    output: Output,
) -> Result<(), CommandError> {
    if options.tolerances {
        let report = target.configuration(tenant, "GET", "/tolerances", None).await?;
        return output.print(&report, || report_text(&report));
    }
    let mut after = options.after;
    let mut left = options.count.unwrap_or(u64::MAX);
    loop {
        let path = format!("/log?after={after}&count={}", left.min(PAGE));
        let page = target.configuration(tenant, "GET", &path, None).await?;
        let records = page["records"].as_array().map(Vec::as_slice).unwrap_or_default();
        // One record a line either way, so that output can be cut and followed.
        let lines = records.iter().map(|record| if output.json { format!("{record}\n") } else { line(record) });
        write(&lines.collect::<String>())?;
        after = page["next"].as_u64().unwrap_or(after);
        left = left.saturating_sub(records.len() as u64);
        match (left, page["more"] == true, options.follow) {
            (0, ..) | (_, false, false) => return Ok(()),
            (_, true, _) => {}
            (_, false, true) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// A record as a person reads it: what changed, and by whom.
fn line(record: &Value) -> String {
    let time = record["time"].as_u64().map_or_else(|| "-".to_owned(), |time| datetime::rfc3339(time / 1_000));
    let mut parts: Vec<String> = vec![shown(&record["sequence"]), time];
    parts.extend(["subject", "operation", "resourceType", "id"].map(|key| shown(&record[key])));
    let mut changed: Vec<&str> = Vec::new();
    for side in ["before", "after"] {
        for name in record[side].as_object().into_iter().flatten().map(|(name, _)| name.as_str()) {
            if !changed.contains(&name) {
                changed.push(name);
            }
        }
    }
    if record["passwordChanged"] == true {
        changed.push("password");
    }
    if !changed.is_empty() {
        parts.push(changed.join(","));
    }
    for (key, sign) in [("added", '+'), ("removed", '-')] {
        if let Some(members) = record[key].as_array().filter(|members| !members.is_empty()) {
            parts.push(format!("{sign}{} members", members.len()));
        }
    }
    if record["reprovisioned"].is_string() {
        parts.push(shown(&record["reprovisioned"]));
    }
    if record["tolerances"].is_array() {
        parts.push(format!("tolerated={}", shown(&record["tolerances"])));
    }
    format!("{}\n", parts.join("  "))
}

fn report_text(report: &Value) -> String {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let clients = list(&report["clients"]);
    let mut text =
        pairs("", [("profile", shown(&report["profile"])), ("log records counted", shown(&report["records"]))]);
    if clients.is_empty() {
        text.push_str("No request has departed from the standard.\n");
    }
    for client in clients {
        let tolerances = list(&client["tolerances"]);
        _ = writeln!(text, "\n{}  {}", shown(&client["subject"]), shown(&client["userAgents"]));
        let rows: Vec<_> = tolerances
            .iter()
            .map(|row| {
                let outcome = if row["refused"] == true { "refused" } else { "accepted" };
                let [id, changes, last] = ["id", "changes", "last"].map(|key| shown(&row[key]));
                [id, outcome.to_owned(), changes, last]
            })
            .collect();
        text.push_str(&table(["TOLERANCE", "OUTCOME", "CHANGES", "LAST"], &rows));
        for row in &tolerances {
            _ = writeln!(text, "  {}: {} ({})", shown(&row["id"]), shown(&row["correct"]), shown(&row["rfc"]));
            for example in list(&row["examples"]) {
                let [method, path, place] = ["method", "path", "place"].map(|key| shown(&example[key]));
                let sent = example["sent"].as_str().map_or_else(String::new, |sent| format!(" = {sent}"));
                _ = writeln!(text, "    {method} {path}  {place}{sent}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_record_is_a_line() {
        let record = json!({
            "sequence": 7, "time": 1_700_000_000_000_u64, "subject": "okta", "operation": "patch", "resourceType": "Group",
            "id": "1", "before": { "displayName": "A" }, "after": { "displayName": "B" }, "added": ["2", "3"],
            "tolerances": ["operation-case"],
        });
        assert_eq!(
            line(&record),
            "7  2023-11-14T22:13:20Z  okta  patch  Group  1  displayName  +2 members  tolerated=operation-case\n"
        );
        let record = json!({
            "sequence": 8, "time": 1_700_000_000_000_u64, "subject": "okta", "operation": "replace", "resourceType": "User",
            "id": "1", "before": { "active": false }, "after": { "active": true }, "reprovisioned": "reactivated",
        });
        assert_eq!(line(&record), "8  2023-11-14T22:13:20Z  okta  replace  User  1  active  reactivated\n");
    }

    #[test]
    fn the_report_names_items_and_pieces() {
        let example =
            json!({ "method": "PATCH", "path": "/Users/1", "place": "Operations[0].op", "sent": "\"Replace\"" });
        let row = json!({ "id": "operation-case", "refused": true, "changes": 0, "last": "2026-01-01T00:00:00.000Z",
            "correct": "`op` must be lower case", "rfc": "RFC 7644 §3.5.2", "examples": [example] });
        let client = json!({ "subject": "entra", "userAgents": ["IdP/1.0"], "tolerances": [row] });
        let text = report_text(&json!({ "profile": "strict", "records": 0, "clients": [client] }));
        assert!(text.contains("\nentra  IdP/1.0\n"), "{text}");
        assert!(text.contains("operation-case  refused  0        2026-01-01T00:00:00.000Z\n"), "{text}");
        assert!(text.contains("  operation-case: `op` must be lower case (RFC 7644 §3.5.2)\n"), "{text}");
        assert!(text.contains("    PATCH /Users/1  Operations[0].op = \"Replace\"\n"), "{text}");
        assert!(report_text(&json!({ "profile": "auto", "records": 0, "clients": [] })).contains("No request"));
    }
}
