//! What a page may cost.

use super::*;
use crate::compat::Compat;
use crate::error::{ErrorKind, Result};
use crate::host::{AuthError, Change, Credentials, Principal, Refusal};
use crate::http::Request;
use crate::ops::Context;
use crate::query::Query;
use crate::resource::{Object, Resource};
use crate::schema::REGISTRY;
use crate::store::ahead::Ahead;
use crate::store::memory::Memory;
use crate::store::{Mode, StoreError, transact};
use crate::tenant::Tenant;

struct Nobody;

impl Host for Nobody {
    type Store = Memory;

    fn authenticate(&self, _credentials: &Credentials) -> std::result::Result<Principal, AuthError> {
        Err(AuthError::Unauthenticated)
    }

    fn open(&self, _tenant: &str) -> std::result::Result<Memory, StoreError> {
        Err(StoreError::AccessDenied)
    }

    fn review(&self, _change: &Change) -> std::result::Result<(), Refusal> {
        Ok(())
    }

    fn now(&self) -> u64 {
        0
    }

    fn random(&self) -> [u8; 16] {
        [0; 16]
    }
}

fn user() -> &'static ResourceType {
    REGISTRY.by_name("User").unwrap()
}

/// Ten users, `u0` to `u9`, of which those with an even number have a title.
fn ten() -> Memory {
    let store = Memory::default();
    for i in 0..10 {
        let mut attributes = Object::from_iter([("userName".to_owned(), format!("u{i}").into())]);
        if i % 2 == 0 {
            attributes.insert("title".to_owned(), format!("t{}", 9 - i).into());
        }
        let new = Resource { id: format!("id-{i}"), attributes, created: 0, modified: 0, revision: 1 };
        transact(&store, Mode::Commit, |txn| repo::write(txn, user(), None, &new)).unwrap();
    }
    store
}

fn page(store: &Memory, filter: &str, sort: Option<&str>, window: &Window, budget: Budget) -> Result<Selection> {
    let tenant = Tenant::load(store).unwrap();
    let request = Request::default();
    let ctx = Context {
        host: &Nobody,
        store: store.clone(),
        ahead: Ahead::default(),
        principal: Principal::default(),
        tenant: &tenant,
        request: &request,
        query: Query::default(),
        compat: Compat::default(),
        now: 0,
        mode: Mode::Commit,
    };
    let compat = &mut Compat::default();
    let filter = filter::check(&filter::parse(filter, compat)?, user(), compat)?;
    let sort = sort.map(|by| Sort::across(user(), &[user()], by, compat)).transpose()?.flatten();
    let order = sort.is_some().then_some(SortOrder::Ascending);
    let scope = Scope { resource_type: user(), filter: Some(filter), sort, projection: Projection::default_of(user()) };
    select(&Search::new(&ctx, budget), &[scope], order, window)
}

fn ids(selection: &Selection) -> Vec<&str> {
    selection.page.iter().map(|(_, stored)| stored.id()).collect()
}

fn check_kind(found: Result<Selection>, expect: &ErrorKind) {
    assert_eq!(&found.map(|_| ()).unwrap_err().kind, expect);
}

const INDEX: Window = Window::Index { skip: 0, count: 3 };
const FIRST: Window = Window::Cursor { after: None, count: 3, total: None };

fn budget(examined: u64, held: usize) -> Budget {
    Budget { examined, held, ..Budget::default() }
}

#[test]
fn a_page_by_index_costs_no_more_than_the_budget() {
    let store = ten();
    let found = page(&store, "title pr", None, &INDEX, budget(10, 10)).unwrap();
    assert_eq!((ids(&found), found.total), (vec!["id-0", "id-2", "id-4"], Some(5)));
    check_kind(page(&store, "title pr", None, &INDEX, budget(9, 10)), &ErrorKind::TooMany);
    check_kind(page(&store, "title pr", Some("title"), &INDEX, budget(9, 10)), &ErrorKind::TooMany);
    // What an index leads to costs what it finds.
    let found = page(&store, "userName eq \"U7\"", None, &INDEX, budget(1, 10)).unwrap();
    assert_eq!((ids(&found), found.total), (vec!["id-7"], Some(1)));
}

#[test]
fn a_sorted_page_holds_no_more_keys_than_the_budget() {
    let store = ten();
    let found = page(&store, "title pr", Some("title"), &INDEX, budget(10, 3)).unwrap();
    assert_eq!((ids(&found), found.total), (vec!["id-8", "id-6", "id-4"], Some(5)));
    let deep = Window::Index { skip: 1, count: 3 };
    check_kind(page(&store, "title pr", Some("title"), &deep, budget(10, 3)), &ErrorKind::TooMany);
    let found = page(&store, "title pr", Some("title"), &FIRST, budget(10, 4)).unwrap();
    let next = Window::Cursor { after: found.next, count: 3, total: None };
    let found = page(&store, "title pr", Some("title"), &next, budget(10, 4)).unwrap();
    assert_eq!((ids(&found), found.total, &found.next), (vec!["id-2", "id-0"], Some(5), &None));
}

#[test]
fn a_page_by_cursor_ends_early_and_the_next_goes_on() {
    let store = ten();
    for examined in 1..12 {
        for count in 1..7 {
            let (mut after, mut all) = (None, Vec::new());
            loop {
                let window = Window::Cursor { after, count, total: None };
                let found = page(&store, "title pr", None, &window, budget(examined, 10)).unwrap();
                assert!(found.page.len() <= count);
                all.extend(ids(&found).into_iter().map(str::to_owned));
                after = found.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(all, ["id-0", "id-2", "id-4", "id-6", "id-8"], "{examined} {count}");
        }
    }
}

#[test]
fn totals_are_counted_once_and_carried() {
    let store = ten();
    let found = page(&store, "title pr", None, &FIRST, Budget::default()).unwrap();
    assert_eq!(found.total, Some(5));
    let next = Window::Cursor { after: found.next, count: 3, total: found.total };
    let found = page(&store, "title pr", None, &next, Budget::default()).unwrap();
    assert_eq!((ids(&found), found.total, &found.next), (vec!["id-6", "id-8"], Some(5), &None));
}
