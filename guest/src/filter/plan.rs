//! A checked filter to the ways to its candidates: which keys lead to them, and what is left to be tested then.
//!
//! Which way is the cheapest depends on the data, so that it is chosen where the store is known.

use std::borrow::Cow;
use std::fmt;
use std::ops::Bound;

use crate::limits;
use crate::schema::order::{self, Span};
use crate::schema::{ResourceType, Source, Target, Type};

use super::{Checked, Operand, Operator};

/// Keys of one kind that lead to resources.
#[derive(Clone, Debug)]
pub enum Access<'f> {
    /// The resource with this id.
    Id(&'f str),
    /// The holder of a unique value.
    Unique(Target<'f>, Cow<'f, str>),
    /// Resources that have this member.
    HasMember(&'f str),
    /// Members of this resource, by way of others too.
    MemberOf(&'f str),
    /// A part of a secondary index.
    Index(Target<'f>, Span<'f>),
}

/// A way to the candidates: each of them lies on one of its paths.
#[derive(Clone, Debug)]
pub struct Way<'f> {
    /// Where to look.
    pub paths: Vec<Access<'f>>,
    /// The terms, by number, that what is found there satisfies for certain. They need not be tested again.
    pub answers: Vec<usize>,
}

/// How a filter can be run.
#[derive(Clone, Debug)]
pub struct Plan<'f> {
    /// All of them must hold.
    pub terms: Vec<&'f Checked<'f>>,
    /// The ways to what satisfies them; those that are likely to lead to the fewest first. Without any, every resource is to
    /// be tested.
    pub ways: Vec<Way<'f>>,
}

/// What remains to be tested on a candidate.
#[derive(Clone, Debug, Default)]
pub struct Rest<'f> {
    /// Ids that a match must have as members, each one read.
    pub members: Vec<&'f str>,
    /// Terms about the resource itself.
    pub terms: Vec<&'f Checked<'f>>,
}

/// The ways to run a filter on resources of a type.
pub fn plan<'f>(filter: &'f Checked<'f>, ty: &ResourceType) -> Plan<'f> {
    let terms: Vec<&Checked<'f>> = filter.conjuncts().iter().collect();
    let found: Vec<Option<Found<'f>>> = terms.iter().map(|term| paths(term, ty)).collect();
    let mut ways = windows(&found);
    ways.extend(found.into_iter().enumerate().filter_map(|(number, found)| {
        let Found { paths, exact } = found?;
        Some(Way { paths, answers: exact.then_some(number).into_iter().collect() })
    }));
    ways.sort_by_key(Way::rank);
    Plan { terms, ways }
}

impl<'f> Plan<'f> {
    /// What is left to test after a way; all of the filter without one.
    pub fn rest(&self, way: Option<&Way<'f>>) -> Rest<'f> {
        let mut rest = Rest::default();
        for (number, term) in self.terms.iter().enumerate() {
            if way.is_some_and(|way| way.answers.contains(&number)) {
                continue;
            }
            match member(term) {
                Some(id) => rest.members.push(id),
                None => rest.terms.push(term),
            }
        }
        rest
    }

    /// The terms that a way answers.
    pub fn answered(&self, way: &Way<'_>) -> Vec<&'f Checked<'f>> {
        way.answers.iter().filter_map(|number| self.terms.get(*number).copied()).collect()
    }
}

impl Rest<'_> {
    /// Whether nothing is.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.terms.is_empty()
    }
}

impl Way<'_> {
    /// Whether it leads to no more resources than it has paths.
    pub fn is_narrow(&self) -> bool {
        self.paths.iter().all(Access::is_point)
    }

    fn rank(&self) -> (u8, usize) {
        (self.paths.iter().map(Access::rank).max().unwrap_or(0), self.paths.len())
    }
}

impl Access<'_> {
    /// Whether it leads to one resource at most.
    pub fn is_point(&self) -> bool {
        matches!(self, Self::Id(_) | Self::Unique(..))
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Id(_) | Self::Unique(..) => 0,
            Self::HasMember(_) => 1,
            Self::Index(_, Span::Equal(_)) => 2,
            Self::Index(_, Span::StartsWith(_)) => 3,
            Self::Index(_, Span::Between(Bound::Unbounded, _) | Span::Between(_, Bound::Unbounded)) => 6,
            Self::Index(_, Span::Between(..)) => 4,
            Self::MemberOf(_) => 5,
            Self::Index(_, Span::Absent) => 7,
        }
    }
}

/// The paths to all that satisfies a term.
struct Found<'f> {
    paths: Vec<Access<'f>>,
    /// Whether nothing else is on them.
    exact: bool,
}

impl<'f> Found<'f> {
    fn one(path: Access<'f>, exact: bool) -> Self {
        Self { paths: vec![path], exact }
    }

    fn rank(&self) -> (u8, usize) {
        (self.paths.iter().map(Access::rank).max().unwrap_or(0), self.paths.len())
    }
}

/// `None` where no keys lead to what satisfies the term.
fn paths<'f>(term: &'f Checked<'f>, ty: &ResourceType) -> Option<Found<'f>> {
    match term {
        Checked::Compare { target, operator, operand } => compared(*target, *operator, operand, ty),
        Checked::Present(target) if is_served(target, ty) => {
            // An empty text is a value, but it isn't there for `pr`.
            let from = match target.leaf().kind {
                Type::String | Type::Reference => Bound::Excluded(Cow::Borrowed("")),
                _ => Bound::Unbounded,
            };
            Some(Found::one(Access::Index(*target, Span::Between(from, Bound::Unbounded)), true))
        }
        Checked::Not(term) => match &**term {
            Checked::Present(target) if is_served(target, ty) && target.is_single() => {
                let empty = Access::Index(*target, Span::Equal(Cow::Borrowed("")));
                Some(Found { paths: vec![Access::Index(*target, Span::Absent), empty], exact: true })
            }
            _ => None,
        },
        Checked::Or(terms) => {
            let found = terms.iter().map(|term| paths(term, ty)).collect::<Option<Vec<_>>>()?;
            let exact = found.iter().all(|found| found.exact);
            Some(Found { paths: found.into_iter().flat_map(|found| found.paths).collect(), exact })
        }
        Checked::And(terms) => {
            let best = terms.iter().filter_map(|term| paths(term, ty)).min_by_key(Found::rank)?;
            Some(Found { exact: false, ..best })
        }
        // `emails[type eq "work" and value eq "x"]` needs a resource that has the value at all.
        Checked::Values { filter, .. } => {
            let found = paths(filter, ty)?;
            let absent = |path: &Access<'_>| matches!(path, Access::Index(_, Span::Absent));
            let edges = |path: &Access<'_>| matches!(path, Access::HasMember(_) | Access::MemberOf(_));
            let usable = !found.paths.iter().any(|path| absent(path) || edges(path));
            usable.then_some(Found { exact: false, ..found })
        }
        Checked::Present(_) => None,
    }
}

fn compared<'f>(target: Target<'f>, operator: Operator, operand: &'f Operand, ty: &ResourceType) -> Option<Found<'f>> {
    if let (Operator::Eq, Operand::String(value)) = (operator, operand) {
        let top = target.extension.is_none() && target.sub.is_none();
        let is_value = target.sub.is_some_and(|sub| sub.name == "value");
        match target.attribute.source {
            Source::Members if is_value => return Some(Found::one(Access::HasMember(value), true)),
            // Groups may change on the way to a member, so that it is asked again.
            Source::Memberships if is_value => return Some(Found::one(Access::MemberOf(value), false)),
            _ if top && target.attribute.name == "id" => return Some(Found::one(Access::Id(value), true)),
            _ => {}
        }
    }
    if target.attribute.source != Source::Document {
        return None;
    }
    let text = operand.text(target.leaf())?;
    // A decimal shares its key with neighbours that differ in the last digits.
    let exact = target.leaf().kind != Type::Decimal && order::is_whole(&text);
    // No resource has a longer one, and the key would be too long for the store.
    let holder = target.is_unique() && !target.leaf().claiming && text.len() <= limits::UNIQUE_VALUE_BYTES;
    if holder && operator == Operator::Eq {
        return Some(Found::one(Access::Unique(target, text), target.leaf().kind != Type::Decimal));
    }
    if !is_served(&target, ty) {
        return None;
    }
    // What shares the key of a bound may lie on either side of it.
    let loose = !exact;
    let span = match operator {
        Operator::Eq => Span::Equal(text),
        Operator::Sw if text.is_empty() => return None,
        Operator::Sw => return Some(Found::one(Access::Index(target, Span::StartsWith(text)), exact)),
        Operator::Gt if loose => Span::Between(Bound::Included(text), Bound::Unbounded),
        Operator::Gt => Span::Between(Bound::Excluded(text), Bound::Unbounded),
        Operator::Ge => Span::Between(Bound::Included(text), Bound::Unbounded),
        Operator::Lt if loose => Span::Between(Bound::Unbounded, Bound::Included(text)),
        Operator::Lt => Span::Between(Bound::Unbounded, Bound::Excluded(text)),
        Operator::Le => Span::Between(Bound::Unbounded, Bound::Included(text)),
        Operator::Ne | Operator::Co | Operator::Ew => return None,
    };
    Some(Found::one(Access::Index(target, span), exact))
}

/// Two terms that bound an attribute with one value from both sides are one part of its index.
fn windows<'f>(found: &[Option<Found<'f>>]) -> Vec<Way<'f>> {
    let bounds = |found: &Option<Found<'f>>| match found.as_ref().map(|found| (found.paths.as_slice(), found.exact)) {
        Some(([Access::Index(target, Span::Between(from, to))], exact)) if target.is_single() => {
            Some((*target, from.clone(), to.clone(), exact))
        }
        _ => None,
    };
    let mut ways = Vec::new();
    for (low, first) in found.iter().enumerate() {
        let Some((target, from, Bound::Unbounded, exact_from)) = bounds(first) else { continue };
        for (high, second) in found.iter().enumerate() {
            let Some((other, Bound::Unbounded, to, exact_to)) = bounds(second) else { continue };
            if other.name() != target.name() || matches!(from, Bound::Unbounded) || matches!(to, Bound::Unbounded) {
                continue;
            }
            let answers = [(low, exact_from), (high, exact_to)].into_iter().filter(|(_, exact)| *exact);
            let path = Access::Index(target, Span::Between(from.clone(), to));
            ways.push(Way { paths: vec![path], answers: answers.map(|(number, _)| number).collect() });
        }
    }
    ways
}

/// The member that a term asks for, which one read tells.
fn member<'f>(term: &'f Checked<'f>) -> Option<&'f str> {
    match term {
        Checked::Compare { target, operator: Operator::Eq, operand: Operand::String(id) } => {
            let is_value = target.sub.is_some_and(|sub| sub.name == "value");
            (target.attribute.source == Source::Members && is_value).then_some(id.as_str())
        }
        _ => None,
    }
}

/// Whether a secondary index has all values of an attribute.
fn is_served(target: &Target<'_>, ty: &ResourceType) -> bool {
    target.leaf().kind != Type::Complex && ty.serves(target.leaf())
}

impl fmt::Display for Access<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "the id {id:?}"),
            Self::Unique(target, value) => write!(f, "the holder of {} {value:?}", target.name()),
            Self::HasMember(id) => write!(f, "what {id:?} is a member of"),
            Self::MemberOf(id) => write!(f, "the members of {id:?}"),
            Self::Index(target, span) => {
                write!(f, "the index of {}, ", target.name())?;
                match span {
                    Span::Equal(value) => write!(f, "equal to {value:?}"),
                    Span::StartsWith(start) => write!(f, "starting with {start:?}"),
                    Span::Absent => f.write_str("without a value"),
                    Span::Between(from, to) => {
                        match from {
                            Bound::Included(from) => write!(f, "from {from:?}")?,
                            Bound::Excluded(from) => write!(f, "above {from:?}")?,
                            Bound::Unbounded => f.write_str("from the first")?,
                        }
                        match to {
                            Bound::Included(to) => write!(f, " to {to:?}"),
                            Bound::Excluded(to) => write!(f, " to below {to:?}"),
                            Bound::Unbounded => f.write_str(" to the last"),
                        }
                    }
                }
            }
        }
    }
}
