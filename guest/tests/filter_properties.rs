//! Laws of filters: printing and parsing undo each other, nothing makes the parser panic, and evaluation agrees with a
//! second evaluator that knows neither the schema nor the first.

use std::cmp::Ordering;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use scimwell_guest::compat::{Compat, Tolerance};
use scimwell_guest::filter::{AttributePath, Filter, Literal, Operator, Path, check, parse, parse_path};
use scimwell_guest::limits;
use scimwell_guest::schema::{REGISTRY, ResourceType, Type};
use serde_json::{Number, Value, json};

fn operators() -> impl Strategy<Value = Operator> {
    select(vec![
        Operator::Eq,
        Operator::Ne,
        Operator::Co,
        Operator::Sw,
        Operator::Ew,
        Operator::Gt,
        Operator::Ge,
        Operator::Lt,
        Operator::Le,
    ])
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![8 => "[a-zA-Z][a-zA-Z0-9_-]{0,7}", 1 => Just("$ref".to_owned()), 1 => "(?i)and|or|not|pr|eq"]
}

fn plain_attribute() -> impl Strategy<Value = AttributePath> {
    let urn = option::weighted(0.2, "urn:[a-z]{1,5}:[a-z]{1,5}:2\\.0:[A-Z][a-z]{1,5}");
    (urn, name()).prop_map(|(urn, name)| AttributePath { urn, name, sub: None })
}

fn attribute() -> impl Strategy<Value = AttributePath> {
    (plain_attribute(), option::weighted(0.3, name())).prop_map(|(path, sub)| AttributePath { sub, ..path })
}

fn literal() -> impl Strategy<Value = Literal> {
    prop_oneof![
        any::<String>().prop_map(Literal::String),
        "[a-z\"\\\\()\\[\\] ]{0,6}".prop_map(Literal::String),
        any::<i64>().prop_map(|number| Literal::Number(number.into())),
        any::<u64>().prop_map(|number| Literal::Number(number.into())),
        // Eighths have an exact decimal form, so that no rounding is at stake.
        any::<i32>().prop_map(|n| Literal::Number(Number::from_f64(f64::from(n) / 8.0).expect("finite"))),
        any::<bool>().prop_map(Literal::Boolean),
        Just(Literal::Null),
    ]
}

fn filter() -> impl Strategy<Value = Filter> {
    let leaf = prop_oneof![
        (attribute(), operators(), literal()).prop_map(|(a, operator, literal)| Filter::Compare(a, operator, literal)),
        attribute().prop_map(Filter::Present),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 2..4).prop_map(Filter::And),
            vec(inner.clone(), 2..4).prop_map(Filter::Or),
            inner.clone().prop_map(|filter| Filter::Not(Box::new(filter))),
            (plain_attribute(), inner).prop_map(|(a, filter)| Filter::Values(a, Box::new(filter))),
        ]
    })
}

fn path() -> impl Strategy<Value = Path> {
    prop_oneof![
        attribute().prop_map(|attribute| Path { attribute, filter: None, sub: None }),
        (plain_attribute(), filter(), option::of(name())).prop_map(|(attribute, filter, sub)| Path {
            attribute,
            filter: Some(filter),
            sub
        }),
    ]
}

/// A profile under which nothing but the RFC's grammar parses.
fn strict() -> Compat {
    Compat::refusing([Tolerance::UnquotedLiteral, Tolerance::BooleanString])
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_printed_filter_parses_to_itself(filter in filter()) {
        let text = filter.to_string();
        prop_assume!(text.len() <= limits::FILTER_BYTES);
        prop_assert_eq!(parse(&text, &mut strict()), Ok(filter));
    }

    #[test]
    fn a_printed_path_parses_to_itself(path in path()) {
        let text = path.to_string();
        prop_assume!(text.len() <= limits::FILTER_BYTES);
        prop_assert_eq!(parse_path(&text, &mut strict()), Ok(path));
    }

    #[test]
    fn any_text_parses_or_says_why(text in any::<String>()) {
        settles(&text)?;
    }

    #[test]
    fn anything_of_the_grammars_own_pieces_parses_or_says_why(
        pieces in vec(
            select(vec![
                "userName", "emails", "type", "a.b", "urn:x:y:z", " ", " ", "eq", "co", "pr", "and", "or", "not", "(", ")", "[",
                "]", ".value", "\"x\"", "\"", "\\", "1", "-", "true", "null", "'", "=", "é", ":", "$ref",
            ]),
            0..24,
        )
    ) {
        settles(&pieces.concat())?;
        settles(&pieces.join(" "))?;
    }

    #[test]
    fn any_nesting_is_parsed_or_refused(depth in 0_usize..3000, open in select(vec!["(", "not (", "a["])) {
        let close = if open == "a[" { "]" } else { ")" };
        let text = format!("{}a pr{}", open.repeat(depth), close.repeat(depth));
        prop_assert_eq!(parse(&text, &mut Compat::default()).is_ok(), depth <= limits::FILTER_DEPTH);
    }

}

proptest! {
    // More cases than usual: only few of the pairs of a value and a literal tell two operators apart.
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 4096, ..ProptestConfig::default() })]

    #[test]
    fn evaluation_agrees_with_the_reference(view in view(), filter in typed()) {
        let ty = resource_type();
        let checked = check(&filter, &ty, &mut Compat::default());
        let checked = checked.map_err(|error| TestCaseError::fail(format!("{filter}: {error}")))?;
        let object = view.as_object().expect("an object");
        prop_assert_eq!(checked.matches(object), reference(&filter, &view, ""), "{} on {}", filter, view);
    }

    #[test]
    fn what_is_parsed_again_selects_the_same(view in view(), filter in typed()) {
        let ty = resource_type();
        let again = parse(&filter.to_string(), &mut strict()).expect("prints what parses");
        let object = view.as_object().expect("an object");
        let run = |filter: &Filter| check(filter, &ty, &mut Compat::default()).expect("fits").matches(object);
        prop_assert_eq!(run(&filter), run(&again));
    }
}

fn settles(text: &str) -> Result<(), TestCaseError> {
    match parse(text, &mut Compat::default()) {
        Ok(filter) => prop_assert_eq!(parse(&filter.to_string(), &mut strict()), Ok(filter)),
        Err(error) => prop_assert!(error.detail.starts_with("filter: "), "{}", error),
    }
    match parse_path(text, &mut Compat::default()) {
        Ok(path) => prop_assert_eq!(parse_path(&path.to_string(), &mut strict()), Ok(path)),
        Err(error) => prop_assert!(error.detail.starts_with("path: "), "{}", error),
    }
    Ok(())
}

/// Users with an integer and a decimal too, which the built-in schemas lack.
fn resource_type() -> ResourceType {
    let mut ty = REGISTRY.by_name("User").expect("built in").clone();
    let title = ty.schema.attribute("title").expect("built in").clone();
    for (name, kind) in [("rank", Type::Integer), ("score", Type::Decimal)] {
        let mut attribute = title.clone();
        attribute.name = name.into();
        attribute.kind = kind;
        ty.schema.attributes.to_mut().push(attribute);
    }
    ty
}

/// Instants in ascending order, each in several spellings.
const INSTANTS: [[&str; 2]; 3] = [
    ["2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00"],
    ["2026-01-01T00:00:00.250Z", "2025-12-31T23:00:00.25-01:00"],
    ["2026-06-30T12:00:00Z", "2026-06-30T12:00:00.000Z"],
];

fn instant() -> impl Strategy<Value = String> {
    (0_usize..3, 0_usize..2).prop_map(|(at, spelling)| INSTANTS[at][spelling].to_owned())
}

/// Few letters, so that values meet.
fn text() -> impl Strategy<Value = String> {
    "[abA]{1,2}|é|É"
}

fn view() -> impl Strategy<Value = Value> {
    let email = (option::of(text()), option::of(text()), option::of(any::<bool>()))
        .prop_map(|(value, kind, primary)| without_nulls(json!({"value": value, "type": kind, "primary": primary})));
    let strings = (text(), option::of(text()), option::of(text()), option::of(text()));
    let others = (option::of(any::<bool>()), option::of(instant()), option::of(-2_i64..3), option::of(-8_i32..8));
    (strings, others, vec(email, 0..3)).prop_map(
        |((user, title, external, family), (active, modified, rank, score), emails)| {
            without_nulls(json!({
                "userName": user,
                "title": title,
                "externalId": external,
                "name": family.map(|family| json!({"familyName": family})),
                "active": active,
                "meta": modified.map(|modified| json!({"lastModified": modified})),
                "rank": rank,
                "score": score.map(|score| f64::from(score) / 4.0),
                "emails": emails,
            }))
        },
    )
}

fn without_nulls(mut value: Value) -> Value {
    if let Some(object) = value.as_object_mut() {
        object.retain(|_, value| !value.is_null());
    }
    value
}

fn attribute_named(name: &str) -> AttributePath {
    let (name, sub) = match name.split_once('.') {
        Some((name, sub)) => (name, Some(sub.to_owned())),
        None => (name, None),
    };
    AttributePath { urn: None, name: name.to_owned(), sub }
}

/// Comparisons that fit the schema.
fn comparison(strings: Vec<&'static str>, inside: bool) -> BoxedStrategy<Filter> {
    let compare = |(name, operator, literal): (&str, Operator, Literal)| {
        Filter::Compare(attribute_named(name), operator, literal)
    };
    let order = || select(vec![Operator::Eq, Operator::Ne, Operator::Gt, Operator::Ge, Operator::Lt, Operator::Le]);
    let same = || select(vec![Operator::Eq, Operator::Ne]);
    let texts = (select(strings.clone()), operators(), text().prop_map(Literal::String)).prop_map(compare);
    let absent = (select(strings.clone()), same(), Just(Literal::Null)).prop_map(compare);
    let present = select(strings).prop_map(|name| Filter::Present(attribute_named(name)));
    let boolean = if inside { "primary" } else { "active" };
    let booleans = (Just(boolean), same(), any::<bool>().prop_map(Literal::Boolean)).prop_map(compare);
    if inside {
        return prop_oneof![4 => texts, 1 => absent, 1 => present, 2 => booleans].boxed();
    }
    let instants = (Just("meta.lastModified"), order(), instant().prop_map(Literal::String)).prop_map(compare);
    let number = prop_oneof![
        (-2_i64..3).prop_map(|number| Literal::Number(number.into())),
        (-8_i32..8).prop_map(|n| Literal::Number(Number::from_f64(f64::from(n) / 4.0).expect("finite"))),
    ];
    let numbers = (select(vec!["rank", "score"]), order(), number).prop_map(compare);
    prop_oneof![4 => texts, 1 => absent, 1 => present, 1 => booleans, 2 => instants, 2 => numbers].boxed()
}

fn combined(leaf: impl Strategy<Value = Filter> + 'static) -> BoxedStrategy<Filter> {
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 2..4).prop_map(Filter::And),
            vec(inner.clone(), 2..4).prop_map(Filter::Or),
            inner.prop_map(|filter| Filter::Not(Box::new(filter))),
        ]
    })
    .boxed()
}

fn typed() -> impl Strategy<Value = Filter> {
    let names = vec!["userName", "USERNAME", "title", "externalId", "name.familyName", "emails", "emails.type"];
    let inside = combined(comparison(vec!["value", "type"], true));
    let values = inside.prop_map(|filter| Filter::Values(attribute_named("emails"), Box::new(filter)));
    combined(prop_oneof![3 => comparison(names, false), 1 => values])
}

/// RFC 7644 §3.4.2.2 once more, as plainly as it can be written: on the syntax tree, by attribute names spelled out here.
fn reference(filter: &Filter, view: &Value, within: &str) -> bool {
    match filter {
        Filter::And(filters) => filters.iter().all(|filter| reference(filter, view, within)),
        Filter::Or(filters) => filters.iter().any(|filter| reference(filter, view, within)),
        Filter::Not(filter) => !reference(filter, view, within),
        Filter::Values(path, filter) => view[&path.name]
            .as_array()
            .is_some_and(|elements| elements.iter().any(|element| reference(filter, element, &path.name))),
        Filter::Compare(path, Operator::Eq, Literal::Null) => found(path, view, within, false).concat().is_empty(),
        Filter::Present(path) | Filter::Compare(path, Operator::Ne, Literal::Null) => {
            !found(path, view, within, false).concat().is_empty()
        }
        Filter::Compare(path, operator, literal) => {
            let exact = path.name.eq_ignore_ascii_case("externalId");
            let values = found(path, view, within, true);
            let equal = |value: &Value| holds(value, Operator::Eq, literal, exact);
            match operator {
                // One value of several differs, or there is none.
                Operator::Ne => values.is_empty() || values.iter().any(|value| !value.iter().any(equal)),
                operator => values.concat().iter().any(|value| holds(value, *operator, literal, exact)),
            }
        }
    }
}

/// For each value of the attribute, the values under the path: none or one.
fn found(path: &AttributePath, view: &Value, within: &str, compared: bool) -> Vec<Vec<Value>> {
    let object = view.as_object().expect("an object");
    let value = object.iter().find(|(name, _)| name.eq_ignore_ascii_case(&path.name)).map(|(_, value)| value.clone());
    let sub = match &path.sub {
        Some(sub) => Some(sub.as_str()),
        None if within.is_empty() && path.name == "emails" && compared => Some("value"),
        None => None,
    };
    let elements = match value {
        None => vec![],
        Some(Value::Array(elements)) => elements,
        Some(value) => vec![value],
    };
    let under = |element: Value| match sub {
        Some(sub) => element.get(sub).cloned().into_iter().collect(),
        None if element == json!({}) => vec![],
        None => vec![element],
    };
    elements.into_iter().map(under).collect()
}

fn holds(value: &Value, operator: Operator, literal: &Literal, exact: bool) -> bool {
    let ordering = match (value, literal) {
        (Value::String(value), Literal::String(wanted)) => {
            let instant = |text: &str| INSTANTS.iter().position(|spellings| spellings.contains(&text));
            if let (Some(value), Some(wanted)) = (instant(value), instant(wanted)) {
                value.cmp(&wanted)
            } else {
                let (value, wanted) =
                    if exact { (value.clone(), wanted.clone()) } else { (value.to_lowercase(), wanted.to_lowercase()) };
                match operator {
                    Operator::Co => return value.contains(&wanted),
                    Operator::Sw => return value.starts_with(&wanted),
                    Operator::Ew => return value.ends_with(&wanted),
                    _ => value.cmp(&wanted),
                }
            }
        }
        (Value::Bool(value), Literal::Boolean(wanted)) => value.cmp(wanted),
        (Value::Number(value), Literal::Number(wanted)) => {
            value.as_f64().partial_cmp(&wanted.as_f64()).expect("finite")
        }
        _ => return false,
    };
    match operator {
        Operator::Eq => ordering == Ordering::Equal,
        Operator::Gt => ordering == Ordering::Greater,
        Operator::Ge => ordering != Ordering::Less,
        Operator::Lt => ordering == Ordering::Less,
        Operator::Le => ordering != Ordering::Greater,
        Operator::Ne | Operator::Co | Operator::Sw | Operator::Ew => false,
    }
}
