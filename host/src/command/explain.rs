//! `scimwell explain`: how a search is run on the tenant's data, and what it costs.

use serde_json::Value;

use super::output::{Output, pairs, shown};
use super::target::{Target, encoded};
use super::{CommandError, ExplainOptions};

pub(super) async fn run(
    options: ExplainOptions,
    tenant: &str,
    target: &Target,
    output: Output,
) -> Result<(), CommandError> {
    let found = target.configuration(tenant, "GET", &path(&options), None).await?;
    output.print(&found, || text(&found))
}

fn path(options: &ExplainOptions) -> String {
    let order = options.descending.then(|| "descending".to_owned());
    let parameters = [
        ("resourceType", Some(options.resource_type.clone())),
        ("filter", options.filter.clone()),
        ("sortBy", options.sort_by.clone()),
        ("sortOrder", order),
        ("startIndex", Some(options.start_index.to_string())),
        ("count", options.count.map(|count| count.to_string())),
    ];
    let parameters = parameters.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", encoded(&value?))));
    format!("/explain?{}", parameters.collect::<Vec<_>>().join("&"))
}

fn text(found: &Value) -> String {
    let (plan, cost) = (&found["plan"], &found["cost"]);
    let lines = |value: &Value| {
        let values: Vec<String> = value.as_array().into_iter().flatten().map(shown).collect();
        if values.is_empty() { "-".to_owned() } else { values.join("; ") }
    };
    let mut rows = vec![
        ("resource type", shown(&found["resourceType"])),
        ("filter", shown(&found["filter"])),
        ("reads", lines(&plan["access"])),
        ("then tests", lines(&plan["tested"])),
        ("order", shown(&plan["order"])),
        ("keys read", shown(&cost["keysRead"])),
        ("documents tested", shown(&cost["documentsTested"])),
        ("matches", shown(&cost["matches"])),
        ("shown", shown(&cost["shown"])),
    ];
    for (name, value) in [("advice", &plan["advice"]), ("refused", &found["refused"])] {
        if !value.is_null() {
            rows.push((name, shown(value)));
        }
    }
    pairs("", rows)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_request() {
        let options = ExplainOptions {
            filter: Some("userName sw \"a&b\"".to_owned()),
            resource_type: "User".to_owned(),
            sort_by: Some("userName".to_owned()),
            descending: true,
            start_index: 1,
            count: None,
        };
        assert_eq!(
            path(&options),
            "/explain?resourceType=User&filter=userName%20sw%20%22a%26b%22&sortBy=userName&sortOrder=descending&startIndex=1"
        );
    }

    #[test]
    fn what_is_printed() {
        let found = json!({
            "resourceType": "User",
            "plan": { "access": ["every document"], "order": "creation", "advice": "Narrow it." },
            "cost": { "keysRead": 1, "documentsTested": 2, "matches": 3, "shown": 3 },
        });
        let text = text(&found);
        assert!(text.contains("reads             every document\n"), "{text}");
        assert!(text.contains("then tests        -\n") && text.contains("advice            Narrow it.\n"), "{text}");
    }
}
