//! Transcripts: requests and the answers they must get, as files that people read. The format is described in
//! `tests/transcripts/README.md`.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::Value;

use crate::client::{Request, Response};
use crate::json_path::{Found, find};
use crate::server::TOKEN;

/// Headers that belong to the connection or the moment, not to the answer.
const VOLATILE: [&str; 7] =
    ["connection", "content-length", "date", "keep-alive", "server", "transfer-encoding", "x-request-id"];

/// One file.
#[derive(Clone, Debug)]
pub struct Transcript {
    /// What stands before the first exchange.
    preamble: String,
    /// Whether it speaks with the server alone: of tenants and tokens, which the core knows nothing of.
    pub server_only: bool,
    exchanges: Vec<Exchange>,
}

/// A request and its answer.
#[derive(Clone, Debug)]
struct Exchange {
    /// From `###` to the line before the answer, as written.
    text: String,
    title: String,
    request: Request,
    /// Whether the target is relative to the server's root, not to the SCIM base.
    root: bool,
    /// Variable and path.
    saves: Vec<(String, String)>,
    /// The answer, normalised and laid out.
    expected: String,
}

/// A normalised answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The exchange's title.
    pub title: String,
    /// For people: as it stands in a transcript.
    pub text: String,
    /// The body's bytes with ids, times and the base URL replaced.
    pub body: String,
}

/// The names and values of one run.
#[derive(Debug)]
struct Run<'b> {
    base: &'b str,
    /// The server's root, where targets are relative to something below it.
    root: Option<&'b str>,
    saved: BTreeMap<String, String>,
}

impl Transcript {
    /// Read a transcript; the error names the line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut blocks: Vec<(usize, String)> = vec![(1, String::new())];
        for (number, line) in text.lines().enumerate() {
            if line.starts_with("### ") {
                blocks.push((number + 1, String::new()));
            }
            let (_, block) = blocks.last_mut().expect("there is a first block");
            block.push_str(line);
            block.push('\n');
        }
        let mut blocks = blocks.into_iter();
        let preamble = blocks.next().map(|(_, block)| block).unwrap_or_default();
        let exchanges = blocks
            .map(|(line, block)| Exchange::parse(&block).map_err(|error| format!("line {line}: {error}")))
            .collect::<Result<Vec<_>, _>>()?;
        if exchanges.is_empty() {
            return Err("the file has no exchange: they begin with a line `### title`".into());
        }
        let server_only = preamble.lines().any(|line| line == "@server-only");
        match exchanges.iter().find(|exchange| exchange.root && !server_only) {
            Some(exchange) => Err(format!("{}: `@root` needs `@server-only` at the file's beginning", exchange.title)),
            None => Ok(Self { preamble, server_only, exchanges }),
        }
    }

    /// Send every request in order and return the normalised answers. `base` is the public base URL that the answers name, and
    /// `path` what stands before a target that is relative to it.
    pub fn run(
        &self,
        base: &str,
        path: &str,
        mut send: impl FnMut(&Request) -> Result<Response, String>,
    ) -> Result<Vec<Answer>, String> {
        let root = base.strip_suffix(path).filter(|root| *root != base);
        let mut run = Run { base, root, saved: BTreeMap::new() };
        self.exchanges
            .iter()
            .map(|exchange| {
                let place = |error: String| format!("{}: {error}", exchange.title);
                let mut request = run.fill(&exchange.request).map_err(place)?;
                if !exchange.root {
                    request.target.insert_str(0, path);
                }
                let response = send(&request).map_err(place)?;
                run.save(&exchange.saves, &response).map_err(|error| place(format!("{error}\nanswer: {response}")))?;
                Ok(run.normalise(&exchange.title, &response))
            })
            .collect()
    }

    /// Where the answers differ from the file, one message each.
    pub fn differences(&self, answers: &[Answer]) -> Vec<String> {
        let pairs = self.exchanges.iter().zip(answers);
        pairs
            .filter(|(exchange, answer)| exchange.expected.trim_end() != answer.text.trim_end())
            .map(|(exchange, answer)| {
                let (expected, found) = (exchange.expected.trim_end(), answer.text.trim_end());
                format!("### {}\n--- expected\n{expected}\n--- found\n{found}\n", exchange.title)
            })
            .collect()
    }

    /// The file with these answers in place of its own.
    #[must_use]
    pub fn with_answers(&self, answers: &[Answer]) -> String {
        let mut text = self.preamble.clone();
        for (exchange, answer) in self.exchanges.iter().zip(answers) {
            text.push_str(exchange.text.trim_end());
            text.push_str("\n\n");
            text.push_str(answer.text.trim_end());
            text.push_str("\n\n");
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        text
    }
}

impl Exchange {
    fn parse(block: &str) -> Result<Self, String> {
        let answer = block.lines().position(|line| line.starts_with("HTTP "));
        let lines: Vec<&str> = block.lines().collect();
        let (asked, answered) = lines.split_at(answer.unwrap_or(lines.len()));
        let title = asked.first().and_then(|line| line.strip_prefix("### ")).unwrap_or_default().to_owned();

        let mut saves = Vec::new();
        let mut anonymous = false;
        let mut root = false;
        let mut escapes = false;
        let mut rest = asked[1..].iter().skip_while(|line| line.trim().is_empty()).peekable();
        while let Some(line) = rest.next_if(|line| line.starts_with('@') || line.starts_with('#')) {
            match line.split_whitespace().collect::<Vec<_>>()[..] {
                ["@save", name, path] => saves.push((name.to_owned(), path.to_owned())),
                ["@anonymous"] => anonymous = true,
                ["@root"] => root = true,
                ["@escapes"] => escapes = true,
                _ if line.starts_with('#') => {}
                _ => return Err(format!("no directive: {line:?}")),
            }
        }
        let line = rest.next().ok_or("no request line")?;
        let (method, target) = line.split_once(' ').ok_or_else(|| format!("no request line: {line:?}"))?;
        let mut request = Request::new(method, target);
        for line in rest.by_ref().take_while(|line| !line.trim().is_empty()) {
            let (name, value) = line.split_once(':').ok_or_else(|| format!("no header: {line:?}"))?;
            request = request.header(name, value.trim());
        }
        let body = rest.copied().collect::<Vec<_>>().join("\n");
        request.body = if escapes { unescape(body.trim_end())? } else { body.trim_end().as_bytes().to_vec() };
        if !anonymous && !request.has("authorization") {
            request = request.bearer(TOKEN);
        }
        if !request.body.is_empty() && !request.has("content-type") {
            request = request.header("Content-Type", "application/scim+json");
        }
        let text = asked.join("\n");
        Ok(Self { text, title, request, root, saves, expected: answered.join("\n") })
    }
}

impl Run<'_> {
    /// The request with its placeholders replaced.
    fn fill(&self, request: &Request) -> Result<Request, String> {
        let mut filled = request.clone();
        filled.target = self.expand(&request.target)?;
        for (_, value) in &mut filled.headers {
            *value = self.expand(value)?;
        }
        // A body that is not UTF-8 is sent as it is.
        if let Ok(body) = str::from_utf8(&request.body) {
            filled.body = self.expand(body)?.into_bytes();
        }
        Ok(filled)
    }

    fn expand(&self, text: &str) -> Result<String, String> {
        let mut expanded = text.replace("{{base}}", self.base);
        for (name, value) in &self.saved {
            expanded = expanded.replace(&format!("{{{{{name}}}}}"), value);
        }
        match expanded.find("{{") {
            Some(at) => Err(format!("nothing was saved for the placeholder in {:?}", &expanded[at..])),
            None => Ok(expanded),
        }
    }

    fn save(&mut self, saves: &[(String, String)], response: &Response) -> Result<(), String> {
        for (name, path) in saves {
            let value = match path.strip_prefix("$header.") {
                Some(header) => response.header(header).map(ToOwned::to_owned),
                None => match find(&response.json(), path)? {
                    Found::One(Some(Value::String(value))) => Some(value),
                    _ => None,
                },
            };
            self.saved.insert(name.clone(), value.ok_or_else(|| format!("no string to save at {path}"))?);
        }
        Ok(())
    }

    fn normalise(&self, title: &str, response: &Response) -> Answer {
        let mut known = vec![(self.base.to_owned(), "{{base}}".to_owned())];
        known.extend(self.root.map(|root| (root.to_owned(), "{{root}}".to_owned())));
        known.extend(self.saved.iter().map(|(name, value)| (value.clone(), format!("{{{{{name}}}}}"))));
        collect_times(&response.json(), &mut known);
        // The longest first: a base URL contains the shorter things.
        known.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        let replace =
            |text: &str| known.iter().fold(text.to_owned(), |text, (value, name)| text.replace(value.as_str(), name));

        let body = replace(&String::from_utf8_lossy(&response.body));
        let mut headers: Vec<(&str, String)> = response
            .headers
            .iter()
            .filter(|(name, _)| !VOLATILE.contains(&name.as_str()))
            .map(|(name, value)| (name.as_str(), replace(value)))
            .collect();
        headers.sort();
        let mut text = format!("HTTP {}\n", response.status);
        for (name, value) in headers {
            writeln!(text, "{name}: {value}").expect("a String takes whatever is written");
        }
        if !body.is_empty() {
            // What is no JSON shows as it is.
            let laid_out = serde_json::from_str::<Value>(&body).map(|value| format!("{value:#}"));
            write!(text, "\n{}", laid_out.as_ref().unwrap_or(&body)).expect("a String takes whatever is written");
        }
        Answer { title: title.to_owned(), text, body }
    }
}

/// Every `created` and `lastModified`, and the `time` of the log's records, a number, which a string takes the place of.
fn collect_times(value: &Value, known: &mut Vec<(String, String)>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| collect_times(value, known)),
        Value::Object(object) => {
            for (key, value) in object {
                match (key.as_str(), value) {
                    ("created" | "lastModified", Value::String(time)) => known.push((time.clone(), "{{time}}".into())),
                    ("time", Value::Number(time)) => known.push((time.to_string(), "\"{{time}}\"".into())),
                    _ => collect_times(value, known),
                }
            }
        }
        _ => {}
    }
}

/// `\xNN` and `\n` stand for bytes, `\\` for a backslash.
fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        let (byte, length) = match after.as_bytes() {
            [b'\\', ..] => (b'\\', 1),
            [b'n', ..] => (b'\n', 1),
            [b'x', ..] => {
                let digits = after.get(1..3).ok_or_else(|| format!("an escape ends early: {after:?}"))?;
                (u8::from_str_radix(digits, 16).map_err(|error| format!("\\x{digits}: {error}"))?, 3)
            }
            _ => return Err(format!("no escape: \\{after}")),
        };
        bytes.push(byte);
        rest = &after[length..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "About.\n\n### one\n@save u id\nPOST /Users\n\n{\"a\":1}\n\nHTTP 201\n\n{\n  \"id\": \"{{u}}\"\n}\n\n### two\n@anonymous\nGET /Users/{{u}}\n\nHTTP 401\n";

    #[test]
    fn runs_and_prints() {
        let transcript = Transcript::parse(TEXT).unwrap();
        let mut sent = Vec::new();
        let answers = transcript.run("http://x", "/base", |request| {
            sent.push(request.clone());
            let (status, body) = if sent.len() == 1 { (201, b"{\"id\":\"123\"}".to_vec()) } else { (401, Vec::new()) };
            Ok(Response { status, body, ..Response::default() })
        });
        let answers = answers.unwrap();
        assert_eq!(sent[0].body, b"{\"a\":1}");
        assert!(sent[0].has("authorization") && sent[0].has("content-type"));
        assert_eq!(sent[1].target, "/base/Users/123");
        assert!(!sent[1].has("authorization"));
        assert_eq!(transcript.differences(&answers), Vec::<String>::new());
        assert_eq!(transcript.with_answers(&answers), TEXT);
    }

    #[test]
    fn tells_a_difference() {
        let transcript = Transcript::parse("### one\nGET /x\n\nHTTP 200\n").unwrap();
        let answers = transcript.run("http://x", "", |_| Ok(Response { status: 404, ..Response::default() })).unwrap();
        assert_eq!(transcript.differences(&answers).len(), 1);
    }

    #[test]
    fn only_the_server_has_a_root() {
        let exchange = "### one\n@root\nGET /admin/tokens\n\nHTTP 200\n";
        assert!(Transcript::parse(exchange).unwrap_err().contains("@server-only"));
        let transcript = Transcript::parse(&format!("About.\n@server-only\n\n{exchange}")).unwrap();
        assert!(transcript.server_only);
        let answers = transcript.run("http://x/base", "/base", |request| {
            assert_eq!(request.target, "/admin/tokens");
            Ok(Response { status: 200, ..Response::default() })
        });
        assert_eq!(transcript.differences(&answers.unwrap()), Vec::<String>::new());
    }

    #[test]
    fn escapes() {
        assert_eq!(unescape(r"a\xff\\\n"), Ok(vec![b'a', 0xff, b'\\', b'\n']));
        assert!(unescape(r"\x1").is_err());
        assert!(unescape(r"\q").is_err());
    }
}
