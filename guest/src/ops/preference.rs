//! The `Prefer` header (RFC 7240).

use crate::http::Request;

/// What a client prefers to get back of a change (RFC 7240 §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Return {
    /// `return=minimal`
    Minimal,
    /// `return=representation`
    Representation,
}

impl Return {
    /// The first `return` of the request; another value than the two is passed over, as is any preference that a server
    /// doesn't know (§2).
    pub(super) fn of(request: &Request) -> Option<Self> {
        match preference(request, "return")?.as_str() {
            "minimal" => Some(Self::Minimal),
            "representation" => Some(Self::Representation),
            _ => None,
        }
    }

    /// The value of `Preference-Applied` (§3).
    pub(super) fn applied(self) -> &'static str {
        match self {
            Self::Minimal => "return=minimal",
            Self::Representation => "return=representation",
        }
    }
}

/// The value of the first preference called `name`, in any case; empty where it has none. `Prefer` may come several times.
pub(super) fn preference(request: &Request, name: &str) -> Option<String> {
    let fields = request.headers.iter().filter(|header| header.name.eq_ignore_ascii_case("prefer"));
    fields.flat_map(|header| header.value.split(',')).find_map(|preference| {
        let preference = preference.split(';').next().unwrap_or_default();
        let (token, value) = preference.split_once('=').unwrap_or((preference, ""));
        let named = token.trim().eq_ignore_ascii_case(name);
        named.then(|| value.trim().trim_matches('"').to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Header;

    fn check(fields: &[&str], expect: Option<Return>) {
        let headers = fields.iter().map(|value| Header::new("prefer", *value)).collect();
        assert_eq!(Return::of(&Request { headers, ..Request::default() }), expect, "{fields:?}");
    }

    #[test]
    fn returns() {
        check(&[], None);
        check(&["respond-async, wait=10"], None);
        check(&["return=minimal"], Some(Return::Minimal));
        check(&["Return = \"representation\"; foo=bar, wait=1"], Some(Return::Representation));
        check(&["wait=1", "return=minimal"], Some(Return::Minimal));
        check(&["return=minimal, return=representation"], Some(Return::Minimal));
        check(&["return=other"], None);
    }
}
