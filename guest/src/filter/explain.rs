//! What is wrong with a filter or a path, for the person who wrote it: where, what was found, what belongs there, and what
//! to write instead where that can be guessed.

use crate::suggest;

/// What the grammar takes at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Expected {
    /// An attribute's name.
    Attribute,
    /// A comparison operator.
    Operator,
    /// A literal.
    Value,
    /// `and` or `or`.
    Logical,
    /// `(`
    Open,
    /// `)`
    Close,
    /// `[`
    Values,
    /// `]`
    CloseValues,
    /// Nothing more.
    End,
}

impl Expected {
    const ALL: [Self; 9] = [
        Self::Attribute,
        Self::Operator,
        Self::Value,
        Self::Logical,
        Self::Open,
        Self::Close,
        Self::Values,
        Self::CloseValues,
        Self::End,
    ];

    /// What it is called in an error.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Attribute => "an attribute",
            Self::Operator => "an operator (eq, ne, co, sw, ew, gt, ge, lt, le or pr)",
            Self::Value => "a value (\"text\", a number, true, false or null)",
            Self::Logical => "`and`, `or`",
            Self::Open => "`(`",
            Self::Close => "`)`",
            Self::Values => "`[`",
            Self::CloseValues => "`]`",
            Self::End => "the end",
        }
    }

    /// The reverse of [`Self::label`].
    pub(super) fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|expected| expected.label() == label)
    }
}

/// The 1-based character at byte `start`.
pub(super) fn character(text: &str, start: usize) -> usize {
    text.char_indices().take_while(|(at, _)| *at < start).count() + 1
}

/// `detail` with its place before it.
pub(super) fn at(text: &str, start: usize, detail: &str) -> String {
    format!("at character {}, {detail}", character(text, start))
}

/// Whether `c` can be part of a word: a name, an operator or a keyword.
pub(super) fn in_word(c: char) -> bool {
    !c.is_whitespace() && !matches!(c, '(' | ')' | '[' | ']' | '"')
}

/// What stands at byte `start` is none of what the grammar takes there.
pub(super) fn unexpected(text: &str, start: usize, expected: &[Expected]) -> String {
    let start = start + text[start..].len() - text[start..].trim_start().len();
    let found = found(&text[start..]);
    let before = text[..start].trim_end();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    expected.dedup();
    // What follows `not` reads as an operator's place too, since an attribute may be called `not`.
    if last_word(before).eq_ignore_ascii_case("not") {
        return at(text, start, &format!("{} after `not`, which takes parentheses: not (title pr)", describe(found)));
    }
    let labels: Vec<&str> = expected.iter().map(|expected| expected.label()).collect();
    let labels = match labels.as_slice() {
        [] => "something else".to_owned(),
        [one] => (*one).to_owned(),
        [rest @ .., last] => format!("{} or {last}", rest.join(", ")),
    };
    let remedy = remedy(found, before, &expected);
    at(text, start, &format!("{}, where {labels} is expected{remedy}", describe(found)))
}

fn describe(found: &str) -> String {
    match found {
        "" => "it ends".to_owned(),
        found => format!("found `{found}`"),
    }
}

/// The word, string or bracket that `rest` begins with, cut to a length that is good to read.
fn found(rest: &str) -> &str {
    if rest.starts_with(['(', ')', '[', ']']) {
        return &rest[..1];
    }
    let string = rest.starts_with('"');
    let mut end = 0;
    for (i, (at, c)) in rest.char_indices().enumerate() {
        let inside = if string { i == 0 || !rest[1..at].contains('"') } else { in_word(c) };
        if (i > 0 && !inside) || i >= 40 {
            break;
        }
        end = at + c.len_utf8();
    }
    &rest[..end]
}

fn last_word(text: &str) -> &str {
    text.rsplit(|c| !in_word(c)).next().unwrap_or_default()
}

fn remedy(found: &str, before: &str, expected: &[Expected]) -> String {
    if found.starts_with(['\'', '‘', '’', '“', '”', '`']) {
        return "; put text in straight double quotes: userName eq \"john\"".to_owned();
    }
    let has = |wanted| expected.contains(&wanted);
    if has(Expected::Operator) {
        return operator_remedy(found, before);
    }
    if has(Expected::Logical) {
        return match found.to_ascii_lowercase().as_str() {
            "&&" | "&" | "," => "; write `and`".to_owned(),
            "||" | "|" => "; write `or`".to_owned(),
            "" | "[" => String::new(),
            ")" | "]" => "; no bracket is open that it could close".to_owned(),
            word => match suggest::closest(word, ["and", "or"]) {
                Some(word) => format!("; did you mean `{word}`?"),
                None => "; text with spaces or brackets needs double quotes".to_owned(),
            },
        };
    }
    if has(Expected::Attribute) && found.starts_with('"') {
        return "; the attribute comes first, without quotes: userName eq \"john\"".to_owned();
    }
    String::new()
}

fn operator_remedy(found: &str, before: &str) -> String {
    if suggest::closest(last_word(before), OPERATORS) == Some(last_word(before)) {
        return format!("; the attribute before `{}` is missing", last_word(before));
    }
    // `userName=="x"` and `userName == "x"` alike.
    let sign: String = found.chars().take_while(|c| "=<>!~".contains(*c)).collect();
    let word = match sign.as_str() {
        "=" | "==" | "===" => "eq",
        "!=" | "<>" | "!==" => "ne",
        ">" => "gt",
        ">=" => "ge",
        "<" => "lt",
        "<=" => "le",
        _ => match found.to_ascii_lowercase().as_str() {
            "" => return String::new(),
            "equals" | "equal" | "is" => "eq",
            "contains" | "like" => "co",
            "startswith" => "sw",
            "endswith" => "ew",
            "present" | "exists" => "pr",
            "in" => return "; compare with each value and join them with `or`".to_owned(),
            _ if found.starts_with('"') => {
                return "; an operator stands between attribute and value: userName eq \"john\"".to_owned();
            }
            word => return suggest::did_you_mean(word, OPERATORS),
        },
    };
    format!("; write `{word}`")
}

const OPERATORS: [&str; 10] = ["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le", "pr"];
