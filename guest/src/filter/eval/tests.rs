//! Which of the operators hold on one known user, and on a user with next to nothing.

use serde_json::{Value, json};

use super::*;
use crate::compat::Compat;
use crate::filter::{check, parse};
use crate::schema::REGISTRY;

fn holds(view: &Value, text: &str) -> bool {
    let ty = REGISTRY.by_name("User").expect("built in");
    let mut compat = Compat::default();
    let filter = parse(text, &mut compat).unwrap_or_else(|error| panic!("{text}: {error}"));
    let checked = check(&filter, ty, &mut compat).unwrap_or_else(|error| panic!("{text}: {error}"));
    checked.matches(view.as_object().expect("an object"))
}

fn check_user(text: &str, expect: bool) {
    let user = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "id": "Ab1",
        "externalId": "EXT-7",
        "userName": "BJensen",
        "displayName": "Ünal Straße",
        "active": true,
        "name": {"familyName": "Jensen"},
        "emails": [{"value": "b@example.com", "type": "work", "primary": true}, {"value": "B@Home.org"}],
        "meta": {"created": "2026-01-31T12:00:00.5Z", "lastModified": "2026-02-01T00:00:00+02:00"},
        "groups": [{"value": "g1", "type": "direct"}],
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "R&D", "manager": {"value": "m1"}},
    });
    assert_eq!(holds(&user, text), expect, "{text}");
}

fn check_bare(text: &str, expect: bool) {
    let user = json!({"id": "1", "userName": "x", "emails": [], "title": null, "name": {"givenName": null}});
    assert_eq!(holds(&user, text), expect, "{text}");
}

#[test]
fn strings() {
    check_user(r#"userName eq "bjensen""#, true);
    check_user(r#"userName ne "bjensen""#, false);
    check_user(r#"userName sw "BJ" and userName ew "SEN" and userName co "Jens""#, true);
    check_user(r#"userName sw "bjensens""#, false);
    check_user(r#"userName gt "BJ" and userName lt "bk" and userName ge "bjensen" and userName le "BJENSEN""#, true);
    check_user(r#"userName co """#, true);
    check_user(r#"displayName eq "ÜNAL straße""#, true);
    check_user(r#"displayName sw "ünal""#, true);
    check_user(r#"externalId eq "ext-7""#, false);
    check_user(r#"externalId co "T-""#, true);
    check_user(r#"id eq "ab1""#, false);
    check_user(r#"id gt "AB""#, true);
}

#[test]
fn several_values() {
    check_user(r#"emails eq "b@home.org""#, true);
    check_user(r#"emails.type eq "work""#, true);
    check_user(r#"emails.type ne "work""#, true);
    check_user(r#"groups.type ne "direct""#, false);
    check_user(r#"not (emails.type eq "work")"#, false);
    check_user(r#"emails[type eq "work" and value co "home"]"#, false);
    check_user(r#"emails[type eq "work"] and emails[value co "home"]"#, true);
    check_user(r#"emails[type ne "work"]"#, true);
    check_user(r"emails[not (type pr)]", true);
    check_user(r#"emails[primary eq true].value eq "b@example.com""#, true);
    check_user(r#"schemas eq "urn:ietf:params:scim:schemas:core:2.0:User""#, true);
    check_user(r#"schemas eq "urn:other""#, false);
}

#[test]
fn other_types() {
    check_user("active eq true", true);
    check_user("active ne true", false);
    check_user("active eq false", false);
    check_user(r#"meta.created eq "2026-01-31T13:00:00.500+01:00""#, true);
    check_user(r#"meta.created gt "2026-01-31T12:00:00Z""#, true);
    check_user(r#"meta.lastModified lt "2026-02-01T00:00:00Z""#, true);
    check_user(r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value eq "m1""#, true);
    check_user(r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager eq "m2""#, false);
    check_user(r#"department sw "r&""#, true);
}

#[test]
fn presence() {
    check_user("name pr and name.familyName pr and emails pr and emails.type pr and department pr", true);
    check_user("title pr or name.givenName pr or nickName pr", false);
    check_user("title eq null and userName ne null", true);
    check_bare("emails pr or title pr or name pr or department pr", false);
}

#[test]
fn absent_differs_from_everything_and_equals_nothing() {
    check_bare(r#"title ne "x" and emails ne "x" and name.givenName ne "x" and active ne true"#, true);
    check_bare(r#"title eq "x" or emails.value co "" or title lt "x" or active eq false"#, false);
    check_bare(r#"emails[value ne "x"]"#, false);
    check_bare("not (title pr) and not (emails[value pr])", true);
}

#[test]
fn numbers_compare_exactly() {
    fn check(left: &str, right: &str, expect: Ordering) {
        let number = |text| serde_json::from_str::<Number>(text).expect("a number");
        assert_eq!(numbers(&number(left), &number(right)), Some(expect), "{left} {right}");
        assert_eq!(numbers(&number(right), &number(left)), Some(expect.reverse()), "{right} {left}");
    }
    check("1", "1.0", Ordering::Equal);
    check("-2", "-1.5", Ordering::Less);
    check("-1", "-1.5", Ordering::Greater);
    check("9007199254740993", "9007199254740992.0", Ordering::Greater);
    check("18446744073709551615", "18446744073709551614", Ordering::Greater);
    check("18446744073709551615", "18446744073709551616", Ordering::Less);
    check("-9223372036854775808", "-1e300", Ordering::Greater);
    check("0", "-0.0", Ordering::Equal);
}
