//! Golden cases of both grammars: what parses prints in its normal form, what does not says why.

use super::*;

fn check(text: &str, expect: &str) {
    match parse(text, &mut Compat::default()) {
        Ok(filter) => {
            assert_eq!(filter.to_string(), expect, "{text}");
            assert_eq!(parse(expect, &mut Compat::default()).as_ref(), Ok(&filter), "{text}");
        }
        Err(error) => panic!("{text}: {error}"),
    }
}

fn same(text: &str) {
    check(text, text);
}

fn fails(text: &str, expect: &str) {
    let error = parse(text, &mut Compat::default()).expect_err(text);
    assert_eq!(error.detail, format!("filter: {expect}"), "{text}");
    assert_eq!(error.kind, ErrorKind::InvalidFilter);
}

fn check_path(text: &str, expect: &str) {
    match parse_path(text, &mut Compat::default()) {
        Ok(path) => assert_eq!(path.to_string(), expect, "{text}"),
        Err(error) => panic!("{text}: {error}"),
    }
}

fn path_fails(text: &str, expect: &str) {
    let error = parse_path(text, &mut Compat::default()).expect_err(text);
    assert_eq!(error.detail, format!("path: {expect}"), "{text}");
    assert_eq!(error.kind, ErrorKind::InvalidPath);
}

const OPERATOR: &str = "an operator (eq, ne, co, sw, ew, gt, ge, lt, le or pr)";
const VALUE: &str = "a value (\"text\", a number, true, false or null)";

#[test]
fn filters_of_the_rfc() {
    same(r#"userName eq "bjensen""#);
    same(r#"name.familyName co "O'Malley""#);
    same(r#"urn:ietf:params:scim:schemas:core:2.0:User:userName sw "J""#);
    same("title pr");
    same(r#"meta.lastModified gt "2011-05-13T04:42:34Z""#);
    same(r#"title pr and userType eq "Employee""#);
    same(r#"title pr or userType eq "Intern""#);
    same(r#"schemas eq "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User""#);
    same(r#"userType eq "Employee" and (emails co "example.com" or emails.value co "example.org")"#);
    same(r#"userType ne "Employee" and not (emails co "example.com" or emails.value co "example.org")"#);
    check(
        r#"userType eq "Employee" and (emails.type eq "work")"#,
        r#"userType eq "Employee" and emails.type eq "work""#,
    );
    same(r#"userType eq "Employee" and emails[type eq "work" and value co "@example.com"]"#);
    same(r#"emails[type eq "work" and value co "@example.com"] or ims[type eq "xmpp" and value co "@foo.com"]"#);
}

#[test]
fn and_binds_tighter_than_or() {
    check("a pr or b pr and c pr", "a pr or b pr and c pr");
    check("(a pr or b pr) and c pr", "(a pr or b pr) and c pr");
    check("a pr or (b pr and c pr)", "a pr or b pr and c pr");
    check("a pr and (b pr and c pr)", "a pr and (b pr and c pr)");
    check("((a pr))", "a pr");
    check("not (not (a pr))", "not (not (a pr))");
}

#[test]
fn keywords_in_any_case_and_loose_white_space() {
    check("  a  EQ  1\tAND\nNot(b Pr)oR(c pR) ", "a eq 1 and not (b pr) or c pr");
    check(r#"a eq"x"and b pr"#, r#"a eq "x" and b pr"#);
    check(r#"emails [ type eq "work" ]"#, r#"emails[type eq "work"]"#);
}

#[test]
fn urns_end_at_the_last_colon() {
    let attribute = |urn: &str, name: &str, sub: Option<&str>| AttributePath {
        urn: Some(urn.to_owned()),
        name: name.to_owned(),
        sub: sub.map(str::to_owned),
    };
    let urn = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    for (text, expect) in [
        (format!("{urn}:manager.displayName pr"), attribute(urn, "manager", Some("displayName"))),
        (format!("{urn}:department pr"), attribute(urn, "department", None)),
    ] {
        assert_eq!(parse(&text, &mut Compat::default()), Ok(Filter::Present(expect)));
    }
}

#[test]
fn literals_are_those_of_json() {
    fn check(text: &str, expect: Literal) {
        let filter = parse(&format!("a eq {text}"), &mut Compat::refusing([Tolerance::UnquotedLiteral]));
        let attribute = AttributePath { urn: None, name: "a".to_owned(), sub: None };
        assert_eq!(filter, Ok(Filter::Compare(attribute, Operator::Eq, expect)), "{text}");
    }
    check(r#""""#, Literal::String(String::new()));
    check(r#""a\"b\\c\/d\n\u00e9\ud83d\ude00)]""#, Literal::String("a\"b\\c/d\né😀)]".to_owned()));
    check("true", Literal::Boolean(true));
    check("False", Literal::Boolean(false));
    check("null", Literal::Null);
    check("-12", Literal::Number((-12).into()));
    check("18446744073709551615", Literal::Number(u64::MAX.into()));
    check("1.5e3", Literal::Number(Number::from_f64(1500.0).expect("finite")));
}

#[test]
fn unquoted_literals_are_tolerated_and_counted() {
    check("userName eq john", r#"userName eq "john""#);
    check("(userName eq j.doe+x@example.com)", r#"userName eq "j.doe+x@example.com""#);
    check("emails[value eq O'Brien]", r#"emails[value eq "O'Brien"]"#);
    let mut compat = Compat::default();
    parse("a eq 1 or userName eq john", &mut compat).expect("tolerated");
    assert_eq!(compat.used().collect::<Vec<_>>(), [Tolerance::UnquotedLiteral]);
    let error = parse("userName eq john", &mut Compat::refusing([Tolerance::UnquotedLiteral])).expect_err("refused");
    assert_eq!(error.kind, ErrorKind::InvalidFilter);
    assert_eq!(
        error.detail,
        "filter: at character 13: the tolerance `unquoted-literal` is off; a string in a filter needs double quotes: \
         userName eq \"john\""
    );
}

#[test]
fn a_sub_attribute_after_the_bracket_joins_the_filter_inside() {
    check(r#"emails[type eq "work"].value eq "x""#, r#"emails[type eq "work" and value eq "x"]"#);
    check(
        r#"emails[type eq "work" and primary eq true].value pr"#,
        r#"emails[type eq "work" and primary eq true and value pr]"#,
    );
    check("emails[a pr or b pr].value pr", "emails[(a pr or b pr) and value pr]");
}

#[test]
fn errors_say_where_what_and_what_instead() {
    fails("", "at character 1, it ends, where an attribute or `(` is expected");
    fails("userName", &format!("at character 9, it ends, where {OPERATOR} is expected"));
    fails(
        r#"userName eqq "x""#,
        &format!("at character 10, found `eqq`, where {OPERATOR} is expected; did you mean `eq`?"),
    );
    fails(r#"userName=="x""#, &format!("at character 9, found `==`, where {OPERATOR} is expected; write `eq`"));
    fails(
        r#"userName contains "x""#,
        &format!("at character 10, found `contains`, where {OPERATOR} is expected; write `co`"),
    );
    fails("userName eq ", &format!("at character 13, it ends, where {VALUE} is expected"));
    fails("userName eq and a pr", &format!("at character 13, found `and`, where {VALUE} is expected"));
    fails(
        "userName eq 'x y'",
        &format!(
            "at character 13, found `'x`, where {VALUE} is expected; put text in straight double quotes: userName eq \
             \"john\""
        ),
    );
    fails(
        r#"userName "x""#,
        &format!(
            "at character 10, found `\"x\"`, where {OPERATOR} is expected; an operator stands between attribute and \
             value: userName eq \"john\""
        ),
    );
    fails(
        r#"eq "x""#,
        &format!("at character 4, found `\"x\"`, where {OPERATOR} is expected; the attribute before `eq` is missing"),
    );
    fails("é eq 1", "at character 1, found `é`, where an attribute or `(` is expected");
    fails(r#"a eq "é" && b pr"#, "at character 10, found `&&`, where `and`, `or` or the end is expected; write `and`");
    fails(
        "userName eq john doe",
        "at character 18, found `doe`, where `and`, `or` or the end is expected; text with spaces or brackets needs \
         double quotes",
    );
    fails("(a pr", "at character 6, it ends, where `and`, `or` or `)` is expected");
    fails(
        "a pr)",
        "at character 5, found `)`, where `and`, `or` or the end is expected; no bracket is open that it could close",
    );
    fails("a pr and", "at character 9, it ends, where an attribute or `(` is expected");
    fails("not a pr", "at character 5, found `a` after `not`, which takes parentheses: not (title pr)");
    fails("a.b.c pr", "at character 1, `b.c` goes too deep; a path names an attribute and at most one sub-attribute");
    fails("1a pr", "at character 1, found `1a` as an attribute's name, which must begin with a letter");
    fails("a. pr", "at character 1, an attribute's name is missing where a `.` or `:` announces it");
    fails(
        "a@b pr",
        "at character 1, found `@` in the attribute's name `a@b`, which takes letters, digits, `-` and `_`",
    );
    fails(
        "emails.type[value pr]",
        "at character 1, a filter in brackets follows an attribute, not the sub-attribute `emails.type`",
    );
    fails("emails[]", "at character 8, found `]`, where an attribute or `(` is expected");
    fails(r#"a eq "x"#, "at character 6, the string that opens here is not closed; end it with a double quote");
    let escape = r#"at character 6, the string has an escape that JSON does not know, or a control character that must be escaped (\" \\ \/ \b \f \n \r \t \uHHHH)"#;
    fails(r#"a eq "\q""#, escape);
    fails(r#"a eq "\ud800""#, escape);
    fails("a eq \"\n\"", escape);
}

#[test]
fn size_depth_and_number_of_comparisons_are_bounded() {
    let nested = |depth| format!("{}a pr{}", "(".repeat(depth), ")".repeat(depth));
    check(&nested(limits::FILTER_DEPTH), "a pr");
    fails(&nested(limits::FILTER_DEPTH + 1), "at character 33, brackets are nested deeper than 32 levels");
    fails(&"(".repeat(10_000), "at character 33, brackets are nested deeper than 32 levels");
    fails(&"not(".repeat(4_000), "at character 132, brackets are nested deeper than 32 levels");
    let long = |terms| vec!["a pr"; terms].join(" and ");
    same(&long(limits::FILTER_TERMS));
    fails(&long(257), "it has 257 comparisons and the most is 256; ask in several requests");
    fails(&" ".repeat(20_000), "it has 20000 bytes and the most is 16384");
    // Brackets inside strings open nothing.
    let text = format!(r#"a eq "{}\"{}""#, "(".repeat(100), "[".repeat(100));
    same(&text);
}

#[test]
fn paths() {
    for path in [
        "members",
        "name.familyName",
        "$ref",
        r#"addresses[type eq "work"]"#,
        r#"members[value eq "2819c223-7f76-453a-919d-413861904646"]"#,
        r#"members[value eq "2819c223-7f76-453a-919d-413861904646"].displayName"#,
        r#"emails[type eq "work" and value ew "example.com"].value"#,
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value",
        r#"urn:ietf:params:scim:schemas:core:2.0:User:emails[type eq "work"].value"#,
    ] {
        check_path(path, path);
    }
    check_path(r#" emails [ type EQ "work" ].value "#, r#"emails[type eq "work"].value"#);
}

#[test]
fn path_errors() {
    path_fails("", "at character 1, it ends, where an attribute is expected");
    path_fails("emails[", "at character 8, it ends, where an attribute or `(` is expected");
    path_fails(r#"emails[type eq "work""#, "at character 22, it ends, where `and`, `or` or `]` is expected");
    path_fails("emails[broken!!!filter", &format!("at character 14, found `!!!filter`, where {OPERATOR} is expected"));
    path_fails(r#"emails[type eq "work"]."#, "at character 24, it ends, where an attribute is expected");
    path_fails("a b", "at character 3, found `b`, where `[` or the end is expected");
    path_fails(
        "name.x[a pr]",
        "at character 1, a filter in brackets follows an attribute, not the sub-attribute `name.x`",
    );
}
