//! Text to AST: the grammar of RFC 7644 §3.4.2.2 and of PATCH paths (§3.5.2), in any case of keywords.

use chumsky::error::{LabelError, RichPattern, RichReason};
use chumsky::extra::{Full, SimpleState};
use chumsky::input::MapExtra;
use chumsky::prelude::*;
use serde_json::Number;

use super::explain::{self, Expected};
use super::{AttributePath, Filter, Literal, Operator, Path};
use crate::compat::{Compat, Tolerance};
use crate::error::{ErrorKind, Result, ScimError, excerpt};
use crate::limits;

/// Parse the value of a `filter` parameter.
pub fn parse(text: &str, compat: &mut Compat) -> Result<Filter> {
    let whole = filter().delimited_by(space(), space()).then_ignore(end());
    let filter = run("filter", &ErrorKind::InvalidFilter, whole, text, compat)?;
    match terms(&filter) {
        0..=limits::FILTER_TERMS => Ok(filter),
        terms => Err(ScimError::new(
            ErrorKind::InvalidFilter,
            format!(
                "filter: it has {terms} comparisons and the most is {}; ask in several requests",
                limits::FILTER_TERMS
            ),
        )),
    }
}

/// Parse the `path` of a PATCH operation.
pub fn parse_path(text: &str, compat: &mut Compat) -> Result<Path> {
    let whole = path().delimited_by(space(), space()).then_ignore(end());
    let path = run("path", &ErrorKind::InvalidPath, whole, text, compat)?;
    match path.filter.as_ref().map_or(0, terms) {
        0..=limits::FILTER_TERMS => Ok(path),
        terms => Err(ScimError::new(
            ErrorKind::InvalidPath,
            format!("path: its filter has {terms} comparisons and the most is {}", limits::FILTER_TERMS),
        )),
    }
}

/// What the parsers note beside their output: tolerances used, with the byte where.
type Noted = SimpleState<Vec<(Tolerance, usize)>>;
type Failure<'t> = Rich<'t, char>;
type Extra<'t> = Full<Failure<'t>, Noted, ()>;

fn run<'t, T>(
    what: &str,
    kind: &ErrorKind,
    parser: impl Parser<'t, &'t str, T, Extra<'t>>,
    text: &'t str,
    compat: &mut Compat,
) -> Result<T> {
    let fail = |detail: String| ScimError::new(kind.clone(), format!("{what}: {detail}"));
    bound(text).map_err(fail)?;
    let mut noted = SimpleState(Vec::new());
    let output = parser.parse_with_state(text, &mut noted).into_result().map_err(|failures| {
        // Without recovery there is exactly one failure: the one that got furthest.
        let failure = failures.into_iter().next().map(|failure| match failure.reason() {
            RichReason::Custom(detail) => explain::at(text, failure.span().start, detail),
            RichReason::ExpectedFound { expected, .. } => {
                explain::unexpected(text, failure.span().start, &labels(expected))
            }
        });
        fail(failure.unwrap_or_else(|| "it does not parse".to_owned()))
    })?;
    for (tolerance, start) in noted.0 {
        compat
            .accept(tolerance, &format!("{what}: at character {}", explain::character(text, start)))
            .map_err(|error| ScimError { kind: kind.clone(), ..error })?;
    }
    Ok(output)
}

fn labels(expected: &[RichPattern<'_, char>]) -> Vec<Expected> {
    let label = |pattern: &RichPattern<'_, char>| match pattern {
        RichPattern::Label(label) => Expected::from_label(label),
        RichPattern::EndOfInput => Some(Expected::End),
        _ => None,
    };
    expected.iter().filter_map(label).collect()
}

/// Refuse what is too long or too deep before any recursion starts: a WebAssembly stack is small, and overflowing it ends
/// the instance. Strings are skipped here exactly as the grammar skips them, and brackets in an unquoted literal can only
/// make the count too high.
fn bound(text: &str) -> Result<(), String> {
    if text.len() > limits::FILTER_BYTES {
        return Err(format!("it has {} bytes and the most is {}", text.len(), limits::FILTER_BYTES));
    }
    let mut depth = 0_usize;
    let mut opened = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match (opened, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(_), '"') => opened = None,
            (None, '"') => opened = Some(at),
            (None, '(' | '[') => depth += 1,
            (None, ')' | ']') => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > limits::FILTER_DEPTH {
            let most = limits::FILTER_DEPTH;
            return Err(explain::at(text, at, &format!("brackets are nested deeper than {most} levels")));
        }
    }
    match opened {
        Some(at) => Err(explain::at(text, at, "the string that opens here is not closed; end it with a double quote")),
        None => Ok(()),
    }
}

fn terms(filter: &Filter) -> usize {
    match filter {
        Filter::And(filters) | Filter::Or(filters) => filters.iter().map(terms).sum(),
        Filter::Not(filter) | Filter::Values(_, filter) => terms(filter),
        Filter::Compare(..) | Filter::Present(_) => 1,
    }
}

/// A comparison without its attribute.
#[derive(Clone)]
enum Test {
    Present,
    Compare(Operator, Literal),
}

impl Test {
    fn of(self, attribute: AttributePath) -> Filter {
        match self {
            Self::Present => Filter::Present(attribute),
            Self::Compare(operator, literal) => Filter::Compare(attribute, operator, literal),
        }
    }
}

/// What follows an attribute.
enum Tail {
    Values(Filter),
    Test(Test),
}

fn filter<'t>() -> impl Parser<'t, &'t str, Filter, Extra<'t>> + Clone {
    recursive(|filter| {
        let group =
            filter.clone().padded_by(space()).delimited_by(open('(', Expected::Open), open(')', Expected::Close));
        let not = keyword("not", Expected::Attribute)
            .ignore_then(space())
            .ignore_then(group.clone())
            .map(|filter| Filter::Not(Box::new(filter)));
        let values = filter
            .padded_by(space())
            .delimited_by(open('[', Expected::Operator), open(']', Expected::CloseValues))
            .then(just('.').ignore_then(sub_attribute()).then_ignore(space()).then(test()).or_not())
            .map(|(filter, tail)| Tail::Values(narrow(filter, tail)));
        // What begins with an attribute is read once, whatever follows it.
        let attributed = attribute()
            .then_ignore(space())
            .then(choice((values.boxed(), test().map(Tail::Test).boxed())))
            .try_map(|(attribute, tail), span| match tail {
                Tail::Values(filter) => Ok(Filter::Values(plain(attribute, span)?, Box::new(filter))),
                Tail::Test(test) => Ok(test.of(attribute)),
            });
        // Boxed one by one: inlined into one function, all of them would take their stack at every level of nesting.
        let term = choice((not.boxed(), group.boxed(), attributed.boxed())).boxed();
        let all = chain(term, "and", Filter::And);
        chain(all, "or", Filter::Or)
    })
}

fn path<'t>() -> impl Parser<'t, &'t str, Path, Extra<'t>> {
    let values = filter()
        .padded_by(space())
        .delimited_by(open('[', Expected::Values), open(']', Expected::CloseValues))
        .then(just('.').ignore_then(sub_attribute()).or_not());
    attribute().then(space().ignore_then(values).or_not()).try_map(|(attribute, values), span| match values {
        None => Ok(Path { attribute, filter: None, sub: None }),
        Some((filter, sub)) => Ok(Path { attribute: plain(attribute, span)?, filter: Some(filter), sub }),
    })
}

/// `attribute[filter].sub op literal` is not in the RFC, yet clients send it (Rippling, Entra ID). It asks for one value
/// that satisfies both, which the grammar writes `attribute[filter and sub op literal]`.
fn narrow(filter: Filter, tail: Option<(String, Test)>) -> Filter {
    let Some((name, test)) = tail else { return filter };
    let test = test.of(AttributePath { urn: None, name, sub: None });
    match filter {
        Filter::And(mut filters) => {
            filters.push(test);
            Filter::And(filters)
        }
        filter => Filter::And(vec![filter, test]),
    }
}

/// Items joined by a keyword; one item alone stands for itself.
fn chain<'t>(
    item: impl Parser<'t, &'t str, Filter, Extra<'t>> + Clone + 't,
    word: &'static str,
    join: fn(Vec<Filter>) -> Filter,
) -> impl Parser<'t, &'t str, Filter, Extra<'t>> + Clone {
    item.separated_by(keyword(word, Expected::Logical).padded_by(space()))
        .at_least(1)
        .collect::<Vec<_>>()
        .map(move |mut items| match items.pop() {
            Some(item) if items.is_empty() => item,
            last => {
                items.extend(last);
                join(items)
            }
        })
        .boxed()
}

fn test<'t>() -> impl Parser<'t, &'t str, Test, Extra<'t>> + Clone {
    let operator = word(Expected::Operator)
        .try_map(|word: &str, span| Operator::from_word(word).ok_or_else(|| expected(Expected::Operator, span)));
    choice((
        keyword("pr", Expected::Operator).to(Test::Present),
        operator.then_ignore(space()).then(literal()).map(|(operator, literal)| Test::Compare(operator, literal)),
    ))
}

fn literal<'t>() -> impl Parser<'t, &'t str, Literal, Extra<'t>> + Clone {
    let string = none_of("\\\"")
        .ignored()
        .or(just('\\').then(any()).ignored())
        .repeated()
        .delimited_by(just('"').labelled(Expected::Value.label()), just('"'))
        .to_slice()
        .try_map(|text: &str, span| match serde_json::from_str(text) {
            Ok(text) => Ok(Literal::String(text)),
            Err(_) => Err(Rich::custom(
                span,
                "the string has an escape that JSON does not know, or a control character that must be escaped \
                 (\\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uHHHH)",
            )),
        });
    // An unquoted literal runs to white space or to what closes a bracket. A double quote inside would leave it unclear
    // where strings begin.
    let bare = any()
        .filter(|c: &char| !c.is_whitespace() && !matches!(c, ')' | ']' | '"'))
        .repeated()
        .at_least(1)
        .to_slice()
        .labelled(Expected::Value.label())
        .try_map_with(|word: &str, extra: &mut MapExtra<'t, '_, &'t str, Extra<'t>>| match bare_literal(word) {
            None => Err(expected(Expected::Value, extra.span())),
            Some((literal, tolerance)) => {
                let start = extra.span().start;
                extra.state().extend(tolerance.map(|tolerance| (tolerance, start)));
                Ok(literal)
            }
        });
    choice((string, bare))
}

/// A literal without quotes, and the tolerance that it takes: anything but `true`, `false`, `null` and a number.
fn bare_literal(word: &str) -> Option<(Literal, Option<Tolerance>)> {
    if word.starts_with(['\'', '‘', '’', '“', '”', '`', '(', '[', '=']) {
        return None;
    }
    if let Ok(number) = serde_json::from_str::<Number>(word) {
        return Some((Literal::Number(number), None));
    }
    Some(match word {
        "true" => (Literal::Boolean(true), None),
        "false" => (Literal::Boolean(false), None),
        "null" => (Literal::Null, None),
        _ => match word.to_ascii_lowercase().as_str() {
            // The value was forgotten: `userName eq and …`.
            "and" | "or" => return None,
            "true" => (Literal::Boolean(true), Some(Tolerance::BooleanString)),
            "false" => (Literal::Boolean(false), Some(Tolerance::BooleanString)),
            "null" => (Literal::Null, Some(Tolerance::UnquotedLiteral)),
            _ => (Literal::String(word.to_owned()), Some(Tolerance::UnquotedLiteral)),
        },
    })
}

/// `urn:name.sub` as one run of characters; the URN ends at the last colon, since it may hold dots itself.
fn attribute<'t>() -> impl Parser<'t, &'t str, AttributePath, Extra<'t>> + Clone {
    any()
        .filter(|c: &char| c.is_ascii_graphic() && !r#"()[]"'=<>!&|,;`{}"#.contains(*c))
        .repeated()
        .at_least(1)
        .to_slice()
        .labelled(Expected::Attribute.label())
        .try_map(|text: &str, span: SimpleSpan| {
            let (urn, rest) = match text.rsplit_once(':') {
                Some((urn, rest)) => (Some(urn.to_owned()), rest),
                None => (None, text),
            };
            let (name, sub) = match rest.split_once('.') {
                Some((name, sub)) => (name, Some(sub)),
                None => (rest, None),
            };
            let start = span.end - rest.len();
            let name = attribute_name(name, start)?;
            let sub = sub.map(|sub| attribute_name(sub, span.end - sub.len())).transpose()?;
            Ok(AttributePath { urn, name, sub })
        })
}

fn sub_attribute<'t>() -> impl Parser<'t, &'t str, String, Extra<'t>> + Clone {
    word(Expected::Attribute).try_map(|word: &str, span: SimpleSpan| attribute_name(word, span.start))
}

/// ATTRNAME of RFC 7643 §2.1: a letter, then letters, digits, `-` and `_`; and `$ref`.
fn attribute_name(name: &str, start: usize) -> Result<String, Failure<'static>> {
    let wrong = match name.strip_prefix('$').unwrap_or(name).chars().next() {
        Some(first) if first.is_ascii_alphabetic() => {
            name.char_indices().skip(1).find(|(_, c)| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_'))
        }
        _ => Some((0, ' ')),
    };
    let shown = excerpt(name);
    match wrong {
        None => Ok(name.to_owned()),
        Some((0, _)) if name.is_empty() => Err(Rich::custom(
            SimpleSpan::from(start..start),
            "an attribute's name is missing where a `.` or `:` announces it",
        )),
        Some((0, _)) => Err(Rich::custom(
            SimpleSpan::from(start..start + name.len()),
            format!("found `{shown}` as an attribute's name, which must begin with a letter"),
        )),
        Some((_, '.')) => Err(Rich::custom(
            SimpleSpan::from(start..start + name.len()),
            format!("`{shown}` goes too deep; a path names an attribute and at most one sub-attribute"),
        )),
        Some((at, c)) => Err(Rich::custom(
            SimpleSpan::from(start + at..start + name.len()),
            format!("found `{c}` in the attribute's name `{shown}`, which takes letters, digits, `-` and `_`"),
        )),
    }
}

/// A value filter follows an attribute, never a sub-attribute: complex values do not nest (RFC 7643 §2.3.8).
fn plain<'t>(attribute: AttributePath, span: SimpleSpan) -> Result<AttributePath, Failure<'t>> {
    match attribute.sub {
        None => Ok(attribute),
        Some(_) => Err(Rich::custom(
            span,
            format!("a filter in brackets follows an attribute, not the sub-attribute `{}`", excerpt(attribute)),
        )),
    }
}

fn keyword<'t>(word: &'static str, instead: Expected) -> impl Parser<'t, &'t str, (), Extra<'t>> + Clone {
    self::word(instead).try_map(
        move |found: &str, span| {
            if found.eq_ignore_ascii_case(word) { Ok(()) } else { Err(expected(instead, span)) }
        },
    )
}

/// Everything up to white space, a bracket or a quote.
fn word<'t>(label: Expected) -> impl Parser<'t, &'t str, &'t str, Extra<'t>> + Clone {
    any().filter(|c: &char| explain::in_word(*c)).repeated().at_least(1).to_slice().labelled(label.label())
}

fn open<'t>(bracket: char, label: Expected) -> impl Parser<'t, &'t str, (), Extra<'t>> + Clone {
    just(bracket).ignored().labelled(label.label())
}

fn space<'t>() -> impl Parser<'t, &'t str, (), Extra<'t>> + Clone {
    any().filter(|c: &char| c.is_whitespace()).repeated()
}

fn expected<'t>(expected: Expected, span: SimpleSpan) -> Failure<'t> {
    LabelError::<&str, &'static str>::expected_found([expected.label()], None, span)
}

#[cfg(test)]
mod tests;
