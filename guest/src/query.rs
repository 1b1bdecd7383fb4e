//! Query parameters of RFC 7644 §3.4.2 and §3.9, decoded.
//!
//! Architecture invariant: nothing here knows the schema; what a parameter means is decided where it is used.

mod search_request;

use crate::compat::{Compat, Tolerance};
use crate::error::{ErrorKind, Result, ScimError, excerpt};

/// `sortOrder` (RFC 7644 §3.4.2.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortOrder {
    /// Smallest value first.
    #[default]
    Ascending,
    /// Largest value first.
    Descending,
}

/// The parameters of one request. Unknown ones are passed over, and so are all after the first of a name; an empty one
/// counts as absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    filter: Option<String>,
    sort_by: Option<String>,
    sort_order: Option<String>,
    start_index: Option<String>,
    count: Option<String>,
    /// Empty for the first page: here, and only here, empty is not absent (RFC 9865 §2).
    cursor: Option<String>,
    attributes: Option<String>,
    excluded_attributes: Option<String>,
}

impl Query {
    /// Decodes what follows the `?` of a URL, without it. `+` stands for a space, as in forms.
    pub fn parse(text: &str, compat: &mut Compat) -> Result<Self> {
        let mut query = Self::default();
        let trimmed = text.trim_matches(['?', '&']);
        if trimmed != text || trimmed.contains("&&") {
            compat.accept(Tolerance::QueryForm, &format!("?{}", excerpt(text)))?;
        }
        for pair in trimmed.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Ok(name) = decode(name) else { continue };
            let Some((known, parameter)) = query.parameter(&name) else { continue };
            if parameter.is_some() {
                continue;
            }
            if name != known {
                compat.accept(Tolerance::QueryForm, known)?;
            }
            if value.contains('+') {
                compat.accept(Tolerance::PlusForSpace, known)?;
            }
            let value = decode(value).map_err(|problem| {
                ScimError::new(ErrorKind::InvalidValue, format!("{name}: {problem}; percent-encode the UTF-8 bytes"))
            })?;
            if !value.trim().is_empty() || name.eq_ignore_ascii_case("cursor") {
                *parameter = Some(value);
            }
        }
        Ok(query)
    }

    fn parameter(&mut self, name: &str) -> Option<(&'static str, &mut Option<String>)> {
        let parameters = [
            ("filter", &mut self.filter),
            ("sortBy", &mut self.sort_by),
            ("sortOrder", &mut self.sort_order),
            ("startIndex", &mut self.start_index),
            ("count", &mut self.count),
            ("cursor", &mut self.cursor),
            ("attributes", &mut self.attributes),
            ("excludedAttributes", &mut self.excluded_attributes),
        ];
        parameters.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name))
    }

    /// `filter`
    pub fn filter(&self) -> Option<&str> {
        self.filter.as_deref()
    }

    /// `sortBy`
    pub fn sort_by(&self) -> Option<&str> {
        self.sort_by.as_deref().map(str::trim)
    }

    /// `attributes`
    pub fn attributes(&self) -> Option<&str> {
        self.attributes.as_deref()
    }

    /// `excludedAttributes`
    pub fn excluded_attributes(&self) -> Option<&str> {
        self.excluded_attributes.as_deref()
    }

    /// `sortOrder`, ascending where absent; 400 invalidValue for what is neither.
    pub fn sort_order(&self) -> Result<SortOrder> {
        match self.sort_order.as_deref().map(str::trim) {
            None => Ok(SortOrder::Ascending),
            Some(order) if order.eq_ignore_ascii_case("ascending") => Ok(SortOrder::Ascending),
            Some(order) if order.eq_ignore_ascii_case("descending") => Ok(SortOrder::Descending),
            Some(order) => Err(ScimError::new(
                ErrorKind::InvalidValue,
                format!("sortOrder: expected ascending or descending, found {order:?}"),
            )),
        }
    }

    /// `startIndex`: at least 1, and 1 where absent (RFC 7644 §3.4.2.4).
    pub fn start_index(&self, compat: &mut Compat) -> Result<u64> {
        let start = integer("startIndex", self.start_index.as_deref(), compat)?;
        Ok(start.map_or(1, |start| start.max(1)))
    }

    /// `count`: a negative one means 0, and none is more than `most` (RFC 7644 §3.4.2.4).
    pub fn count(&self, default: usize, most: usize, compat: &mut Compat) -> Result<usize> {
        let count = integer("count", self.count.as_deref(), compat)?;
        Ok(count.map_or(default, |count| usize::try_from(count).unwrap_or(most)).min(most))
    }

    /// `count` beside a `cursor`, `None` where absent: a negative one means 0; 400 invalidCount for more than `most` and for
    /// what is no integer (RFC 9865 §2.1).
    pub fn cursor_count(&self, most: usize) -> Result<Option<usize>> {
        let Some(text) = self.count.as_deref() else { return Ok(None) };
        let count = integer_of(text).and_then(|count| usize::try_from(count).ok()).filter(|count| *count <= most);
        match count {
            Some(count) => Ok(Some(count)),
            None => Err(ScimError::new(
                ErrorKind::InvalidCount,
                format!("count: with a cursor it takes an integer from 0 to {most}, not {:?}", excerpt(text)),
            )),
        }
    }

    /// `cursor` (RFC 9865 §2); empty for the first page. 400 invalidValue beside `startIndex`: each asks for its own method
    /// of paging.
    pub fn cursor(&self) -> Result<Option<&str>> {
        match (self.cursor.as_deref(), &self.start_index) {
            (Some(_), Some(_)) => Err(ScimError::new(
                ErrorKind::InvalidValue,
                "startIndex and cursor exclude each other: one asks for pages by index, the other by cursor; send one of them",
            )),
            (cursor, _) => Ok(cursor.map(str::trim)),
        }
    }

    /// The parameters that decide which resources are found and in which order, as sent: a cursor holds for these only.
    pub fn selection(&self) -> [&str; 3] {
        [&self.filter, &self.sort_by, &self.sort_order].map(|parameter| parameter.as_deref().unwrap_or_default())
    }
}

/// A parameter of a request's target that no SCIM search has; `None` where it is absent or empty.
pub fn parameter(target: &str, name: &str) -> Result<Option<String>> {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let Some((_, value)) = pairs.find(|(key, _)| key.eq_ignore_ascii_case(name)) else { return Ok(None) };
    let value = decode(value).map_err(|problem| {
        ScimError::new(ErrorKind::InvalidValue, format!("{name}: {problem}; percent-encode the UTF-8 bytes"))
    })?;
    Ok(Some(value).filter(|value| !value.trim().is_empty()))
}

/// An integer, with what is negative as 0 and what is beyond 64 bits as the most there is.
fn integer(name: &str, text: Option<&str>, compat: &mut Compat) -> Result<Option<u64>> {
    let Some(text) = text else { return Ok(None) };
    let integer = integer_of(text);
    if integer.is_none() {
        compat.accept(Tolerance::BadPageNumber, name)?;
    }
    Ok(integer)
}

fn integer_of(text: &str) -> Option<u64> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(if negative { 0 } else { digits.parse().unwrap_or(u64::MAX) })
}

/// `application/x-www-form-urlencoded` text to a string; what is wrong with it otherwise.
fn decode(text: &str) -> Result<String, String> {
    if text.contains('+') { percent_decode(&text.replace('+', " ")) } else { percent_decode(text) }
}

/// Percent-encoded text (RFC 3986 §2.1) to a string; what is wrong with it otherwise.
pub(crate) fn percent_decode(text: &str) -> Result<String, String> {
    if !text.contains('%') {
        return Ok(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match first {
            b'%' => {
                let [high, low, tail @ ..] = tail else { return Err(incomplete(text)) };
                let (Some(high), Some(low)) = (hex(*high), hex(*low)) else { return Err(incomplete(text)) };
                bytes.push(high << 4 | low);
                rest = tail;
            }
            byte => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).map_err(|_| "its percent-encoded bytes are not UTF-8".to_owned())
}

fn incomplete(text: &str) -> String {
    let start: String = text.chars().take(40).collect();
    format!("a % without two hexadecimal digits after it in {start:?} (a literal % is written %25)")
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{DEFAULT_PAGE, MAX_PAGE};

    fn parse(text: &str) -> Query {
        Query::parse(text, &mut Compat::default()).expect("must parse")
    }

    fn check_filter(text: &str, expect: Option<&str>) {
        assert_eq!(parse(text).filter(), expect, "{text}");
    }

    fn check_page(text: &str, expect: (u64, usize)) {
        let (query, mut compat) = (parse(text), Compat::default());
        let page = (query.start_index(&mut compat).unwrap(), query.count(DEFAULT_PAGE, MAX_PAGE, &mut compat).unwrap());
        assert_eq!(page, expect, "{text}");
    }

    fn reject(text: &str, detail: &str) {
        let error = Query::parse(text, &mut Compat::default()).expect_err("must be refused");
        assert_eq!((error.kind, error.detail.as_str()), (ErrorKind::InvalidValue, detail));
    }

    #[test]
    fn decodes() {
        check_filter("", None);
        check_filter("filter=userName%20eq%20%22a%40b.com%22", Some("userName eq \"a@b.com\""));
        check_filter("filter=userName+eq+%22a%2Bb%22", Some("userName eq \"a+b\""));
        check_filter("filter=userName%20eq%20%22%C3%A9%22", Some("userName eq \"é\""));
        check_filter("filter=userName eq \"é\"", Some("userName eq \"é\""));
        check_filter("filter=a=b", Some("a=b"));
        check_filter("FILTER=x", Some("x"));
        check_filter("f%69lter=x", Some("x"));
    }

    #[test]
    fn passes_over_what_is_not_ours() {
        check_filter("aadOptscim062020&filter=x", Some("x"));
        check_filter("filter=x&aadOptscim062020=%ZZ&%ZZ=1", Some("x"));
        check_filter("&&filter=x&", Some("x"));
        check_filter("filter=x&?", Some("x"));
        check_filter("filter=x?", Some("x"));
        check_filter("filter=x?&count=1", Some("x?"));
        check_filter("?filter=x", Some("x"));
        check_filter("?", None);
        check_filter("filter=&count=1", None);
        check_filter("filter=+", None);
        check_filter("filter", None);
        check_filter("filter=a&filter=b", Some("a"));
    }

    #[test]
    fn refuses_bad_encoding() {
        reject(
            "filter=a%2",
            "filter: a % without two hexadecimal digits after it in \"a%2\" (a literal % is written %25); \
             percent-encode the UTF-8 bytes",
        );
        reject(
            "sortBy=a%zz",
            "sortBy: a % without two hexadecimal digits after it in \"a%zz\" (a literal % is written %25); \
             percent-encode the UTF-8 bytes",
        );
        reject("filter=%ff%fe", "filter: its percent-encoded bytes are not UTF-8; percent-encode the UTF-8 bytes");
    }

    #[test]
    fn pages() {
        check_page("", (1, DEFAULT_PAGE));
        check_page("startIndex=1&count=2", (1, 2));
        check_page("startIndex=0&count=0", (1, 0));
        check_page("startIndex=-5&count=-1", (1, 0));
        check_page("startIndex=11&count=100000", (11, MAX_PAGE));
        check_page("startIndex=99999999999999999999999&count=99999999999999999999999", (u64::MAX, MAX_PAGE));
        check_page("startIndex=one&count=2.5", (1, DEFAULT_PAGE));
        check_page("startIndex=+3&count=%2B4", (3, 4));
    }

    #[test]
    fn strict_profile_refuses_bad_page_numbers() {
        let mut compat = Compat::refusing([Tolerance::BadPageNumber]);
        let error = parse("count=ten").count(DEFAULT_PAGE, MAX_PAGE, &mut compat).expect_err("must be refused");
        assert_eq!(error.detail, "count: the tolerance `bad-page-number` is off; startIndex and count take integers");
    }

    #[test]
    fn cursors() {
        assert_eq!(parse("count=1").cursor(), Ok(None));
        assert_eq!(parse("cursor&count=10").cursor(), Ok(Some("")));
        assert_eq!(parse("cursor=&cursor=b").cursor(), Ok(Some("")));
        assert_eq!(parse("Cursor=aB-_").cursor(), Ok(Some("aB-_")));
        let both = parse("cursor=&startIndex=1").cursor().expect_err("must be refused");
        assert_eq!(both.kind, ErrorKind::InvalidValue);
        let count = |text| parse(text).cursor_count(MAX_PAGE).map_err(|error| error.kind);
        assert_eq!(count("cursor"), Ok(None));
        assert_eq!(count("cursor&count=-3"), Ok(Some(0)));
        assert_eq!(count("cursor&count=1000"), Ok(Some(1000)));
        assert_eq!(count("cursor&count=1001"), Err(ErrorKind::InvalidCount));
        assert_eq!(count("cursor&count=99999999999999999999999"), Err(ErrorKind::InvalidCount));
        assert_eq!(count("cursor&count=ten"), Err(ErrorKind::InvalidCount));
    }

    #[test]
    fn sorts() {
        assert_eq!(parse("sortBy=userName").sort_order(), Ok(SortOrder::Ascending));
        assert_eq!(parse("sortOrder=Descending").sort_order(), Ok(SortOrder::Descending));
        assert_eq!(parse("sortOrder=ascending").sort_order(), Ok(SortOrder::Ascending));
        let error = parse("sortOrder=desc").sort_order().expect_err("must be refused");
        assert_eq!(error.detail, "sortOrder: expected ascending or descending, found \"desc\"");
        assert_eq!(parse("sortBy=name.familyName%20").sort_by(), Some("name.familyName"));
    }

    #[test]
    fn parameters_of_their_own() {
        let of = |target| parameter(target, "resourceType").map_err(|error| error.kind);
        assert_eq!(of("/admin/explain?filter=x&resourcetype=a%20b"), Ok(Some("a b".to_owned())));
        assert_eq!(of("/admin/explain?resourceType="), Ok(None));
        assert_eq!(of("/admin/explain"), Ok(None));
        assert_eq!(of("/admin/explain?resourceType=%2"), Err(ErrorKind::InvalidValue));
    }

    #[test]
    fn attribute_lists() {
        let query = parse("attributes=userName,emails&excludedAttributes=members");
        assert_eq!((query.attributes(), query.excluded_attributes()), (Some("userName,emails"), Some("members")));
    }
}
