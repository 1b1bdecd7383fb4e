//! Every storage backend keeps the contract, and behaves as a naive model does under random operations.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
#[cfg(feature = "postgres")]
use scimwell::storage::Postgres;
#[cfg(feature = "redb")]
use scimwell::storage::Redb;
use scimwell::storage::{
    Check, Entry, Key, KeyRange, Leads, Memory, Mutation, Outcome, Reading, ScanOptions, Storage, StoreError, Value,
    contract,
};

#[cfg(all(feature = "postgres", unix))]
#[path = "../../tests/src/postgres.rs"]
#[expect(dead_code, unreachable_pub, reason = "the crate of the black-box tests uses all of it")]
mod database;

#[track_caller]
fn check_contract(storage: impl Storage) {
    check_contract_in(&runtime(), storage);
}

#[track_caller]
fn check_contract_in(runtime: &tokio::runtime::Runtime, storage: impl Storage) {
    let storage: Arc<dyn Storage> = Arc::new(storage);
    let violations = runtime.block_on(contract::check(&storage));
    let lines: Vec<String> = violations.iter().map(ToString::to_string).collect();
    assert!(
        lines.is_empty(),
        "{} of {} clauses broken:\n{}",
        lines.len(),
        contract::clauses().count(),
        lines.join("\n")
    );
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap()
}

#[test]
fn memory_keeps_the_contract() {
    check_contract(Memory::new());
}

#[cfg(feature = "redb")]
#[test]
fn redb_keeps_the_contract() {
    let directory = tempfile::tempdir().unwrap();
    check_contract(Redb::open(directory.path()).unwrap());
    // Once more over what the first run left, with the sequence numbers it had got to.
    check_contract(Redb::open(directory.path()).unwrap());
}

#[cfg(all(feature = "postgres", unix))]
#[test]
fn postgres_keeps_the_contract() {
    let server = database::PostgresServer::shared();
    let url = server.database();
    let connect = async || Postgres::connect(&url.parse().unwrap()).await.unwrap();
    let runtime = runtime();
    check_contract_in(&runtime, runtime.block_on(connect()));
    // Once more over what the first run left, through other connections.
    check_contract_in(&runtime, runtime.block_on(connect()));
}

/// The same through several hosts on one database, call by call another one.
#[cfg(all(feature = "postgres", unix))]
#[test]
fn several_hosts_on_one_database_keep_the_contract() {
    struct Hosts(Vec<Postgres>, std::sync::atomic::AtomicUsize);
    impl Hosts {
        fn any(&self) -> &Postgres {
            &self.0[self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % self.0.len()]
        }
    }
    #[async_trait::async_trait]
    impl Storage for Hosts {
        async fn get(&self, tenant: &str, keys: &[Key]) -> Result<Vec<Option<Value>>, StoreError> {
            self.any().get(tenant, keys).await
        }
        async fn scan(&self, tenant: &str, range: &KeyRange, options: ScanOptions) -> Result<Vec<Entry>, StoreError> {
            self.any().scan(tenant, range, options).await
        }
        async fn count(&self, tenant: &str, range: &KeyRange) -> Result<u64, StoreError> {
            self.any().count(tenant, range).await
        }
        async fn commit(&self, tenant: &str, checks: Vec<Check>, put: Vec<Mutation>) -> Result<Outcome, StoreError> {
            self.any().commit(tenant, checks, put).await
        }
    }
    let server = database::PostgresServer::shared();
    let options = server.database().parse().unwrap();
    let runtime = runtime();
    // All of them start at once, and find no tables.
    let hosts = runtime.block_on(async {
        let starts: Vec<_> = (0..4)
            .map(|_| {
                let options: scimwell::storage::postgres::Options = Clone::clone(&options);
                tokio::spawn(async move { Postgres::connect(&options).await.unwrap() })
            })
            .collect();
        let mut hosts = Vec::new();
        for start in starts {
            hosts.push(start.await.unwrap());
        }
        hosts
    });
    check_contract_in(&runtime, Hosts(hosts, 0.into()));
}

/// A backend that ignores checks must be caught, or the suite is worth nothing.
#[test]
fn contract_catches_a_backend_that_ignores_checks() {
    struct Careless(Memory);
    #[async_trait::async_trait]
    impl Storage for Careless {
        async fn get(&self, tenant: &str, keys: &[Key]) -> Result<Vec<Option<Value>>, StoreError> {
            self.0.get(tenant, keys).await
        }
        async fn scan(&self, tenant: &str, range: &KeyRange, options: ScanOptions) -> Result<Vec<Entry>, StoreError> {
            self.0.scan(tenant, range, options).await
        }
        async fn count(&self, tenant: &str, range: &KeyRange) -> Result<u64, StoreError> {
            self.0.count(tenant, range).await
        }
        async fn commit(&self, tenant: &str, _: Vec<Check>, mutations: Vec<Mutation>) -> Result<Outcome, StoreError> {
            self.0.commit(tenant, vec![], mutations).await
        }
    }
    let storage: Arc<dyn Storage> = Arc::new(Careless(Memory::new()));
    // One thread, so that the tasks of a race take turns wherever they wait: the outcome is the same every time.
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let broken: Vec<&str> = runtime.block_on(contract::check(&storage)).iter().map(|v| v.clause).collect();
    let expect = ["checks", "conflict-leaves-nothing", "append", "limits", "create-race", "no-lost-update"];
    assert_eq!(broken, expect);
}

#[cfg(feature = "redb")]
#[test]
fn second_process_is_told_that_the_file_is_in_use() {
    let directory = tempfile::tempdir().unwrap();
    let first = Redb::open(&directory.path().join("new/data")).unwrap();
    let second = Redb::open(&directory.path().join("new/data")).unwrap_err();
    assert!(matches!(second, StoreError::InUse(_)), "{second:?}");
    let why = second.to_string();
    assert!(
        why.ends_with(
            "scimwell.redb: another process has this database open; stop that one or use another data directory"
        ),
        "{why}"
    );
    drop(first);
    Redb::open(&directory.path().join("new/data")).unwrap();
}

#[cfg(feature = "redb")]
#[test]
fn what_is_no_database_is_named() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("scimwell.redb"), [b'x'; 10_000]).unwrap();
    let StoreError::Unavailable(why) = Redb::open(directory.path()).unwrap_err() else { panic!() };
    assert!(why.contains("scimwell.redb: "), "{why}");
}

/// Commits that were accepted are finished, though nobody waits for them any more.
#[cfg(feature = "redb")]
#[test]
fn dropping_the_store_finishes_what_it_accepted() {
    let directory = tempfile::tempdir().unwrap();
    let runtime = runtime();
    let storage = Redb::open(directory.path()).unwrap();
    runtime.block_on(async {
        for n in 0..100_u8 {
            let mut commit = Box::pin(storage.commit("t", vec![], vec![Mutation::Put(vec![n], vec![n])]));
            // One poll hands the commit over; then its caller goes away.
            let _ = poll_once(&mut commit).await;
        }
    });
    drop(storage);
    let storage = Redb::open(directory.path()).unwrap();
    let range = KeyRange { start: vec![], end: vec![255] };
    assert_eq!(runtime.block_on(storage.count("t", &range)), Ok(100));
}

#[cfg(feature = "redb")]
async fn poll_once<F: Future + Unpin>(future: &mut F) -> bool {
    std::future::poll_fn(|context| std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(context).is_ready()))
        .await
}

/// One commit, or a read of everything, on a small key space so that operations meet.
#[derive(Clone, Debug)]
enum Step {
    Commit { tenant: usize, checks: Vec<(Key, Guess)>, mutations: Vec<Mutation> },
    Scan { tenant: usize, range: KeyRange, options: ScanOptions },
    Reopen,
}

/// What a check expects: what is there, nothing, or some value.
#[derive(Clone, Debug)]
enum Guess {
    Right,
    Absent,
    Value(Value),
}

const TENANTS: [&str; 3] = ["", "t", "t-"];

fn key() -> impl Strategy<Value = Key> {
    prop::collection::vec(prop::sample::select(vec![0_u8, b'a', b'b', 255]), 0..3)
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => prop::collection::vec(any::<u8>(), 0..4),
        2 => any::<i64>().prop_map(|n| n.to_le_bytes().to_vec()),
        1 => (0..6000_usize).prop_map(|n| vec![7; n]),
    ]
}

fn range() -> impl Strategy<Value = KeyRange> {
    (key(), key()).prop_map(|(start, end)| KeyRange { start, end })
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        4 => (key(), value()).prop_map(|(key, value)| Mutation::Put(key, value)),
        2 => key().prop_map(Mutation::Delete),
        1 => range().prop_map(Mutation::DeleteRange),
        2 => (key(), any::<i64>()).prop_map(|(key, by)| Mutation::Add(key, by)),
        2 => (key(), value()).prop_map(|(prefix, value)| Mutation::Append(prefix, value)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let guess = prop_oneof![6 => Just(Guess::Right), 1 => Just(Guess::Absent), 1 => value().prop_map(Guess::Value)];
    let checks = prop::collection::vec((key(), guess), 0..3);
    let options = (any::<bool>(), any::<bool>(), 0..4_u64, 0..6_u32)
        .prop_map(|(reverse, keys_only, skip, limit)| ScanOptions { reverse, keys_only, skip, limit });
    prop_oneof![
        6 => (0..TENANTS.len(), checks, prop::collection::vec(mutation(), 0..6))
            .prop_map(|(tenant, checks, mutations)| Step::Commit { tenant, checks, mutations }),
        3 => (0..TENANTS.len(), range(), options).prop_map(|(tenant, range, options)| Step::Scan { tenant, range, options }),
        1 => Just(Step::Reopen),
    ]
}

/// The contract in its plainest form: a sorted list, copied before each commit.
#[derive(Clone, Default)]
struct Model {
    entries: BTreeMap<Key, Value>,
    appended: u64,
}

impl Model {
    /// The state after the mutations, or `None` where one of them fails.
    fn after(&self, mutations: &[Mutation]) -> Option<Self> {
        let mut next = self.clone();
        for mutation in mutations {
            match mutation {
                Mutation::Put(key, value) => drop(next.entries.insert(key.clone(), value.clone())),
                Mutation::Delete(key) => drop(next.entries.remove(key)),
                Mutation::DeleteRange(range) => {
                    next.entries.retain(|key, _| !(range.start <= *key && *key < range.end));
                }
                Mutation::Add(key, by) => {
                    let before =
                        next.entries.get(key).map_or(Some(0), |v| Some(i64::from_le_bytes(v[..].try_into().ok()?)))?;
                    next.entries.insert(key.clone(), before.wrapping_add(*by).to_le_bytes().to_vec());
                }
                Mutation::Append(prefix, value) => {
                    next.appended += 1;
                    next.entries.insert([&prefix[..], &next.appended.to_be_bytes()].concat(), value.clone());
                }
            }
        }
        Some(next)
    }

    fn scan(&self, range: &KeyRange, options: ScanOptions) -> Vec<Entry> {
        let mut found: Vec<Entry> = (self.entries.iter())
            .filter(|(key, _)| range.start <= **key && **key < range.end)
            .map(|(key, value)| Entry {
                key: key.clone(),
                value: if options.keys_only { vec![] } else { value.clone() },
            })
            .collect();
        if options.reverse {
            found.reverse();
        }
        let skip = usize::try_from(options.skip).unwrap();
        found.into_iter().skip(skip).take(options.limit as usize).collect()
    }
}

/// Runs the steps on the backend that `open` opens (again, where a step says so) and compares with the model.
async fn check_against_model(steps: &[Step], open: impl Fn(Option<Box<dyn Storage>>) -> Box<dyn Storage>) {
    let mut storage = open(None);
    let mut models = TENANTS.map(|_| Model::default());
    for step in steps {
        match step {
            Step::Commit { tenant, checks, mutations } => {
                let model = &mut models[*tenant];
                let checks: Vec<Check> = checks
                    .iter()
                    .map(|(key, guess)| Check {
                        key: key.clone(),
                        expected: match guess {
                            Guess::Right => model.entries.get(key).cloned(),
                            Guess::Absent => None,
                            Guess::Value(value) => Some(value.clone()),
                        },
                    })
                    .collect();
                let holds = checks.iter().all(|check| model.entries.get(&check.key) == check.expected.as_ref());
                let outcome = storage.commit(TENANTS[*tenant], checks, mutations.clone()).await;
                match (holds, model.after(mutations)) {
                    (false, _) => assert_eq!(outcome, Ok(Outcome::Conflict)),
                    (true, None) => assert!(outcome.is_err(), "{outcome:?}"),
                    (true, Some(next)) => {
                        assert_eq!(outcome, Ok(Outcome::Committed));
                        *model = next;
                    }
                }
            }
            Step::Scan { tenant, range, options } => {
                let (tenant, model) = (TENANTS[*tenant], &models[*tenant]);
                assert_eq!(storage.scan(tenant, range, *options).await, Ok(model.scan(range, *options)));
                let all = ScanOptions { limit: u32::MAX, ..ScanOptions::default() };
                assert_eq!(storage.count(tenant, range).await, Ok(model.scan(range, all).len() as u64));
                let ranges =
                    [range.clone(), KeyRange { start: range.end.clone(), end: range.start.clone() }, range.clone()];
                let keys = [range.start.clone(), range.end.clone()];
                let values = |keys: &[Key]| keys.iter().map(|key| model.entries.get(key).cloned()).collect();
                let entries: Vec<_> = ranges.iter().map(|range| model.scan(range, *options)).collect();
                for follow in [&[][..], &[range.start.clone(), vec![]]] {
                    let leads = Leads::of(&ranges, &entries, follow);
                    let followed = leads.followed(values(leads.keys()));
                    let reading = Reading { values: values(&keys), entries: entries.clone(), followed };
                    assert_eq!(storage.read(tenant, &keys, &ranges, *options, follow).await, Ok(reading));
                }
            }
            Step::Reopen => storage = open(Some(storage)),
        }
    }
    for (tenant, model) in TENANTS.iter().zip(&models) {
        let (range, options) = (KeyRange { start: vec![], end: vec![255; 20] }, ScanOptions::default());
        let options = ScanOptions { limit: u32::MAX, ..options };
        let found = storage.scan(tenant, &range, options).await.unwrap();
        assert_eq!(found, model.scan(&range, options));
        let keys: Vec<Key> = found.iter().map(|entry| entry.key.clone()).collect();
        let values: Vec<Option<Value>> = found.into_iter().map(|entry| Some(entry.value)).collect();
        assert_eq!(storage.get(tenant, &keys).await, Ok(values));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn memory_behaves_as_the_model(steps in prop::collection::vec(step(), 0..40)) {
        runtime().block_on(check_against_model(&steps, |open| open.unwrap_or_else(|| Box::new(Memory::new()))));
    }
}

#[cfg(feature = "redb")]
proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn redb_behaves_as_the_model(steps in prop::collection::vec(step(), 0..40)) {
        let directory = tempfile::tempdir().unwrap();
        runtime().block_on(check_against_model(&steps, |open| {
            drop(open);
            Box::new(Redb::open(directory.path()).unwrap())
        }));
    }
}

#[cfg(all(feature = "postgres", unix))]
proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn postgres_behaves_as_the_model(steps in prop::collection::vec(step(), 0..40)) {
        let (server, url) = shared_for_all_cases();
        let options = url.parse().unwrap();
        let runtime = runtime();
        let connect = || Box::new(runtime.block_on(Postgres::connect(&options)).unwrap());
        // Connected before the runtime is entered; a case that reopens more often goes on with what it has.
        let spare = std::cell::RefCell::new(vec![connect(), connect()]);
        server.sql("d", "TRUNCATE scimwell_keys, scimwell_tenants").unwrap();
        runtime.block_on(check_against_model(&steps, |open| match (spare.borrow_mut().pop(), open) {
            (Some(next), _) => next,
            (None, open) => open.unwrap(),
        }));
    }
}

/// One server and one database for all cases.
#[cfg(all(feature = "postgres", unix))]
fn shared_for_all_cases() -> (Arc<database::PostgresServer>, String) {
    thread_local! {
        static KEPT: Arc<database::PostgresServer> = {
            let server = database::PostgresServer::shared();
            server.sql("postgres", "CREATE DATABASE d").unwrap();
            server
        };
    }
    KEPT.with(|server| (Arc::clone(server), server.url("d")))
}
