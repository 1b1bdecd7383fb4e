//! What commands print: for people aligned text, for scripts JSON.

use std::fmt::Write as _;
use std::io::Write as _;

use serde_json::Value;

use super::CommandError;

/// How to print.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    /// JSON instead of text.
    pub(super) json: bool,
}

impl Output {
    /// Prints one of the two.
    pub(super) fn print(self, value: &Value, text: impl FnOnce() -> String) -> Result<(), CommandError> {
        write(&if self.json { pretty(value) } else { text() })
    }

    /// Prints a confirmation, for people only: scripts have the exit code.
    pub(super) fn confirm(self, text: &str) -> Result<(), CommandError> {
        if self.json { Ok(()) } else { write(text) }
    }
}

/// JSON as both can read it.
pub(super) fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

pub(super) fn write(text: &str) -> Result<(), CommandError> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(CommandError::Output)
}

/// Rows in columns as wide as they need to be.
pub(super) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = head.map(|cell| cell.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in std::iter::once(&head.map(str::to_owned)).chain(rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            let _ = write!(line, "{cell:width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Names and values, one pair a line.
pub(super) fn pairs<'a>(indent: &str, pairs: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let pairs: Vec<_> = pairs.into_iter().collect();
    let width = pairs.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    pairs.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "{indent}{name:width$}  {value}");
        text
    })
}

/// A member of an object as a person reads it: strings bare, what is absent as `-`.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(shown).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables() {
        let rows = [["ä".to_owned(), "1".to_owned()], ["long".to_owned(), "-".to_owned()]];
        assert_eq!(table(["A", "NUMBER"], &rows), "A     NUMBER\nä     1\nlong  -\n");
        assert_eq!(table(["A", "NUMBER"], &[]), "A  NUMBER\n");
    }

    #[test]
    fn names_and_values() {
        let text = pairs("  ", [("a", shown(&Value::Null)), ("long", shown(&serde_json::json!(["x", "y"])))]);
        assert_eq!(text, "  a     -\n  long  x,y\n");
    }
}
