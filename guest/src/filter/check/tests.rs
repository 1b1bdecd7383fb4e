//! What fits the built-in schemas, in which form, and why the rest does not.

use super::*;
use crate::filter::parse;
use crate::schema::REGISTRY;

fn user() -> &'static ResourceType {
    REGISTRY.by_name("User").expect("built in")
}

/// A form to compare with: names in full, operands as they compare.
fn shown(checked: &Checked<'_>) -> String {
    let list = |filters: &[Checked<'_>], word: &str| filters.iter().map(shown).collect::<Vec<_>>().join(word);
    match checked {
        Checked::And(filters) => format!("({})", list(filters, " & ")),
        Checked::Or(filters) => format!("({})", list(filters, " | ")),
        Checked::Not(filter) => format!("!{}", shown(filter)),
        Checked::Present(target) => target.name(),
        Checked::Compare { target, operator, operand } => format!("{} {operator} {operand:?}", target.name()),
        Checked::Values { target, filter } => format!("{}[{}]", target.name(), shown(filter)),
    }
}

fn run(text: &str, compat: &mut Compat) -> Result<String> {
    check(&parse(text, compat)?, user(), compat).map(|checked| shown(&checked))
}

fn fits(text: &str, expect: &str) {
    assert_eq!(run(text, &mut Compat::default()).as_deref(), Ok(expect), "{text}");
}

fn fails(text: &str, expect: &str) {
    let error = run(text, &mut Compat::default()).expect_err(text);
    assert_eq!((error.detail.as_str(), error.kind), (expect, ErrorKind::InvalidFilter), "{text}");
}

fn tolerates(text: &str, tolerance: Tolerance, expect: &str) {
    let mut compat = Compat::default();
    assert_eq!(run(text, &mut compat).as_deref(), Ok(expect), "{text}");
    assert_eq!(compat.used().collect::<Vec<_>>(), [tolerance], "{text}");
    let error = run(text, &mut Compat::refusing([tolerance])).expect_err(text);
    assert_eq!(error.kind, ErrorKind::InvalidFilter, "{text}");
}

#[test]
fn names_become_canonical_and_operands_fold_where_case_does_not_count() {
    fits(r#"USERNAME eq "BJensen""#, r#"userName eq String("bjensen")"#);
    fits(r#"externalId eq "AbC""#, r#"externalId eq String("AbC")"#);
    fits(r#"id eq "AbC""#, r#"id eq String("AbC")"#);
    fits(r#"urn:ietf:params:scim:schemas:core:2.0:user:username eq "A""#, r#"userName eq String("a")"#);
    fits("active eq true", "active eq Boolean(true)");
    fits(r#"meta.lastModified ge "1970-01-01T00:00:01Z""#, "meta.lastModified ge Instant(1000000000)");
}

#[test]
fn a_complex_attribute_compares_by_its_value() {
    fits(r#"emails co "X""#, r#"emails.value co String("x")"#);
    fits(
        r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager eq "m1""#,
        r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value eq String("m1")"#,
    );
    fits("name pr", "name");
    fails(
        r#"name eq "x""#,
        "`name` is complex; compare one of its sub-attributes: formatted, familyName, givenName, middleName, \
         honorificPrefix, honorificSuffix",
    );
}

#[test]
fn value_filters_look_names_up_among_the_sub_attributes() {
    fits(r#"emails[TYPE eq "Work" and not (value pr)]"#, r#"emails[(emails.type eq String("work") & !emails.value)]"#);
    fails(r#"emails[kind eq "x"]"#, "`emails` has no sub-attribute `kind`; it has value, display, type, primary");
    fails(r#"emails[valeu eq "x"]"#, "`emails` has no sub-attribute `valeu`; did you mean `value`?");
    fails(
        r#"emails[emails.type eq "x"]"#,
        "`emails.type`: inside emails[…] a name stands for a sub-attribute and takes no prefix",
    );
    fails("emails[type[value pr]]", "`type[…]`: a filter in brackets cannot hold another one in brackets");
    fails("userName[value pr]", "`userName` has one plain value; compare it without brackets: userName eq \"…\"");
}

#[test]
fn null_is_absence() {
    fits("title eq null", "!title");
    fits("emails ne null", "emails");
    fails("title gt null", "`title gt null`: null has no order or parts; write title pr");
}

#[test]
fn nested_conjunctions_are_one_list() {
    fits("(title pr and active pr) and (name pr and (id pr or meta pr))", "(title & active & name & (id | meta))");
    let filter = parse("title pr and (id pr and name pr)", &mut Compat::default()).expect("parses");
    let checked = check(&filter, user(), &mut Compat::default()).expect("fits");
    assert_eq!(checked.conjuncts().len(), 3);
    assert_eq!(checked.conjuncts()[0].conjuncts().len(), 1);
}

#[test]
fn edge_backed_attributes_are_found_wherever_they_stand() {
    fn mentions(text: &str) -> bool {
        let filter = parse(text, &mut Compat::default()).expect("parses");
        check(&filter, user(), &mut Compat::default()).expect("fits").mentions(Source::Memberships)
    }
    assert!(mentions(r#"title pr or not (groups eq "g")"#));
    assert!(mentions(r#"groups[type eq "direct"]"#));
    assert!(!mentions("title pr"));
}

#[test]
fn types_must_agree() {
    fails("active gt true", "`active` is a boolean and takes eq, ne and pr, not `gt`");
    fails(r#"active eq "yes""#, "`active eq \"yes\"`: `active` is a boolean and compares with true or false");
    fails("userName eq true", "`userName eq true`: `userName` is a string and compares with text in double quotes");
    fails("userName eq 1.50", "`userName eq 1.5`: `userName` is a string and compares with text in double quotes");
    fails(
        r#"meta.created gt "yesterday""#,
        "`meta.created gt \"yesterday\"`: `meta.created` is a dateTime and compares with a dateTime in quotes: \
         \"2026-01-31T12:00:00Z\"",
    );
    fails(
        r#"meta.created sw "2026""#,
        "`meta.created` is a dateTime and takes eq, ne, gt, ge, lt, le and pr, not `sw`",
    );
    fails(r#"x509Certificates co "AA""#, "`x509Certificates.value` is binary and takes eq, ne and pr, not `co`");
}

#[test]
fn secrets_cannot_be_asked_for() {
    fails(r#"password eq "x""#, "`password` is never returned, so a filter cannot ask for it");
    fails("password pr", "`password` is never returned, so a filter cannot ask for it");
}

#[test]
fn unknown_names_get_a_suggestion() {
    fails(r#"usrName eq "x""#, "User has no attribute `usrName`; did you mean `userName`?");
    fails(r#"shoeSize eq "x""#, "User has no attribute `shoeSize`");
    fails(
        r#"name.first eq "x""#,
        "`name` has no sub-attribute `first`; it has formatted, familyName, givenName, middleName, honorificPrefix, honorificSuffix",
    );
    fails(r#"userName.x eq "x""#, "`userName` has no sub-attributes, so there is no `x`");
    fails(
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:departmnt pr",
        "`urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:departmnt`: the schema has no attribute \
         `departmnt`; did you mean `department`?",
    );
    fails("urn:x:y pr", "`urn:x:y`: User has no schema `urn:x`");
    // What was sent is shown in part, however long it is.
    let shown = "é".repeat(79);
    fails(&format!("x{} pr", "y".repeat(5000)), &format!("User has no attribute `x{}…`", "y".repeat(79)));
    fails(
        &format!("active eq \"{}\"", "é".repeat(5000)),
        &format!("`active eq \"{shown}…`: `active` is a boolean and compares with true or false"),
    );
}

#[test]
fn what_clients_send_beside_the_rfc() {
    tolerates(r#"active eq "True""#, Tolerance::BooleanString, "active eq Boolean(true)");
    tolerates(r#"emails[primary eq "false"]"#, Tolerance::BooleanString, "emails[emails.primary eq Boolean(false)]");
    tolerates("userName eq 701984", Tolerance::UnquotedLiteral, r#"userName eq String("701984")"#);
    tolerates(
        r#"department eq "R&D""#,
        Tolerance::ExtensionAtTop,
        r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq String("r&d")"#,
    );
}
