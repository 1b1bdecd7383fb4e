//! AST to typed filter: names resolved and literals fitted to the schema, so that evaluation cannot fail.

use std::borrow::Cow;
use std::slice;

use serde_json::Number;

use super::{AttributePath, Filter, Literal, Operator};
use crate::compat::{Compat, Tolerance, urn};
use crate::datetime;
use crate::error::{ErrorKind, Result, ScimError, excerpt};
use crate::schema::{Attribute, COMMON, Mutability, ResourceType, Returned, Source, Target, Type, fold_case, order};
use crate::suggest::did_you_mean;

/// What a comparison compares with, in the form that the attribute's type compares in.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// For strings, references and binary; folded already where the attribute is not `caseExact`.
    String(String),
    /// For booleans.
    Boolean(bool),
    /// For integers and decimals.
    Number(Number),
    /// For dateTime: nanoseconds since 1970-01-01T00:00:00Z.
    Instant(i128),
}

impl Operand {
    /// The text that stands for it in the index of this attribute; `None` where the attribute has no such value.
    pub fn text(&self, attribute: &Attribute) -> Option<Cow<'_, str>> {
        match self {
            Self::String(text) => Some(Cow::Borrowed(text)),
            Self::Boolean(value) => Some(Cow::Borrowed(order::boolean(*value))),
            Self::Number(number) => order::number(attribute, number).map(Cow::Owned),
            Self::Instant(nanoseconds) => Some(Cow::Owned(order::instant(*nanoseconds))),
        }
    }
}

/// A filter that fits the schema. `null` is gone: `eq null` is "not present", `ne null` is "present" (RFC 7643 §2.5).
#[derive(Clone, Debug)]
pub enum Checked<'s> {
    /// All of them; never holds another `And`.
    And(Vec<Checked<'s>>),
    /// Any of them; never holds another `Or`.
    Or(Vec<Checked<'s>>),
    /// None of it.
    Not(Box<Checked<'s>>),
    /// `target operator operand`. A multi-valued target compares value by value.
    Compare {
        /// Never complex: `emails eq` has become `emails.value eq`.
        target: Target<'s>,
        /// One that the target's type allows.
        operator: Operator,
        /// Of the target's type.
        operand: Operand,
    },
    /// `target pr`; may be complex.
    Present(Target<'s>),
    /// One value of the target satisfies all of the filter.
    Values {
        /// A top-level attribute: its `sub` is `None`.
        target: Target<'s>,
        /// Its targets name the same attribute and, in `sub`, the sub-attribute; with no `sub`, the value itself (of a
        /// multi-valued attribute that is not complex).
        filter: Box<Checked<'s>>,
    },
}

impl<'s> Checked<'s> {
    /// The terms that must all hold: those of an `And`, else the filter itself.
    pub fn conjuncts(&self) -> &[Checked<'s>] {
        match self {
            Self::And(filters) => filters,
            filter => slice::from_ref(filter),
        }
    }

    /// Whether it looks at an attribute whose values live at `source`.
    pub fn mentions(&self, source: Source) -> bool {
        match self {
            Self::And(filters) | Self::Or(filters) => filters.iter().any(|filter| filter.mentions(source)),
            Self::Not(filter) => filter.mentions(source),
            Self::Compare { target, .. } | Self::Present(target) | Self::Values { target, .. } => {
                target.attribute.source == source
            }
        }
    }
}

/// Fit a filter to a resource type; 400 invalidFilter where it does not.
pub fn check<'s>(filter: &Filter, ty: &'s ResourceType, compat: &mut Compat) -> Result<Checked<'s>> {
    Scope::Resource(ty).check(filter, compat)
}

/// Fit the filter in the brackets of `target[filter]` to the attribute's values; 400 invalidFilter where it does not.
pub fn check_values<'s>(filter: &Filter, target: Target<'s>, compat: &mut Compat) -> Result<Checked<'s>> {
    Scope::Values(target).check(filter, compat)
}

/// What the attribute of a filter, a PATCH path or a `sortBy` stands for. An extension's attribute without its URN is
/// tolerated where only one extension has it. `kind` is the error's kind where nothing has that name.
pub fn resolve<'s>(
    path: &AttributePath,
    ty: &'s ResourceType,
    kind: &ErrorKind,
    compat: &mut Compat,
) -> Result<Target<'s>> {
    let sub = path.sub.as_deref();
    if let Some(target) = ty.resolve(path.urn.as_deref(), &path.name, sub) {
        return Ok(target);
    }
    if let Some(urn) = &path.urn {
        let schema =
            urn::schema(ty, urn, &path.to_string(), compat).map_err(|e| ScimError { kind: kind.clone(), ..e })?;
        if let Some(target) = schema.and_then(|schema| ty.resolve(Some(&schema.id), &path.name, sub)) {
            return Ok(target);
        }
    }
    if path.urn.is_none() && ty.resolve(None, &path.name, None).is_none() {
        let mut found = ty.extensions.iter().filter_map(|e| ty.resolve(Some(&e.schema.id), &path.name, sub));
        match (found.next(), found.next()) {
            (Some(target), None) => {
                compat
                    .accept(Tolerance::ExtensionAtTop, &path.to_string())
                    .map_err(|error| ScimError { kind: kind.clone(), ..error })?;
                return Ok(target);
            }
            (Some(one), Some(other)) => {
                let detail = format!("`{path}` could be {} or {}; write its schema's URN", one.name(), other.name());
                return Err(ScimError::new(kind.clone(), detail));
            }
            (None, _) => {}
        }
    }
    Err(ScimError::new(kind.clone(), unknown(path, ty)))
}

/// Whether `path` stands for nothing here, whatever is tolerated; if so, [`resolve`] tells what it may have meant.
pub fn is_unknown(path: &AttributePath, ty: &ResourceType) -> bool {
    // Two extensions that have the name are no reason to pass it over: it is theirs, and it isn't told whose.
    let of_extensions = ty.extensions.iter().filter_map(|extension| extension.schema.attribute(&path.name)).count();
    let ambiguous = path.urn.is_none() && ty.resolve(None, &path.name, None).is_none() && of_extensions > 1;
    !ambiguous && resolve(path, ty, &ErrorKind::InvalidPath, &mut Compat::default()).is_err()
}

/// Why `path` stands for nothing, and what it may have meant.
fn unknown(path: &AttributePath, ty: &ResourceType) -> String {
    let shown = excerpt(path);
    let name = excerpt(&path.name);
    if let Some(urn) = &path.urn {
        let Some(schema) = ty.schemas().find(|schema| schema.id.eq_ignore_ascii_case(urn)) else {
            let ids = ty.schemas().map(|schema| schema.id.as_ref());
            return format!("`{shown}`: {} has no schema `{}`{}", ty.name, excerpt(urn), did_you_mean(urn, ids));
        };
        if schema.attribute(&path.name).is_none() {
            let meant = did_you_mean(&path.name, schema.attributes.iter().map(|a| a.name.as_ref()));
            return format!("`{shown}`: the schema has no attribute `{name}`{meant}");
        }
    }
    let urn = path.urn.as_deref();
    let top = ty.resolve(urn, &path.name, None).or_else(|| {
        ty.extensions.iter().find_map(|extension| ty.resolve(Some(&extension.schema.id), &path.name, None))
    });
    if let (Some(target), Some(sub)) = (top, &path.sub) {
        return no_sub_attribute(target.attribute, sub);
    }
    let names = COMMON.iter().chain(ty.schemas().flat_map(|schema| schema.attributes.iter()));
    let meant = did_you_mean(&path.name, names.map(|a| a.name.as_ref()));
    format!("{} has no attribute `{name}`{meant}", ty.name)
}

fn no_sub_attribute(attribute: &Attribute, sub: &str) -> String {
    let shown = excerpt(sub);
    let names = || attribute.sub_attributes.iter().map(|a| a.name.as_ref());
    if attribute.sub_attributes.is_empty() {
        return format!("`{}` has no sub-attributes, so there is no `{shown}`", attribute.name);
    }
    match did_you_mean(sub, names()).as_str() {
        "" => format!(
            "`{}` has no sub-attribute `{shown}`; it has {}",
            attribute.name,
            names().collect::<Vec<_>>().join(", ")
        ),
        meant => format!("`{}` has no sub-attribute `{shown}`{meant}", attribute.name),
    }
}

/// Where the names of a filter are looked up.
#[derive(Clone, Copy)]
enum Scope<'s> {
    Resource(&'s ResourceType),
    Values(Target<'s>),
}

impl<'s> Scope<'s> {
    fn check(self, filter: &Filter, compat: &mut Compat) -> Result<Checked<'s>> {
        Ok(match filter {
            Filter::And(filters) => {
                let mut terms = Vec::with_capacity(filters.len());
                for filter in filters {
                    match self.check(filter, compat)? {
                        Checked::And(inner) => terms.extend(inner),
                        term => terms.push(term),
                    }
                }
                Checked::And(terms)
            }
            Filter::Or(filters) => {
                let mut terms = Vec::with_capacity(filters.len());
                for filter in filters {
                    match self.check(filter, compat)? {
                        Checked::Or(inner) => terms.extend(inner),
                        term => terms.push(term),
                    }
                }
                Checked::Or(terms)
            }
            Filter::Not(filter) => Checked::Not(Box::new(self.check(filter, compat)?)),
            Filter::Present(path) => Checked::Present(self.target(path, compat)?),
            Filter::Compare(path, operator, literal) => {
                let target = self.target(path, compat)?;
                compare(target, *operator, literal, compat)?
            }
            Filter::Values(path, filter) => {
                let Self::Resource(_) = self else {
                    return Err(invalid(format!(
                        "`{}[…]`: a filter in brackets cannot hold another one in brackets",
                        excerpt(path)
                    )));
                };
                let target = self.target(path, compat)?;
                if !target.attribute.multi_valued && target.attribute.kind != Type::Complex {
                    return Err(invalid(format!(
                        "`{}` has one plain value; compare it without brackets: {} eq \"…\"",
                        target.name(),
                        target.name()
                    )));
                }
                Checked::Values { target, filter: Box::new(check_values(filter, target, compat)?) }
            }
        })
    }

    fn target(self, path: &AttributePath, compat: &mut Compat) -> Result<Target<'s>> {
        let target = match self {
            Self::Resource(ty) => resolve(path, ty, &ErrorKind::InvalidFilter, compat)?,
            Self::Values(outer) => element(path, outer)?,
        };
        let secret = |a: &Attribute| a.mutability == Mutability::WriteOnly || a.returned == Returned::Never;
        if secret(target.attribute) || target.sub.is_some_and(secret) {
            return Err(invalid(format!("`{}` is never returned, so a filter cannot ask for it", target.name())));
        }
        Ok(target)
    }
}

/// The target that a name inside `outer[…]` stands for.
fn element<'s>(path: &AttributePath, outer: Target<'s>) -> Result<Target<'s>> {
    let attribute = outer.attribute;
    if path.urn.is_some() || path.sub.is_some() {
        return Err(invalid(format!(
            "`{}`: inside {}[…] a name stands for a sub-attribute and takes no prefix",
            excerpt(path),
            attribute.name
        )));
    }
    // The values of a multi-valued attribute that is not complex are called `value` (RFC 7643 §2.4).
    if attribute.kind != Type::Complex && path.name.eq_ignore_ascii_case("value") {
        return Ok(outer);
    }
    match attribute.sub_attribute(&path.name) {
        Some(sub) => Ok(Target { sub: Some(sub), ..outer }),
        None => Err(invalid(no_sub_attribute(attribute, &path.name))),
    }
}

fn compare<'s>(target: Target<'s>, operator: Operator, literal: &Literal, compat: &mut Compat) -> Result<Checked<'s>> {
    match (literal, operator) {
        (Literal::Null, Operator::Eq) => return Ok(Checked::Not(Box::new(Checked::Present(target)))),
        (Literal::Null, Operator::Ne) => return Ok(Checked::Present(target)),
        (Literal::Null, _) => {
            let name = target.name();
            return Err(invalid(format!("`{name} {operator} null`: null has no order or parts; write {name} pr")));
        }
        _ => {}
    }
    let target = comparable(target)?;
    let operand = operand(target, operator, literal, compat)?;
    Ok(Checked::Compare { target, operator, operand })
}

/// A complex attribute is compared by its `value` (`emails eq "x"`, `members eq "id"`), where it has one.
fn comparable(target: Target<'_>) -> Result<Target<'_>> {
    let leaf = target.leaf();
    if leaf.kind != Type::Complex {
        return Ok(target);
    }
    if let (None, Some(value)) = (target.sub, leaf.sub_attribute("value")) {
        return Ok(Target { sub: Some(value), ..target });
    }
    let names: Vec<&str> = leaf.sub_attributes.iter().map(|a| a.name.as_ref()).collect();
    Err(invalid(format!("`{}` is complex; compare one of its sub-attributes: {}", target.name(), names.join(", "))))
}

fn operand(target: Target<'_>, operator: Operator, literal: &Literal, compat: &mut Compat) -> Result<Operand> {
    let leaf = target.leaf();
    // RFC 7644 §3.4.2.2: booleans and binary have neither order nor parts; numbers and instants have no parts.
    let allowed = match leaf.kind {
        Type::String | Type::Reference => true,
        Type::Integer | Type::Decimal | Type::DateTime => {
            !matches!(operator, Operator::Co | Operator::Sw | Operator::Ew)
        }
        Type::Boolean | Type::Binary | Type::Complex => matches!(operator, Operator::Eq | Operator::Ne),
    };
    if !allowed {
        let others = match leaf.kind {
            Type::Integer | Type::Decimal | Type::DateTime => "eq, ne, gt, ge, lt, le and pr",
            _ => "eq, ne and pr",
        };
        return Err(invalid(format!(
            "`{}` is {} and takes {others}, not `{operator}`",
            target.name(),
            described(leaf.kind)
        )));
    }
    let place = || format!("filter: `{} {operator} {literal}`", target.name());
    let mut tolerate = |tolerance| {
        compat.accept(tolerance, &place()).map_err(|error| ScimError { kind: ErrorKind::InvalidFilter, ..error })
    };
    match (leaf.kind, literal) {
        (Type::String | Type::Reference | Type::Binary, Literal::String(text)) => Ok(text_operand(leaf, text)),
        // An unquoted literal that happens to be a number: `employeeNumber eq 701984`.
        (Type::String | Type::Reference, Literal::Number(number)) if !number.is_f64() => {
            tolerate(Tolerance::UnquotedLiteral)?;
            Ok(text_operand(leaf, &number.to_string()))
        }
        (Type::Boolean, Literal::Boolean(boolean)) => Ok(Operand::Boolean(*boolean)),
        (Type::Boolean, Literal::String(text)) if text.eq_ignore_ascii_case("true") => {
            tolerate(Tolerance::BooleanString).map(|()| Operand::Boolean(true))
        }
        (Type::Boolean, Literal::String(text)) if text.eq_ignore_ascii_case("false") => {
            tolerate(Tolerance::BooleanString).map(|()| Operand::Boolean(false))
        }
        (Type::Integer | Type::Decimal, Literal::Number(number)) => Ok(Operand::Number(number.clone())),
        (Type::Integer | Type::Decimal, Literal::String(text)) => match serde_json::from_str(text.trim()) {
            Ok(number) => tolerate(Tolerance::NumberString).map(|()| Operand::Number(number)),
            Err(_) => Err(mismatch(target, operator, literal)),
        },
        (Type::DateTime, Literal::String(text)) => match datetime::parse(text) {
            Some(instant) => Ok(Operand::Instant(instant)),
            None => Err(mismatch(target, operator, literal)),
        },
        _ => Err(mismatch(target, operator, literal)),
    }
}

fn text_operand(leaf: &Attribute, text: &str) -> Operand {
    Operand::String(if leaf.folds_case() { fold_case(text).into_owned() } else { text.to_owned() })
}

fn mismatch(target: Target<'_>, operator: Operator, literal: &Literal) -> ScimError {
    let name = target.name();
    let literal = excerpt(literal);
    let form = match target.leaf().kind {
        Type::Boolean => "true or false",
        Type::Integer | Type::Decimal => "a number",
        Type::DateTime => "a dateTime in quotes: \"2026-01-31T12:00:00Z\"",
        _ => "text in double quotes",
    };
    invalid(format!(
        "`{name} {operator} {literal}`: `{name}` is {} and compares with {form}",
        described(target.leaf().kind)
    ))
}

fn described(kind: Type) -> &'static str {
    match kind {
        Type::String => "a string",
        Type::Boolean => "a boolean",
        Type::Decimal => "a decimal",
        Type::Integer => "an integer",
        Type::DateTime => "a dateTime",
        Type::Binary => "binary",
        Type::Reference => "a reference",
        Type::Complex => "complex",
    }
}

fn invalid(detail: String) -> ScimError {
    ScimError::new(ErrorKind::InvalidFilter, detail)
}

#[cfg(test)]
mod tests;
