//! Whether a resource satisfies a checked filter (RFC 7644 §3.4.2.2). Total: no input makes it fail.

use std::cmp::Ordering;
use std::slice;

use serde_json::{Number, Value};

use super::{Checked, Operand, Operator};
use crate::datetime;
use crate::resource::Object;
use crate::schema::{Attribute, Target, fold_case};

impl Checked<'_> {
    /// Whether the resource satisfies the filter. `view` is the complete resource under canonical names: `id`, `meta`,
    /// core attributes, extensions under their URNs, and members or groups where the filter mentions them.
    pub fn matches(&self, view: &Object) -> bool {
        self.holds(View::Resource(view))
    }

    /// Whether one value of a multi-valued attribute satisfies the filter in the brackets of `attribute[filter]`.
    pub fn matches_element(&self, element: &Value) -> bool {
        self.holds(View::Element(element))
    }

    fn holds(&self, view: View<'_>) -> bool {
        match self {
            Self::And(filters) => filters.iter().all(|filter| filter.holds(view)),
            Self::Or(filters) => filters.iter().any(|filter| filter.holds(view)),
            Self::Not(filter) => !filter.holds(view),
            Self::Present(target) => view.leaves(*target).any(|leaf| leaf.is_some_and(present)),
            Self::Compare { target, operator: Operator::Ne, operand } => {
                let mut leaves = view.leaves(*target).peekable();
                // Absent differs from everything; of several values one that differs is enough.
                leaves.peek().is_none() || leaves.any(|leaf| !test(leaf, Operator::Eq, operand, target.leaf()))
            }
            Self::Compare { target, operator, operand } => {
                view.leaves(*target).any(|leaf| test(leaf, *operator, operand, target.leaf()))
            }
            Self::Values { target, filter } => {
                view.attribute(*target).iter().any(|element| filter.matches_element(element))
            }
        }
    }
}

/// What a filter looks at.
#[derive(Clone, Copy)]
enum View<'v> {
    Resource(&'v Object),
    Element(&'v Value),
}

impl<'v> View<'v> {
    /// The values of the target's attribute; a single value as a list of one.
    fn attribute(self, target: Target<'_>) -> &'v [Value] {
        match self {
            Self::Element(element) => slice::from_ref(element),
            Self::Resource(view) => {
                let object = match target.extension {
                    Some(schema) => view.get(&*schema.id).and_then(Value::as_object),
                    None => Some(view),
                };
                values(object.and_then(|object| object.get(&*target.attribute.name)))
            }
        }
    }

    /// The values that the target's innermost name stands for; `None` for each value of the attribute that lacks the
    /// sub-attribute.
    fn leaves<'i>(self, target: Target<'i>) -> impl Iterator<Item = Option<&'v Value>> + use<'v, 'i> {
        self.attribute(target).iter().flat_map(move |value| {
            let leaves = match target.sub {
                None => slice::from_ref(value),
                Some(sub) => values(value.get(&*sub.name)),
            };
            let missing = leaves.is_empty().then_some(None);
            missing.into_iter().chain(leaves.iter().map(Some))
        })
    }
}

/// The values of an attribute. Null and the empty array are no values (RFC 7643 §2.5).
fn values(value: Option<&Value>) -> &[Value] {
    match value {
        None | Some(Value::Null) => &[],
        Some(Value::Array(values)) => values,
        Some(value) => slice::from_ref(value),
    }
}

/// Not empty: `pr` of a complex value asks for any sub-attribute with a value.
fn present(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(values) => values.iter().any(present),
        Value::Object(object) => object.values().any(present),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

fn test(leaf: Option<&Value>, operator: Operator, operand: &Operand, attribute: &Attribute) -> bool {
    let ordering = match (operand, leaf) {
        (Operand::String(want), Some(Value::String(text))) => {
            if attribute.folds_case() {
                return folded(operator, text, want);
            }
            return bytes(operator, text.as_bytes(), want.as_bytes());
        }
        (Operand::Boolean(want), Some(Value::Bool(value))) => Some(value.cmp(want)),
        (Operand::Number(want), Some(Value::Number(value))) => numbers(value, want),
        (Operand::Instant(want), Some(Value::String(text))) => datetime::parse(text).map(|instant| instant.cmp(want)),
        _ => None,
    };
    ordering.is_some_and(|ordering| ordered(operator, ordering))
}

fn ordered(operator: Operator, ordering: Ordering) -> bool {
    match operator {
        Operator::Eq => ordering.is_eq(),
        Operator::Ne => ordering.is_ne(),
        Operator::Gt => ordering.is_gt(),
        Operator::Ge => ordering.is_ge(),
        Operator::Lt => ordering.is_lt(),
        Operator::Le => ordering.is_le(),
        Operator::Co | Operator::Sw | Operator::Ew => false,
    }
}

/// Compare without regard to case; `want` is folded already. ASCII text, the rule, costs no allocation.
fn folded(operator: Operator, text: &str, want: &str) -> bool {
    if !text.is_ascii() {
        return bytes(operator, fold_case(text).as_bytes(), want.as_bytes());
    }
    let (text, want) = (text.as_bytes(), want.as_bytes());
    match operator {
        Operator::Eq => text.eq_ignore_ascii_case(want),
        Operator::Ne => !text.eq_ignore_ascii_case(want),
        Operator::Sw => text.get(..want.len()).is_some_and(|start| start.eq_ignore_ascii_case(want)),
        Operator::Ew => text.len().checked_sub(want.len()).is_some_and(|at| text[at..].eq_ignore_ascii_case(want)),
        Operator::Co => want.is_empty() || text.windows(want.len()).any(|part| part.eq_ignore_ascii_case(want)),
        operator => ordered(operator, text.iter().map(u8::to_ascii_lowercase).cmp(want.iter().copied())),
    }
}

/// Compare as it stands. The order of UTF-8 bytes is the order of code points.
fn bytes(operator: Operator, text: &[u8], want: &[u8]) -> bool {
    match operator {
        Operator::Sw => text.starts_with(want),
        Operator::Ew => text.ends_with(want),
        Operator::Co => want.is_empty() || text.windows(want.len()).any(|part| part == want),
        operator => ordered(operator, text.cmp(want)),
    }
}

/// The order of two JSON numbers, exact over all of u64, i64 and f64.
fn numbers(left: &Number, right: &Number) -> Option<Ordering> {
    match (left.as_i128(), right.as_i128()) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        (Some(left), None) => integer_to_float(left, right.as_f64()?),
        (None, Some(right)) => integer_to_float(right, left.as_f64()?).map(Ordering::reverse),
        (None, None) => left.as_f64()?.partial_cmp(&right.as_f64()?),
    }
}

/// Turning the integer into a float would lose digits beyond 2⁵³; the float's whole part loses none.
fn integer_to_float(integer: i128, float: f64) -> Option<Ordering> {
    const BEYOND_U64: f64 = 18_446_744_073_709_551_616.0;
    match float {
        _ if float.is_nan() => None,
        _ if float >= BEYOND_U64 => Some(Ordering::Less),
        _ if float <= -BEYOND_U64 => Some(Ordering::Greater),
        _ => {
            let whole = float.floor();
            // In range by the arms above, and whole.
            #[expect(clippy::cast_possible_truncation)]
            let ordering = integer.cmp(&(whole as i128));
            Some(ordering.then(if float > whole { Ordering::Less } else { Ordering::Equal }))
        }
    }
}

#[cfg(test)]
mod tests;
