//! A filter over several resource types at once (RFC 7644 §3.4.2.1): what a type doesn't have has no value there.

use serde_json::json;

use super::{AttributePath, Checked, Filter, Literal, Operator, check};
use crate::compat::Compat;
use crate::error::{Result, ScimError};
use crate::resource::Object;
use crate::schema::ResourceType;

/// What a filter comes to in one of several resource types.
#[derive(Clone, Debug)]
pub enum Across<'s> {
    /// All resources of the type match.
    All,
    /// None does.
    None,
    /// Those that match this.
    Some(Checked<'s>),
}

/// Fit a filter to `ty`, one of `types` that are searched together. A comparison that fits another of them but not `ty` is
/// one with an attribute without a value; 400 invalidFilter where it fits none.
pub fn check_across<'s>(
    filter: &Filter,
    ty: &'s ResourceType,
    types: &[&ResourceType],
    compat: &mut Compat,
) -> Result<Across<'s>> {
    Ok(match filter {
        Filter::And(filters) => {
            let mut terms = Vec::with_capacity(filters.len());
            let mut none = false;
            for filter in filters {
                match check_across(filter, ty, types, compat)? {
                    Across::All => {}
                    Across::None => none = true,
                    Across::Some(Checked::And(inner)) => terms.extend(inner),
                    Across::Some(term) => terms.push(term),
                }
            }
            match terms.len() {
                _ if none => Across::None,
                0 => Across::All,
                1 => Across::Some(terms.remove(0)),
                _ => Across::Some(Checked::And(terms)),
            }
        }
        Filter::Or(filters) => {
            let mut terms = Vec::with_capacity(filters.len());
            let mut all = false;
            for filter in filters {
                match check_across(filter, ty, types, compat)? {
                    Across::All => all = true,
                    Across::None => {}
                    Across::Some(Checked::Or(inner)) => terms.extend(inner),
                    Across::Some(term) => terms.push(term),
                }
            }
            match terms.len() {
                _ if all => Across::All,
                0 => Across::None,
                1 => Across::Some(terms.remove(0)),
                _ => Across::Some(Checked::Or(terms)),
            }
        }
        Filter::Not(filter) => match check_across(filter, ty, types, compat)? {
            Across::All => Across::None,
            Across::None => Across::All,
            Across::Some(filter) => Across::Some(Checked::Not(Box::new(filter))),
        },
        term => match check(term, ty, compat) {
            Ok(checked) => known(checked, ty),
            Err(error) => {
                if !types.iter().any(|other| check(term, other, &mut compat.trial()).is_ok()) {
                    return Err(nowhere(error, types));
                }
                match holds_without_value(term) {
                    true => Across::All,
                    false => Across::None,
                }
            }
        },
    })
}

/// Why a name that fits no type is refused: with one type, its own words say it all.
pub fn nowhere(error: ScimError, types: &[&ResourceType]) -> ScimError {
    match types {
        [] | [_] => error,
        _ => error.at("no resource type fits"),
    }
}

/// Whether a term holds of an attribute without a value, as `Checked::matches` has it: it differs from everything.
fn holds_without_value(term: &Filter) -> bool {
    match term {
        Filter::Compare(_, Operator::Eq, Literal::Null) => true,
        Filter::Compare(_, Operator::Ne, literal) => *literal != Literal::Null,
        _ => false,
    }
}

/// All resources of a type have its name in `meta.resourceType`: what asks for it alone is decided here, so that a type can
/// be passed over without being read.
fn known<'s>(checked: Checked<'s>, ty: &ResourceType) -> Across<'s> {
    let (Checked::Compare { target, .. } | Checked::Present(target)) = &checked else { return Across::Some(checked) };
    let asked = target.extension.is_none()
        && target.attribute.name == "meta"
        && target.sub.is_some_and(|sub| sub.name == "resourceType");
    if !asked {
        return Across::Some(checked);
    }
    let view = Object::from_iter([("meta".to_owned(), json!({ "resourceType": ty.name }))]);
    match checked.matches(&view) {
        true => Across::All,
        false => Across::None,
    }
}

/// The filter `path eq "value"`, made rather than parsed, so that no value needs quoting.
pub fn equals(path: AttributePath, value: &str) -> Filter {
    Filter::Compare(path, Operator::Eq, Literal::String(value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::filter::parse;
    use crate::schema::REGISTRY;

    /// What a filter comes to in User and Group.
    fn outcome(text: &str) -> [String; 2] {
        let compat = &mut Compat::default();
        let filter = parse(text, compat).unwrap();
        let types: Vec<&ResourceType> = REGISTRY.resource_types.iter().collect();
        [types[0], types[1]].map(|ty| match check_across(&filter, ty, &types, compat) {
            Ok(Across::All) => "all".to_owned(),
            Ok(Across::None) => "none".to_owned(),
            Ok(Across::Some(_)) => "some".to_owned(),
            Err(error) => format!("{:?}", error.kind),
        })
    }

    #[test]
    fn what_a_type_lacks_has_no_value_there() {
        assert_eq!(outcome("userName eq \"a\""), ["some", "none"]);
        assert_eq!(outcome("members eq \"a\""), ["none", "some"]);
        assert_eq!(outcome("displayName eq \"a\""), ["some", "some"]);
        assert_eq!(outcome("userName ne \"a\""), ["some", "all"]);
        assert_eq!(outcome("not (userName pr)"), ["some", "all"]);
        assert_eq!(outcome("userName eq null"), ["some", "all"]);
        assert_eq!(outcome("userName ne null"), ["some", "none"]);
        assert_eq!(outcome("emails[type eq \"work\"]"), ["some", "none"]);
        assert_eq!(outcome("userName pr or displayName pr"), ["some", "some"]);
        assert_eq!(outcome("userName pr and displayName pr"), ["some", "none"]);
        assert_eq!(outcome("userName pr and members pr"), ["none", "none"]);
    }

    #[test]
    fn the_type_itself_is_known() {
        assert_eq!(outcome("meta.resourceType eq \"User\""), ["all", "none"]);
        assert_eq!(outcome("meta.resourceType ne \"User\""), ["none", "all"]);
        assert_eq!(outcome("meta.resourceType eq \"Group\" or userName sw \"a\""), ["some", "all"]);
        assert_eq!(outcome("meta.resourceType eq \"User\" and userName sw \"a\""), ["some", "none"]);
        assert_eq!(outcome("meta.resourceType pr"), ["all", "all"]);
    }

    #[test]
    fn what_no_type_has_is_refused() {
        let refused = format!("{:?}", ErrorKind::InvalidFilter);
        assert_eq!(outcome("shoeSize eq 42"), [refused.clone(), refused.clone()]);
        assert_eq!(outcome("userName pr or active eq 42"), [refused.clone(), refused]);
    }
}
