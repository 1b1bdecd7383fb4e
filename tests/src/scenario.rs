//! Recorded traffic of identity providers, replayed: each scenario is a list of requests and what must be true of the
//! answers. The format is that of `idp-scenarios.md`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::client::{Request, Response};
use crate::json_path::{Found, find};
use crate::server::{Server, workspace};

/// The scenarios of the file that `SCIMWELL_SCENARIOS` names. The recorded traffic is not part of this repository: `None`
/// where there is no file.
pub fn recorded() -> Option<Vec<Value>> {
    let path = std::env::var_os("SCIMWELL_SCENARIOS")
        .map_or_else(|| workspace().join("../shared/idp-scenarios.json"), PathBuf::from);
    let text = std::fs::read(&path).ok()?;
    Some(serde_json::from_slice(&text).expect("the scenarios are a JSON array"))
}

/// Replay the scenarios on a server, each in a tenant of its own below `/t/`: how many pass, and a line for each.
pub fn replay_all(scenarios: &[Value], server: &Server, token: &str) -> (usize, String) {
    let mut report = String::new();
    let mut passed = 0;
    for scenario in scenarios {
        let id = scenario["id"].as_str().expect("a scenario has an id");
        let mut client = server.client();
        let result = replay(scenario, &format!("r{id}").replace('-', ""), token, |request| {
            let mut request = request.clone();
            request.target = format!("/t/{id}/scim/v2{}", request.target);
            client.send(&request).map_err(|error| error.to_string())
        });
        let idp = scenario["idp"].as_str().unwrap_or_default();
        match result {
            Ok(()) => {
                passed += 1;
                writeln!(report, "pass  {idp:<32}{id}").expect("a String takes whatever is written");
            }
            Err(error) => {
                writeln!(report, "FAIL  {idp:<32}{id}\n    {error}").expect("a String takes whatever is written");
            }
        }
    }
    writeln!(report, "{passed} of {} pass", scenarios.len()).expect("a String takes whatever is written");
    (passed, report)
}

/// The variables of one run.
#[derive(Debug, Default)]
struct Variables {
    values: BTreeMap<String, Value>,
    /// Makes `{{guid}}` differ each time.
    guids: u64,
    run: String,
}

/// Replay one scenario. `run` must be fresh and contain a letter; `send` gets requests whose target is relative to the
/// SCIM base. The error says which step failed and why.
pub fn replay(
    scenario: &Value,
    run: &str,
    token: &str,
    mut send: impl FnMut(&Request) -> Result<Response, String>,
) -> Result<(), String> {
    let mut variables = Variables { run: run.to_owned(), ..Variables::default() };
    let steps = scenario["steps"].as_array().ok_or("the scenario has no steps")?;
    for (index, step) in steps.iter().enumerate() {
        for repetition in repetitions(step) {
            if let Some((name, value)) = repetition {
                variables.values.insert(name, json!(value));
            }
            let text = |name: &str| step[name].as_str().unwrap_or_default();
            let place = |error: String| format!("step {} ({} {}): {error}", index + 1, text("method"), text("path"));
            let request = request(step, token, &mut variables).map_err(place)?;
            let response = send(&request).map_err(place)?;
            expect(step, &response, &mut variables)
                .map_err(|error| place(format!("{error}\n    answer: {response}")))?;
            save(step, &response, &mut variables).map_err(place)?;
        }
    }
    Ok(())
}

fn repetitions(step: &Value) -> Vec<Option<(String, u64)>> {
    let repeat = &step["repeat"];
    match (repeat["var"].as_str(), repeat["from"].as_u64(), repeat["to"].as_u64()) {
        (Some(name), Some(from), Some(to)) => (from..=to).map(|i| Some((name.to_owned(), i))).collect(),
        _ => vec![None],
    }
}

fn request(step: &Value, token: &str, variables: &mut Variables) -> Result<Request, String> {
    let text = |name: &str| step[name].as_str().ok_or_else(|| format!("the step has no {name}"));
    let mut request = Request::new(text("method")?, variables.expand(text("path")?)?);
    if let Some(headers) = step["headers"].as_object() {
        for (name, value) in headers {
            request = request.header(name, variables.expand(value.as_str().unwrap_or_default())?);
        }
    }
    if let Some(body) = step["body_raw"].as_str() {
        request.body = variables.expand(body)?.into_bytes();
    } else if let Some(body) = step.get("body") {
        request.body = variables.expand_json(body)?.to_string().into_bytes();
    }
    if !request.has("authorization") {
        request = request.bearer(token);
    }
    if !request.body.is_empty() && !request.has("content-type") {
        request = request.header("Content-Type", "application/scim+json");
    }
    Ok(request)
}

fn save(step: &Value, response: &Response, variables: &mut Variables) -> Result<(), String> {
    let Some(wanted) = step["save"].as_object() else { return Ok(()) };
    for (name, path) in wanted {
        let path = path.as_str().ok_or("save takes a path")?;
        let Found::One(Some(value)) = find(&response.json(), path)? else {
            return Err(format!("nothing to save at {path}"));
        };
        match name.strip_suffix("[]") {
            None => _ = variables.values.insert(name.clone(), value),
            Some(list) => match variables.values.entry(list.to_owned()).or_insert_with(|| json!([])) {
                Value::Array(array) => array.push(value),
                _ => return Err(format!("{list} is no list")),
            },
        }
    }
    Ok(())
}

fn expect(step: &Value, response: &Response, variables: &mut Variables) -> Result<(), String> {
    let expect = &step["expect"];
    if !expect["status"].as_array().is_some_and(|any| any.contains(&json!(response.status))) {
        return Err(format!("status {}, expected one of {}", response.status, expect["status"]));
    }
    let none = Vec::new();
    for assertion in expect["json_assertions"].as_array().unwrap_or(&none) {
        let path = assertion["path"].as_str().ok_or("an assertion has no path")?;
        // A PATCH may be answered without a body (RFC 7644 §3.5.2).
        if response.status == 204 && !path.starts_with("$header.") {
            continue;
        }
        let found = match path.strip_prefix("$header.") {
            Some(name) => Found::One(response.header(name).map(|value| json!(value))),
            None => find(&response.json(), path)?,
        };
        let assertion = variables.expand_json(assertion)?;
        let holds = assert(&assertion, path, &found)?;
        if !holds {
            return Err(format!("{assertion} does not hold, found {found:?}"));
        }
    }
    Ok(())
}

/// Whether every condition of one assertion holds for what its path found.
fn assert(assertion: &Value, path: &str, found: &Found) -> Result<bool, String> {
    let conditions = assertion.as_object().ok_or("an assertion is an object")?;
    let mut holds = true;
    for (name, wanted) in conditions {
        holds &= match (name.as_str(), found) {
            ("path", _) => true,
            ("equals", Found::One(value)) => value.as_ref() == Some(wanted),
            ("equals", Found::Each(values)) => same_multiset(values, wanted),
            ("exists", Found::One(value)) => json!(value.is_some()) == *wanted,
            ("exists", Found::Each(values)) => json!(!values.is_empty()) == *wanted,
            ("absent", Found::One(value)) => json!(value.as_ref().is_none_or(|v| is_absent(v, path))) == *wanted,
            ("absent", Found::Each(values)) => json!(values.iter().all(|v| is_absent(v, path))) == *wanted,
            ("contains", Found::One(Some(Value::Array(values))) | Found::Each(values)) => values.contains(wanted),
            ("contains", Found::One(Some(Value::String(text)))) => {
                wanted.as_str().is_some_and(|part| text.contains(part))
            }
            ("contains", Found::One(_)) => false,
            (unknown, _) => return Err(format!("no condition is called {unknown}")),
        };
    }
    Ok(holds)
}

/// Missing, null, empty; a manager also without a value.
fn is_absent(value: &Value, path: &str) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(object) => path.ends_with("manager") && object.get("value").is_none_or(|v| is_absent(v, "")),
        _ => false,
    }
}

fn same_multiset(values: &[Value], wanted: &Value) -> bool {
    let Some(wanted) = wanted.as_array() else { return false };
    let mut left: Vec<&Value> = values.iter().collect();
    let every = wanted.iter().all(|value| {
        let at = left.iter().position(|there| *there == value);
        at.map(|at| left.swap_remove(at)).is_some()
    });
    every && left.is_empty()
}

impl Variables {
    fn expand(&mut self, text: &str) -> Result<String, String> {
        let mut expanded = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (name, after) = after.split_once("}}").ok_or_else(|| format!("an open placeholder in {text:?}"))?;
            expanded.push_str(before);
            match self.value(name)? {
                Value::String(value) => expanded.push_str(&value),
                value => expanded.push_str(&value.to_string()),
            }
            rest = after;
        }
        expanded.push_str(rest);
        Ok(expanded)
    }

    fn expand_json(&mut self, value: &Value) -> Result<Value, String> {
        Ok(match value {
            Value::String(text) => match text.strip_prefix("{{").and_then(|rest| rest.strip_suffix("|as_members}}")) {
                Some(list) => {
                    let ids = self.value(list)?;
                    ids.as_array()
                        .ok_or_else(|| format!("{list} is no list"))?
                        .iter()
                        .map(|id| json!({"value": id}))
                        .collect()
                }
                None => Value::String(self.expand(text)?),
            },
            Value::Array(values) => values.iter().map(|value| self.expand_json(value)).collect::<Result<_, _>>()?,
            Value::Object(object) => {
                let mut expanded = serde_json::Map::new();
                for (key, value) in object {
                    expanded.insert(self.expand(key)?, self.expand_json(value)?);
                }
                Value::Object(expanded)
            }
            other => other.clone(),
        })
    }

    fn value(&mut self, name: &str) -> Result<Value, String> {
        match name {
            "run" => return Ok(json!(self.run)),
            "RUN" => return Ok(json!(self.run.to_uppercase())),
            "guid" => {
                self.guids += 1;
                // No two runs share a tenant: unlike is all that the GUIDs need to be.
                return Ok(json!(format!("9f0c5a1e-3b7d-4c2a-8e6f-{:012x}", self.guids)));
            }
            _ => {}
        }
        let (list, index) = match name.strip_suffix(']').and_then(|rest| rest.split_once('[')) {
            Some((list, index)) => (list, Some(index.parse::<usize>().map_err(|_| format!("no index: {name}"))?)),
            None => (name, None),
        };
        let value = self.values.get(list).ok_or_else(|| format!("nothing was saved as {list}"))?;
        match index {
            None => Ok(value.clone()),
            Some(index) => value.get(index).cloned().ok_or_else(|| format!("{list} has no element {index}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(assertion: &Value, document: &Value, expect: bool) {
        let path = assertion["path"].as_str().unwrap();
        let found = find(document, path).unwrap();
        assert_eq!(assert(assertion, path, &found), Ok(expect), "{assertion} on {document}");
    }

    #[test]
    fn assertions() {
        check(&json!({"path": "a", "equals": 1}), &json!({"a": 1}), true);
        check(&json!({"path": "a", "equals": 1}), &json!({"a": "1"}), false);
        check(&json!({"path": "a", "exists": true}), &json!({}), false);
        check(&json!({"path": "a", "absent": true}), &json!({"a": []}), true);
        check(&json!({"path": "a", "absent": true}), &json!({"a": {}}), false);
        check(&json!({"path": "x.manager", "absent": true}), &json!({"x": {"manager": {"value": ""}}}), true);
        check(&json!({"path": "x.manager", "absent": true}), &json!({"x": {"manager": {"value": "1"}}}), false);
        check(&json!({"path": "a[*].v", "equals": ["1", "2"]}), &json!({"a": [{"v": "2"}, {"v": "1"}]}), true);
        check(&json!({"path": "a[*].v", "equals": ["1", "1"]}), &json!({"a": [{"v": "2"}, {"v": "1"}]}), false);
        check(&json!({"path": "a", "contains": "b"}), &json!({"a": ["b"]}), true);
        check(&json!({"path": "a", "contains": "b"}), &json!({"a": "abc"}), true);
        check(&json!({"path": "a", "contains": "b"}), &json!({}), false);
    }

    #[test]
    fn placeholders() {
        let mut variables = Variables { run: "r1".into(), ..Variables::default() };
        variables.values.insert("ids".into(), json!(["x", "y"]));
        assert_eq!(variables.expand("/Users/{{ids[1]}}?{{run}}{{RUN}}"), Ok("/Users/y?r1R1".into()));
        assert_eq!(
            variables.expand_json(&json!({"m": "{{ids|as_members}}"})),
            Ok(json!({"m": [{"value": "x"}, {"value": "y"}]}))
        );
        assert_ne!(variables.expand("{{guid}}"), variables.expand("{{guid}}"));
        assert!(variables.expand("{{nothing}}").is_err());
    }
}
