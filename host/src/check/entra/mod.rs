//! Microsoft Entra ID: spaces as `+`, operations in capitals, booleans as strings, members removed by value.

pub(super) mod groups;
pub(super) mod users;

use super::exchange::{Answer, Made, Stop};
use super::session::Session;
use crate::command::encoded;

/// A search as Entra ID writes it: spaces as `+`.
fn look_up(s: &mut Session, endpoint: &str, filter: &str, more: &str) -> Result<Answer, Stop> {
    let filter = encoded(filter).replace("%20", "+");
    s.get(&format!("{endpoint}?filter={filter}{more}"))
}

/// Looks for the user who is to be matched.
fn matched(s: &mut Session, attribute: &str, value: &str, expected: &[&Made]) -> Result<(), Stop> {
    look_up(s, "/Users", &format!("{attribute} eq \"{value}\""), "")?.found(expected)?;
    Ok(())
}
