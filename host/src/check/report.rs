//! The outcome for people, for programs and for CI.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::catalogue::{Check, Provider, Severity};
use super::exchange::{Exchange, Failure};
use super::{Format, Outcome, Ran, Run};

/// Characters of a body in a report.
const SHOWN: usize = 1000;
/// The width of running text.
const WIDTH: usize = 100;

/// The checks themselves.
pub(super) fn catalogue(checks: &[&Check], format: Format) -> String {
    if format == Format::Json {
        let checks: Vec<Value> = checks.iter().map(|check| described(check)).collect();
        return format!("{:#}\n", json!({ "checks": checks }));
    }
    let width = checks.iter().map(|check| check.id.len()).max().unwrap_or(0);
    checks.iter().fold(String::new(), |mut text, check| {
        let _ = writeln!(text, "{:width$}  {:21}  {}", check.id, check.severity.to_string(), check.title);
        text
    })
}

fn described(check: &Check) -> Value {
    json!({
        "id": check.id,
        "provider": check.provider.id(),
        "title": check.title,
        "reference": check.reference,
        "severity": severity(check.severity),
        "breaks": check.breaks,
        "fix": check.fix,
    })
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Cosmetic => "cosmetic",
        Severity::Degrades => "degrades",
        Severity::Breaks => "breaks",
    }
}

/// For people.
pub(super) fn table(run: &Run, verbose: bool) -> String {
    let mut text = String::new();
    let width = run.ran.iter().map(|ran| ran.check.id.len()).max().unwrap_or(0);
    for ran in &run.ran {
        let (mark, note) = match &ran.outcome {
            Outcome::Passed if !verbose => continue,
            Outcome::Passed => ("ok", ran.check.title.to_owned()),
            Outcome::Failed(_) => ("FAILED", ran.check.title.to_owned()),
            Outcome::Blocked(_) => ("BLOCKED", ran.check.title.to_owned()),
            Outcome::Skipped(reason) => ("skipped", reason.clone()),
        };
        let _ = writeln!(text, "{mark:8} {:width$}  {note}", ran.check.id);
        if let Outcome::Failed(failure) | Outcome::Blocked(failure) = &ran.outcome {
            details(&mut text, ran, failure);
        }
    }
    if !text.is_empty() {
        text.push('\n');
    }
    summary(&mut text, run);
    text
}

fn details(text: &mut String, ran: &Ran, failure: &Failure) {
    let check = ran.check;
    let begun = match &ran.outcome {
        Outcome::Blocked(_) => "could not make what the check begins with: ",
        _ => "",
    };
    let rows = [
        ("found", format!("{begun}{}", failure.message)),
        ("severity", format!("{}; {}", check.severity, check.reference)),
        ("breaks", check.breaks.to_owned()),
        ("fix", check.fix.to_owned()),
    ];
    for (name, value) in rows {
        let mut name = name;
        for line in wrapped(&value) {
            let _ = writeln!(text, "         {name:9} {line}");
            name = "";
        }
    }
    if let Some(exchange) = &failure.exchange {
        for line in evidence(exchange).lines() {
            let _ = writeln!(text, "         {line}");
        }
    }
    text.push('\n');
}

/// Lines of at most [`WIDTH`] characters, broken at spaces.
fn wrapped(value: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in value.split(' ') {
        let fits = lines.last().is_some_and(|line| line.is_empty() || line.len() + 1 + word.len() <= WIDTH);
        match lines.last_mut().filter(|_| fits) {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) => _ = write!(line, " {word}"),
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Request and answer, as curl shows them.
fn evidence(exchange: &Exchange) -> String {
    let mut text = format!("> {} {}\n", exchange.method, exchange.target);
    for (name, value) in &exchange.request_headers {
        let _ = writeln!(text, "> {name}: {value}");
    }
    if !exchange.request_body.is_empty() {
        let _ = writeln!(text, "> {}", shortened(&exchange.request_body));
    }
    if exchange.status == 0 {
        text.push_str("< (no answer)\n");
        return text;
    }
    let _ = writeln!(text, "< {}", exchange.status);
    for (name, value) in exchange.headers.iter().filter(|(name, _)| tells(name)) {
        let _ = writeln!(text, "< {name}: {value}");
    }
    if !exchange.body.is_empty() {
        let _ = writeln!(text, "< {}", shortened(&exchange.body));
    }
    text
}

/// Whether an answer's header says something about SCIM.
fn tells(name: &str) -> bool {
    ["content-type", "location", "etag", "retry-after", "www-authenticate"].contains(&name)
}

/// On one line, and not too long.
fn shortened(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}… ({} bytes)", &line[..end], text.len()),
        None => line,
    }
}

fn summary(text: &mut String, run: &Run) {
    let _ =
        writeln!(text, "{:20} {:>6} {:>6} {:>7} {:>7}  OUTCOME", "PROVIDER", "PASSED", "FAILED", "BLOCKED", "SKIPPED");
    for provider in providers(run) {
        let of = |ran: &&Ran| ran.check.provider == provider;
        let count = |wanted: &str| run.ran.iter().filter(of).filter(|ran| result(&ran.outcome) == wanted).count();
        let (passed, failed, blocked, skipped) = (count("passed"), count("failed"), count("blocked"), count("skipped"));
        let outcome = outcome(run.ran.iter().filter(of));
        let name = provider.name();
        let _ = writeln!(text, "{name:20} {passed:>6} {failed:>6} {blocked:>7} {skipped:>7}  {outcome}");
    }
    let requests: usize = run.ran.iter().map(|ran| ran.requests).sum();
    let _ = writeln!(text, "\n{} checks, {requests} requests to {}", run.ran.len(), run.url);
    if let Some(reason) = &run.ended {
        let _ = writeln!(text, "The run is not complete: {reason}.");
    }
    if !run.left.is_empty() {
        let _ = writeln!(text, "\nThese were made and could not be deleted; all names begin with {}:", run.prefix);
        for left in &run.left {
            let _ = writeln!(text, "  {left}");
        }
    }
}

/// What the checks of one provider come to.
fn outcome<'a>(ran: impl Iterator<Item = &'a Ran>) -> &'static str {
    let worst = ran.filter_map(|ran| match ran.outcome {
        Outcome::Failed(_) | Outcome::Blocked(_) => Some(ran.check.severity),
        Outcome::Passed | Outcome::Skipped(_) => None,
    });
    match worst.max() {
        None => "works",
        Some(Severity::Cosmetic) => "works, with blemishes",
        Some(Severity::Degrades) => "works with restrictions",
        Some(Severity::Breaks) => "does not work",
    }
}

fn providers(run: &Run) -> BTreeSet<Provider> {
    run.ran.iter().map(|ran| ran.check.provider).collect()
}

fn result(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "passed",
        Outcome::Failed(_) => "failed",
        Outcome::Blocked(_) => "blocked",
        Outcome::Skipped(_) => "skipped",
    }
}

/// For programs.
pub(super) fn json(run: &Run) -> String {
    let checks: Vec<Value> = run.ran.iter().map(ran_json).collect();
    let count = |wanted: &str| run.ran.iter().filter(|ran| result(&ran.outcome) == wanted).count();
    let body = json!({
        "url": run.url,
        "namesBeginWith": run.prefix,
        "complete": run.ended.is_none(),
        "summary": {
            "passed": count("passed"), "failed": count("failed"), "blocked": count("blocked"), "skipped": count("skipped"),
        },
        "checks": checks,
        "left": run.left,
    });
    format!("{body:#}\n")
}

fn ran_json(ran: &Ran) -> Value {
    let mut body = described(ran.check);
    body["result"] = json!(result(&ran.outcome));
    body["requests"] = json!(ran.requests);
    body["milliseconds"] = json!(u64::try_from(ran.took.as_millis()).unwrap_or(u64::MAX));
    match &ran.outcome {
        Outcome::Passed => {}
        Outcome::Skipped(reason) => body["message"] = json!(reason),
        Outcome::Failed(failure) | Outcome::Blocked(failure) => {
            body["message"] = json!(failure.message);
            if let Some(exchange) = &failure.exchange {
                body["exchange"] = exchange_json(exchange);
            }
        }
    }
    body
}

fn exchange_json(exchange: &Exchange) -> Value {
    let headers = |headers: &[(String, String)]| {
        Value::Object(headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect())
    };
    json!({
        "request": {
            "method": exchange.method,
            "target": exchange.target,
            "headers": headers(&exchange.request_headers),
            "body": shortened(&exchange.request_body),
        },
        "response": {
            "status": exchange.status,
            "headers": headers(&exchange.headers),
            "body": shortened(&exchange.body),
            "milliseconds": u64::try_from(exchange.took.as_millis()).unwrap_or(u64::MAX),
        },
    })
}

/// For CI: a suite a provider. What is blocked is an error there, which is not a failure but no success either.
pub(super) fn junit(run: &Run) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"scimwell check\">\n");
    for provider in providers(run) {
        let of = |ran: &&Ran| ran.check.provider == provider;
        let count = |wanted: &str| run.ran.iter().filter(of).filter(|ran| result(&ran.outcome) == wanted).count();
        let all = run.ran.iter().filter(of).count();
        let took: f64 = run.ran.iter().filter(of).map(|ran| ran.took.as_secs_f64()).sum();
        let _ = writeln!(
            text,
            "  <testsuite name=\"{}\" tests=\"{all}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{took:.3}\">",
            provider.id(),
            count("failed"),
            count("blocked"),
            count("skipped"),
        );
        for ran in run.ran.iter().filter(of) {
            test_case(&mut text, ran);
        }
        text.push_str("  </testsuite>\n");
    }
    if let Some(reason) = &run.ended {
        let reason = escaped(reason);
        let _ = writeln!(
            text,
            "  <testsuite name=\"run\" tests=\"1\" failures=\"0\" errors=\"1\" skipped=\"0\" time=\"0\">\n    <testcase \
             classname=\"scimwell.check\" name=\"complete\" time=\"0\"><error message=\"{reason}\"/></testcase>\n  </testsuite>",
        );
    }
    text.push_str("</testsuites>\n");
    text
}

fn test_case(text: &mut String, ran: &Ran) {
    let check = ran.check;
    let (class, name, took) = (check.provider.id(), check.id, ran.took.as_secs_f64());
    let _ = write!(text, "    <testcase classname=\"scimwell.check.{class}\" name=\"{name}\" time=\"{took:.3}\"");
    let (element, failure) = match &ran.outcome {
        Outcome::Passed => return text.push_str("/>\n"),
        Outcome::Skipped(reason) => {
            let _ = writeln!(text, "><skipped message=\"{}\"/></testcase>", escaped(reason));
            return;
        }
        Outcome::Failed(failure) => ("failure", failure),
        Outcome::Blocked(failure) => ("error", failure),
    };
    let shown = failure.exchange.as_ref().map(|exchange| evidence(exchange)).unwrap_or_default();
    let body = format!(
        "{}\nreference: {}\nbreaks: {}\nfix: {}\n{shown}",
        check.title, check.reference, check.breaks, check.fix
    );
    let (message, kind) = (escaped(&failure.message), severity(check.severity));
    let _ = writeln!(text, ">\n      <{element} message=\"{message}\" type=\"{kind}\">{}</{element}>", escaped(&body));
    text.push_str("    </testcase>\n");
}

/// Text in XML 1.0, which has no way to write most control characters.
fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, c| {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xml_text() {
        assert_eq!(escaped("a<b> & \"c\"\u{1}\n"), "a&lt;b&gt; &amp; &quot;c&quot;\u{fffd}\n");
    }

    #[test]
    fn long_bodies() {
        let long = "ä".repeat(SHOWN + 1);
        assert_eq!(shortened(&long), format!("{}… ({} bytes)", "ä".repeat(SHOWN), long.len()));
        assert_eq!(shortened("{\n  \"a\": 1\n}"), "{ \"a\": 1 }");
    }

    #[test]
    fn lines() {
        assert_eq!(wrapped("a b"), ["a b"]);
        assert_eq!(wrapped(&format!("{} b", "a".repeat(WIDTH))), ["a".repeat(WIDTH), "b".to_owned()]);
    }
}
