//! The little path language of the scenarios and of `@save`: `a.b[0].c`, `['urn:…'].d`, `list[*].e`.

use serde_json::Value;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
    Each,
}

/// What a path finds.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// The path names one place; `None` where nothing is there.
    One(Option<Value>),
    /// The path goes through `[*]`: whatever is there, in order.
    Each(Vec<Value>),
}

/// Follow `path` from `root`; a path that does not parse is a mistake in the test's own data and says so.
pub fn find(root: &Value, path: &str) -> Result<Found, String> {
    let steps = parse(path).ok_or_else(|| format!("the path {path:?} does not parse"))?;
    let mut places = vec![root];
    for step in &steps {
        places = places.into_iter().flat_map(|place| follow(place, step)).collect();
    }
    if steps.contains(&Step::Each) {
        return Ok(Found::Each(places.into_iter().cloned().collect()));
    }
    Ok(Found::One(places.first().map(|&value| value.clone())))
}

fn follow<'v>(place: &'v Value, step: &Step) -> Vec<&'v Value> {
    match (step, place) {
        (Step::Key(key), Value::Object(object)) => object.get(key).into_iter().collect(),
        (Step::Index(index), Value::Array(array)) => array.get(*index).into_iter().collect(),
        (Step::Each, Value::Array(array)) => array.iter().collect(),
        _ => Vec::new(),
    }
}

fn parse(path: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix("['") {
            let (key, after) = quoted.split_once("']")?;
            steps.push(Step::Key(key.to_owned()));
            rest = after;
        } else if let Some(inner) = rest.strip_prefix('[') {
            let (index, after) = inner.split_once(']')?;
            steps.push(if index == "*" { Step::Each } else { Step::Index(index.parse().ok()?) });
            rest = after;
        } else {
            let name = rest.strip_prefix('.').unwrap_or(rest);
            let end = name.find(['.', '[']).unwrap_or(name.len());
            if end == 0 {
                return None;
            }
            steps.push(Step::Key(name[..end].to_owned()));
            rest = &name[end..];
        }
    }
    Some(steps)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(path: &str, expect: &Found) {
        let document = json!({"a": {"b": [{"c": 1}, {"c": 2}, {}]}, "urn:x:2.0": {"d": null}});
        assert_eq!(find(&document, path).as_ref(), Ok(expect), "{path}");
    }

    #[test]
    fn paths() {
        check("a.b[1].c", &Found::One(Some(json!(2))));
        check("a.b[2].c", &Found::One(None));
        check("a.b[*].c", &Found::Each(vec![json!(1), json!(2)]));
        check("['urn:x:2.0'].d", &Found::One(Some(json!(null))));
        check("['urn:x:2.0'].e", &Found::One(None));
        assert!(find(&json!({}), "a..b").is_err());
        assert!(find(&json!({}), "a[x]").is_err());
    }
}
