//! A checked filter as text, for whoever is to see what was made of the one that they wrote.

use std::fmt;

use serde_json::Value;

use super::{Checked, Operand};
use crate::datetime;
use crate::schema::Target;

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // JSON's own quoting and escapes.
            Self::String(text) => write!(f, "{}", Value::from(text.as_str())),
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Instant(nanoseconds) => write!(f, "\"{}\"", datetime::format_instant(*nanoseconds)),
        }
    }
}

impl fmt::Display for Checked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(self, f, &|target| target.name())
    }
}

fn show(term: &Checked<'_>, f: &mut fmt::Formatter<'_>, name: &dyn Fn(&Target<'_>) -> String) -> fmt::Result {
    match term {
        Checked::And(terms) => joined(terms, " and ", f, name),
        Checked::Or(terms) => joined(terms, " or ", f, name),
        Checked::Not(term) => {
            f.write_str("not (")?;
            show(term, f, name)?;
            f.write_str(")")
        }
        Checked::Compare { target, operator, operand } => write!(f, "{} {operator} {operand}", name(target)),
        Checked::Present(target) => write!(f, "{} pr", name(target)),
        Checked::Values { target, filter } => {
            write!(f, "{}[", name(target))?;
            // In brackets, a name stands for a sub-attribute, and `value` for the value itself.
            show(filter, f, &|target| target.sub.map_or("value", |sub| sub.name.as_ref()).to_owned())?;
            f.write_str("]")
        }
    }
}

fn joined(
    terms: &[Checked<'_>],
    word: &str,
    f: &mut fmt::Formatter<'_>,
    name: &dyn Fn(&Target<'_>) -> String,
) -> fmt::Result {
    for (i, term) in terms.iter().enumerate() {
        if i > 0 {
            f.write_str(word)?;
        }
        match term {
            Checked::And(_) | Checked::Or(_) => {
                f.write_str("(")?;
                show(term, f, name)?;
                f.write_str(")")?;
            }
            term => show(term, f, name)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::compat::Compat;
    use crate::filter::{check, parse};
    use crate::schema::REGISTRY;

    fn check_text(text: &str, expect: &str) {
        let compat = &mut Compat::default();
        let user = REGISTRY.by_name("User").expect("built in");
        let shown = check(&parse(text, compat).expect("parses"), user, compat).expect("fits").to_string();
        assert_eq!(shown, expect);
        let again = check(&parse(&shown, compat).expect("parses"), user, compat).expect("fits");
        assert_eq!(again.to_string(), expect);
    }

    #[test]
    fn what_is_shown_means_the_same() {
        check_text("USERNAME eq \"A\\\"b\"", "userName eq \"a\\\"b\"");
        check_text(
            "(active eq true or not (title pr)) and emails[type eq \"work\" and value sw \"a\"]",
            "(active eq true or not (title pr)) and emails[type eq \"work\" and value sw \"a\"]",
        );
        check_text(
            "meta.lastModified gt \"2026-01-01T01:00:00+01:00\"",
            "meta.lastModified gt \"2026-01-01T00:00:00.000Z\"",
        );
    }
}
