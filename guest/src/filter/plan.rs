//! A checked filter to the cheapest way to its candidates: which index to read, and what is left to test.
//!
//! Only the terms that must all hold are looked at; a filter without a usable one is tested on every resource.

use crate::limits;
use crate::schema::{Source, Target};

use super::{Checked, Operand, Operator};

/// Where the candidates come from.
#[derive(Clone, Copy, Debug)]
pub enum Access<'f> {
    /// Every resource of the type.
    All,
    /// The resource with this id.
    Id(&'f str),
    /// The holder of a unique value.
    Unique(Target<'f>, &'f str),
    /// Resources that have this member.
    HasMember(&'f str),
    /// Members of this resource.
    MemberOf(&'f str),
    /// The entries of a secondary index with this value.
    Equal(Target<'f>, &'f str),
    /// The holder of a unique value, or the entries of a secondary index with a value, which is no string.
    Same(Target<'f>, &'f Operand),
    /// The entries of a secondary index that start so.
    StartsWith(Target<'f>, &'f str),
}

/// How to run a filter.
#[derive(Clone, Debug)]
pub struct Plan<'f> {
    /// Where the candidates come from.
    pub access: Access<'f>,
    /// Ids that a match must have as members, each one read.
    pub members: Vec<&'f str>,
    /// What remains to be tested on the resource itself.
    pub residual: Vec<&'f Checked<'f>>,
}

/// The plan of a filter.
pub fn plan<'f>(filter: &'f Checked<'f>) -> Plan<'f> {
    let terms: Vec<&Checked<'f>> = filter.conjuncts().iter().collect();
    let best = terms.iter().enumerate().filter_map(|(i, term)| access(term).map(|a| (cost(&a), i, a)));
    let Some((_, used, access)) = best.min_by_key(|(cost, i, _)| (*cost, *i)) else {
        return with_members(Access::All, terms);
    };
    // Edges, ids and unique values answer their term exactly. The keys of an index are cut, so that its term is tested again.
    let exact = matches!(access, Access::Id(_) | Access::HasMember(_)) || unique(&access, terms[used]);
    let rest = terms.into_iter().enumerate().filter(|(i, _)| !(exact && *i == used)).map(|(_, term)| term);
    with_members(access, rest.collect())
}

/// Whether holding a unique value is all that a term asks for: not one in brackets, which may ask for more.
fn unique(access: &Access<'_>, term: &Checked<'_>) -> bool {
    matches!((access, term), (Access::Unique(..), Checked::Compare { .. }))
}

/// Set apart the terms that one read of an edge answers.
fn with_members<'f>(access: Access<'f>, terms: Vec<&'f Checked<'f>>) -> Plan<'f> {
    let mut plan = Plan { access, members: Vec::new(), residual: Vec::new() };
    for term in terms {
        match self::access(term) {
            Some(Access::HasMember(id)) => plan.members.push(id),
            _ => plan.residual.push(term),
        }
    }
    plan
}

fn access<'f>(term: &'f Checked<'f>) -> Option<Access<'f>> {
    match term {
        Checked::Compare { target, operator: Operator::Eq, operand: Operand::String(value) } => equal(*target, value),
        Checked::Compare { target, operator: Operator::Eq, operand } => {
            let leaf = target.leaf();
            let usable = (leaf.indexed || holds_unique(target)) && operand.text(leaf).is_some();
            usable.then_some(Access::Same(*target, operand))
        }
        Checked::Compare { target, operator: Operator::Sw, operand: Operand::String(value) } => {
            (target.leaf().indexed && !value.is_empty()).then_some(Access::StartsWith(*target, value))
        }
        // `emails[type eq "work" and value eq "x"]` needs a resource that has the value at all.
        Checked::Values { filter, .. } => filter
            .conjuncts()
            .iter()
            .filter_map(access)
            .filter(|a| matches!(a, Access::Equal(..) | Access::Unique(..) | Access::Same(..)))
            .min_by_key(cost),
        _ => None,
    }
}

fn equal<'f>(target: Target<'f>, value: &'f str) -> Option<Access<'f>> {
    let top = target.extension.is_none() && target.sub.is_none();
    let is_value = target.sub.is_some_and(|sub| sub.name == "value");
    match target.attribute.source {
        Source::Members if is_value => return Some(Access::HasMember(value)),
        Source::Memberships if is_value => return Some(Access::MemberOf(value)),
        Source::Members | Source::Memberships | Source::Password => return None,
        Source::Document => {}
    }
    if top && target.attribute.name == "id" {
        return Some(Access::Id(value));
    }
    // No resource has a longer one, and the key would be too long for the store.
    if holds_unique(&target) && value.len() <= limits::UNIQUE_VALUE_BYTES {
        return Some(Access::Unique(target, value));
    }
    target.leaf().indexed.then_some(Access::Equal(target, value))
}

/// Whether the holders of all its unique values can be looked up.
fn holds_unique(target: &Target<'_>) -> bool {
    target.is_unique() && !target.leaf().claiming
}

fn cost(access: &Access<'_>) -> u8 {
    match access {
        Access::Id(_) | Access::Unique(..) => 0,
        Access::Equal(..) | Access::Same(..) => 1,
        Access::HasMember(_) => 2,
        Access::MemberOf(_) => 3,
        Access::StartsWith(..) => 4,
        Access::All => 5,
    }
}
