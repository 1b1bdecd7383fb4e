//! Bytes to JSON, with the depth bounded before anything recurses: the component's stack is small.

use serde_json::Value;
use serde_json::error::Category;

use crate::error::{ErrorKind, Result, ScimError};
use crate::limits::JSON_DEPTH;

/// The JSON value of a request body. Where a key repeats within an object, its last value counts.
pub fn parse_json(bytes: &[u8]) -> Result<Value> {
    // RFC 8259 §8.1 lets a reader pass over a byte order mark.
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(syntax("the request has no body; send a JSON object as application/scim+json".to_owned()));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let (line, column) = position(&bytes[..error.valid_up_to()]);
        syntax(format!("the body is not UTF-8 at line {line} column {column}; encode it as UTF-8"))
    })?;
    check_depth(bytes)?;
    serde_json::from_str(text).map_err(|error| explain(&error))
}

fn explain(error: &serde_json::Error) -> ScimError {
    let message = error.to_string();
    if message.starts_with("number out of range") {
        return ScimError::new(
            ErrorKind::InvalidValue,
            format!("the body holds a number that no 64-bit type can hold: {message}; send a smaller one"),
        );
    }
    let remedy = match error.classify() {
        Category::Eof => "the body ends too early; check that all of it was sent",
        _ => "check quotes, commas and brackets there",
    };
    syntax(format!("the body is not valid JSON: {message}; {remedy}"))
}

fn check_depth(bytes: &[u8]) -> Result<()> {
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut escaped = false;
    for (offset, byte) in bytes.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > JSON_DEPTH {
            let (line, column) = position(&bytes[..offset]);
            return Err(syntax(format!(
                "the body nests deeper than {JSON_DEPTH} levels at line {line} column {column}; \
                 SCIM needs no more than five"
            )));
        }
    }
    Ok(())
}

/// Line and column of what follows `before`, both from 1.
fn position(before: &[u8]) -> (usize, usize) {
    let mut lines = before.split(|byte| *byte == b'\n');
    let last = lines.next_back().unwrap_or_default();
    (lines.count() + 1, last.len() + 1)
}

fn syntax(detail: String) -> ScimError {
    ScimError::new(ErrorKind::InvalidSyntax, detail)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(body: impl AsRef<[u8]>, expect: Value) {
        assert_eq!(parse_json(body.as_ref()), Ok(expect));
    }

    fn reject(body: impl AsRef<[u8]>, kind: ErrorKind, detail: &str) {
        let error = parse_json(body.as_ref()).expect_err("must be refused");
        assert_eq!((error.kind, error.detail.as_str()), (kind, detail));
    }

    #[test]
    fn parses() {
        check("{}", json!({}));
        check(" {\"a\": [1, 2.5, true, null, \"x\"]}\n", json!({"a": [1, 2.5, true, null, "x"]}));
        check("\u{feff}{\"a\":1}", json!({"a": 1}));
        check(r#"{"a":"\u0000\ud83d\ude00"}"#, json!({"a": "\u{0}😀"}));
        check(r#"{"a":1,"a":2}"#, json!({"a": 2}));
        check(r#"{"a":"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"[[["}"#, {
            json!({"a": "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"[[["})
        });
        check("[".repeat(32) + &"]".repeat(32), (1..32).fold(json!([]), |inner, _| json!([inner])));
    }

    #[test]
    fn refuses_no_body() {
        let detail = "the request has no body; send a JSON object as application/scim+json";
        reject("", ErrorKind::InvalidSyntax, detail);
        reject(" \r\n", ErrorKind::InvalidSyntax, detail);
    }

    #[test]
    fn refuses_malformed_json() {
        reject(
            "{\n  \"userName\": \"a\",\n  active\": true}",
            ErrorKind::InvalidSyntax,
            "the body is not valid JSON: key must be a string at line 3 column 3; check quotes, commas and brackets there",
        );
        reject(
            "{\"userName\": \"a\"",
            ErrorKind::InvalidSyntax,
            "the body is not valid JSON: EOF while parsing an object at line 1 column 16; the body ends too early; \
             check that all of it was sent",
        );
        reject(
            r#"{"a":"\ud800"}"#,
            ErrorKind::InvalidSyntax,
            "the body is not valid JSON: unexpected end of hex escape at line 1 column 13; \
             check quotes, commas and brackets there",
        );
        reject(
            "{} x",
            ErrorKind::InvalidSyntax,
            "the body is not valid JSON: trailing characters at line 1 column 4; check quotes, commas and brackets there",
        );
    }

    #[test]
    fn refuses_what_is_not_utf8() {
        reject(
            b"{\"a\":\n\"\xff\"}",
            ErrorKind::InvalidSyntax,
            "the body is not UTF-8 at line 2 column 2; encode it as UTF-8",
        );
    }

    #[test]
    fn refuses_huge_numbers() {
        reject(
            "{\"a\": 1e400}",
            ErrorKind::InvalidValue,
            "the body holds a number that no 64-bit type can hold: number out of range at line 1 column 11; \
             send a smaller one",
        );
    }

    #[test]
    fn refuses_deep_nesting_before_recursing() {
        reject(
            "[".repeat(1_000_000),
            ErrorKind::InvalidSyntax,
            "the body nests deeper than 32 levels at line 1 column 33; SCIM needs no more than five",
        );
    }
}
