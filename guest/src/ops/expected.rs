//! What a request is going to read first, as far as its method and URL tell: so that one call of the store brings it together
//! with the tenant's configuration. A guess by the built-in types, which keep their keys whatever the tenant has configured: what
//! is guessed wrongly was read for nothing, and changes no answer.

use std::borrow::Cow;

use crate::compat::Compat;
use crate::filter::Operator;
use crate::http::Request;
use crate::limits;
use crate::query::Query;
use crate::schema::order::{self, Span};
use crate::schema::{REGISTRY, ResourceType, Source, Type, fold_case};
use crate::store::{Key, KeyRange, keys, memberships, repo};

/// Keys, and the start of a range with what its entries lead to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Expected {
    pub keys: Vec<Key>,
    pub range: Option<(KeyRange, u32)>,
    pub follow: Vec<Key>,
}

impl Expected {
    /// For this request.
    pub(crate) fn of(request: &Request) -> Self {
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let (endpoint, id) = path.strip_prefix('/').unwrap_or_default().split_once('/').unzip();
        let endpoint = endpoint.unwrap_or_else(|| path.trim_start_matches('/'));
        let Some(ty) = REGISTRY.by_endpoint(endpoint) else { return Self::default() };
        match (request.method.as_str(), id) {
            ("GET" | "HEAD", None) => Self::of_search(ty, query).unwrap_or_default(),
            ("GET" | "HEAD", Some(id)) => Self::of_resource(ty, id, true),
            ("PUT" | "PATCH", Some(id)) => Self::of_resource(ty, id, true).and(keys::marked()),
            ("POST", None) => Self::default().and(keys::marked()),
            // Whether there is something to sweep is asked afterwards: it may be what this one leaves.
            ("DELETE", Some(id)) => Self::of_resource(ty, id, false),
            _ => Self::default(),
        }
    }

    fn and(mut self, key: Key) -> Self {
        self.keys.push(key);
        self
    }

    /// The document with what is kept beside it, and what it is a member of where it is going to be shown.
    fn of_resource(ty: &ResourceType, id: &str, shown: bool) -> Self {
        if !keys::is_id(id) || id.contains(['/', '%']) {
            return Self::default();
        }
        let mut expected = Self { keys: repo::peeked(ty, id), ..Self::default() };
        if shown && ty.attribute_from(Source::Memberships).is_some() {
            expected.range = Some((keys::memberships(id), memberships::FIRST));
            expected.follow = keys::of_holders().into();
        }
        expected
    }

    /// What leads to the resources with one value, for which identity providers ask before they create or change anything:
    /// `userName eq "…"`, `externalId eq "…"`.
    fn of_search(ty: &ResourceType, query: &str) -> Option<Self> {
        let query = Query::parse(query, &mut Compat::default()).ok()?;
        let (name, rest) = query.filter()?.trim().split_once(' ')?;
        let (operator, literal) = rest.trim_start().split_once(' ')?;
        let value: String = serde_json::from_str(literal.trim()).ok()?;
        let target = ty.resolve(None, name, None)?;
        let leaf = target.leaf();
        if Operator::from_word(operator)? != Operator::Eq || leaf.kind != Type::String {
            return None;
        }
        let value = if leaf.folds_case() { fold_case(&value) } else { Cow::Borrowed(value.as_str()) };
        if target.is_unique() && value.len() <= limits::UNIQUE_VALUE_BYTES {
            return Some(Self { keys: vec![keys::unique(ty, &target, &value)], ..Self::default() });
        }
        let alone = ty.serves(leaf) && order::is_whole(&value);
        alone.then(|| {
            let range = keys::index_span(ty, &target, &Span::Equal(value));
            Self { range: Some((range, limits::HOLDERS_AHEAD)), ..Self::default() }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::{self, Access};

    fn get(target: &str) -> Expected {
        Expected::of(&Request { method: "GET".into(), target: target.into(), ..Request::default() })
    }

    /// The only way of the plan that the search itself makes.
    fn planned(filter: &str) -> Expected {
        let ty = REGISTRY.by_endpoint("Users").unwrap();
        let filter = filter::parse(filter, &mut Compat::default()).unwrap();
        let checked = filter::check(&filter, ty, &mut Compat::default()).unwrap();
        let plan = filter::plan(&checked, ty);
        match plan.ways[0].paths.as_slice() {
            [Access::Unique(target, value)] => {
                Expected { keys: vec![keys::unique(ty, target, value)], ..Expected::default() }
            }
            [Access::Index(target, span)] => {
                let range = Some((keys::index_span(ty, target, span), limits::HOLDERS_AHEAD));
                Expected { range, ..Expected::default() }
            }
            paths => panic!("{paths:?}"),
        }
    }

    #[test]
    fn a_search_for_one_value_expects_the_keys_that_its_plan_reads() {
        for filter in
            ["userName eq \"Ann\"", "USERNAME  Eq  \"stra\\u00dfe\" ", "externalId eq \"A-1\"", "externalid eq \"\""]
        {
            let url = filter.replace(' ', "%20").replace('"', "%22").replace('\\', "%5C");
            assert_eq!(get(&format!("/Users?count=1&filter={url}")), planned(filter), "{filter}");
        }
    }

    #[test]
    fn other_searches_expect_nothing() {
        for filter in [
            "userName%20eq%20%22a%22%20and%20active%20eq%20true",
            "userName%20sw%20%22a%22",
            "nope",
            "id%20eq%20%22a%22",
        ] {
            assert_eq!(get(&format!("/Users?filter={filter}")), Expected::default(), "{filter}");
        }
        assert_eq!(get("/Users"), Expected::default());
        assert_eq!(get("/Nothing?filter=userName%20eq%20%22a%22"), Expected::default());
    }
}
