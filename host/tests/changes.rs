//! What a handler of changes is told, when, and what happens where it or the process fails. Over the real component.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use scimwell::authenticator::{AuthError, Authenticator, Credentials, Permissions, Principal};
use scimwell::changes::{ChangeHandler, Delivery, HandlerError, Operation, Record, Reprovisioned};
use scimwell::policy::AllowAll;
use scimwell::storage::{
    Check, Entry, Key, KeyRange, Memory, Mutation, Outcome, ScanOptions, Storage, StoreError, Value as Stored,
};
use scimwell::{Config, Engine, Provider, Request, Response};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_mins(1);

fn component() -> &'static [u8] {
    scimwell::component().expect("run `cargo xtask build` first")
}

/// Compiled once for all tests.
fn engine() -> Arc<Engine> {
    static ENGINE: OnceLock<Arc<Engine>> = OnceLock::new();
    Arc::clone(ENGINE.get_or_init(|| Arc::new(Engine::new(component(), Config::default()).unwrap())))
}

/// Lets everybody into the tenant that the URL names.
struct Anyone;

#[async_trait::async_trait]
impl Authenticator for Anyone {
    async fn authenticate(&self, credentials: Credentials) -> Result<Principal, AuthError> {
        let tenant = credentials.tenant_hint.ok_or(AuthError::Unauthenticated)?;
        Ok(Principal { tenant, subject: "test".to_owned(), permissions: Permissions::ALL })
    }
}

/// Notes what it is told; fails, panics or never returns as it is told to.
#[derive(Default)]
struct Notes {
    records: Mutex<Vec<Record>>,
    attempts: AtomicUsize,
    fails: AtomicBool,
    panics: AtomicBool,
    hangs: AtomicBool,
}

#[async_trait::async_trait]
impl ChangeHandler for Notes {
    async fn changed(&self, record: &Record) -> Result<(), HandlerError> {
        self.attempts.fetch_add(1, SeqCst);
        // The tenant `well` never has trouble.
        if record.tenant != "well" {
            assert!(!self.panics.load(SeqCst), "as it was told to");
            if self.hangs.load(SeqCst) {
                std::future::pending::<()>().await;
            }
            if self.fails.load(SeqCst) {
                return Err("as it was told to".into());
            }
        }
        self.records.lock().unwrap().push(record.clone());
        Ok(())
    }
}

impl Notes {
    /// The ids of the resources that it was told of, in that order.
    fn ids(&self) -> Vec<String> {
        self.records.lock().unwrap().iter().map(|record| record.id.clone()).collect()
    }

    async fn until(&self, holds: impl Fn(&[Record]) -> bool) {
        let holding = async {
            while !holds(&self.records.lock().unwrap()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, holding).await;
        assert!(waited.is_ok(), "told of no more than {:?}", self.ids());
    }
}

async fn provider(storage: &Arc<dyn Storage>, notes: &Arc<Notes>, delivery: Delivery) -> Provider {
    let provider = Provider::new(engine(), Arc::clone(storage), Arc::new(Anyone), Arc::new(AllowAll));
    provider.on_change(Arc::clone(notes) as Arc<dyn ChangeHandler>, delivery).await.unwrap()
}

async fn fresh(delivery: Delivery) -> (Provider, Arc<Notes>, Arc<dyn Storage>) {
    let storage: Arc<dyn Storage> = Arc::new(Memory::new());
    let notes = Arc::new(Notes::default());
    (provider(&storage, &notes, delivery).await, notes, storage)
}

fn request(tenant: &str, method: &str, target: &str, body: &Value) -> Request {
    Request {
        method: method.to_owned(),
        target: target.to_owned(),
        headers: vec![("content-type".to_owned(), "application/scim+json".to_owned())],
        body: if body.is_null() { Vec::new() } else { body.to_string().into_bytes() },
        base_url: "https://example.com/scim/v2".to_owned(),
        tenant_hint: Some(tenant.to_owned()),
        ..Request::default()
    }
}

async fn send(provider: &Provider, method: &str, target: &str, body: Value) -> Response {
    provider.handle(request("acme", method, target, &body)).await
}

/// Creates a user; her id.
async fn create(provider: &Provider, tenant: &str, name: &str) -> String {
    let body = json!({ "userName": name, "active": true });
    let response = provider.handle(request(tenant, "POST", "/Users", &body)).await;
    assert_eq!(response.status, 201, "{}", String::from_utf8_lossy(&response.body));
    let user: Value = serde_json::from_slice(&response.body).unwrap();
    user["id"].as_str().unwrap().to_owned()
}

fn deactivation() -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{ "op": "replace", "path": "active", "value": false }],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn told_before_the_reply() {
    let (provider, notes, _) = fresh(Delivery::BeforeReply).await;
    let ann = create(&provider, "acme", "ann").await;
    assert_eq!(notes.ids(), [ann.as_str()]);
    assert_eq!(send(&provider, "PATCH", &format!("/Users/{ann}"), deactivation()).await.status, 200);
    assert_eq!(send(&provider, "DELETE", &format!("/Users/{ann}"), Value::Null).await.status, 204);

    let records = notes.records.lock().unwrap().clone();
    let told: Vec<_> = records.iter().map(|record| (record.operation, record.value("active").cloned())).collect();
    let expect = [
        (Operation::Create, Some(json!(true))),
        (Operation::Patch, Some(json!(false))),
        (Operation::Delete, Some(Value::Null)),
    ];
    assert_eq!(told, expect);
    assert!(records.is_sorted_by(|a, b| a.sequence < b.sequence), "{records:?}");
    assert!(records.iter().all(|record| record.tenant == "acme" && record.subject == "test"), "{records:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_is_told_as_such() {
    let (provider, notes, _) = fresh(Delivery::BeforeReply).await;
    let set = send(&provider, "PATCH", "/admin/settings", json!({ "reprovisioning": "restore" })).await;
    assert_eq!(set.status, 200, "{}", String::from_utf8_lossy(&set.body));
    let ann = create(&provider, "acme", "ann").await;
    assert_eq!(send(&provider, "PATCH", &format!("/Users/{ann}"), deactivation()).await.status, 200);
    assert_eq!(create(&provider, "acme", "ann").await, ann);
    assert_eq!(send(&provider, "DELETE", &format!("/Users/{ann}"), Value::Null).await.status, 204);
    assert_eq!(create(&provider, "acme", "ann").await, ann);

    let records = notes.records.lock().unwrap().clone();
    let users = records.iter().filter(|record| record.resource_type == "User");
    let told: Vec<_> = users.map(|record| (record.operation, record.reprovisioned)).collect();
    let expect = [
        (Operation::Create, None),
        (Operation::Patch, None),
        (Operation::Replace, Some(Reprovisioned::Reactivated)),
        (Operation::Delete, None),
        (Operation::Create, Some(Reprovisioned::Restored)),
    ];
    assert_eq!(told, expect);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_of_a_bulk() {
    let (provider, notes, _) = fresh(Delivery::BeforeReply).await;
    let operation = |n: u32| json!({ "method": "POST", "path": "/Users", "bulkId": n.to_string(), "data": { "userName": format!("u{n}") } });
    let schemas = ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"];
    // More than a page of the log.
    let operations: Vec<Value> = (0..250).map(operation).collect();
    let response = send(&provider, "POST", "/Bulk", json!({ "schemas": schemas, "Operations": operations })).await;
    assert_eq!(response.status, 200);
    assert_eq!(notes.ids().into_iter().collect::<BTreeSet<_>>().len(), 250);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_nothing_is_not_told() {
    let (provider, notes, _) = fresh(Delivery::BeforeReply).await;
    create(&provider, "acme", "ann").await;
    assert_eq!(send(&provider, "POST", "/Users", json!({ "userName": "ANN" })).await.status, 409);
    assert_eq!(send(&provider, "GET", "/Users", Value::Null).await.status, 200);
    let mut rehearsed = request("acme", "POST", "/Users", &json!({ "userName": "bob" }));
    rehearsed.headers.push(("scimwell-dry-run".to_owned(), "true".to_owned()));
    provider.handle(rehearsed).await;
    assert_eq!(notes.attempts.load(SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_keeps_the_order_and_the_answer() {
    let (provider, notes, _) = fresh(Delivery::BeforeReply).await;
    let ann = create(&provider, "acme", "ann").await;
    for trouble in [&notes.fails, &notes.panics] {
        notes.records.lock().unwrap().clear();
        trouble.store(true, SeqCst);
        // The answers stay what they are, and each request is another attempt at the first record.
        let attempts = notes.attempts.load(SeqCst);
        assert_eq!(send(&provider, "PATCH", &format!("/Users/{ann}"), deactivation()).await.status, 200);
        let name = format!("bob{attempts}");
        let bob = create(&provider, "acme", &name).await;
        assert!(notes.attempts.load(SeqCst) >= attempts + 2);
        // Another tenant's changes don't wait.
        let other = create(&provider, "well", &name).await;
        assert_eq!(notes.ids(), [other.as_str()]);

        trouble.store(false, SeqCst);
        notes.until(|records| records.len() == 3).await;
        assert_eq!(notes.ids(), [&other, &ann, &bob].map(String::as_str));
        send(&provider, "PATCH", &format!("/Users/{ann}"), reactivation()).await;
    }
    let metrics = provider.metrics().render();
    assert!(!metrics.contains("scimwell_deliveries_failed_total 0"), "{metrics}");
}

fn reactivation() -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{ "op": "replace", "path": "active", "value": true }],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_does_not_wait_for_ever() {
    let config = Config { timeout: Duration::from_secs(2), max_concurrent: 4, kept_instances: 0, ..Config::default() };
    let engine = Arc::new(Engine::new(component(), config).unwrap());
    let notes = Arc::new(Notes::default());
    notes.hangs.store(true, SeqCst);
    let provider = Provider::new(engine, Arc::new(Memory::new()), Arc::new(Anyone), Arc::new(AllowAll))
        .on_change(notes.clone(), Delivery::BeforeReply)
        .await
        .unwrap();
    create(&provider, "acme", "ann").await;
    assert_eq!((notes.attempts.load(SeqCst), notes.ids().len()), (1, 0));
    // Nor do other tenants.
    create(&provider, "well", "ann").await;
    assert_eq!(notes.ids().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_process_catches_up_first() {
    let (first, notes, storage) = fresh(Delivery::BeforeReply).await;
    let ann = create(&first, "acme", "ann").await;
    notes.fails.store(true, SeqCst);
    let bob = create(&first, "acme", "bob").await;
    let cat = create(&first, "acme", "cat").await;
    assert_eq!(notes.ids(), [ann.as_str()]);
    // It ends before it could tell.
    drop(first);

    for delivery in [Delivery::BeforeReply, Delivery::Background] {
        let notes = Arc::new(Notes::default());
        let next = provider(&storage, &notes, delivery).await;
        let expect = if delivery == Delivery::BeforeReply { vec![bob.as_str(), cat.as_str()] } else { vec![] };
        assert_eq!(notes.ids(), expect, "the first of them takes over, the second finds nothing to do");
        drop(next);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_passes_over_a_failing_handler() {
    let (first, notes, storage) = fresh(Delivery::BeforeReply).await;
    notes.fails.store(true, SeqCst);
    let ann = create(&first, "acme", "ann").await;
    drop(first);
    let notes = Arc::new(Notes::default());
    notes.fails.store(true, SeqCst);
    let next = provider(&storage, &notes, Delivery::BeforeReply).await;
    assert!(notes.attempts.load(SeqCst) >= 1);
    notes.fails.store(false, SeqCst);
    notes.until(|records| !records.is_empty()).await;
    assert_eq!(notes.ids(), [ann]);
    drop(next);
}

#[tokio::test(flavor = "multi_thread")]
async fn data_from_before_the_handler() {
    let storage: Arc<dyn Storage> = Arc::new(Memory::new());
    let before = Provider::new(engine(), Arc::clone(&storage), Arc::new(Anyone), Arc::new(AllowAll));
    let ann = create(&before, "acme", "ann").await;
    let notes = Arc::new(Notes::default());
    let after = provider(&storage, &notes, Delivery::BeforeReply).await;
    assert_eq!(notes.ids(), [""; 0]);
    let bob = create(&after, "acme", "bob").await;
    assert_eq!(notes.ids(), [ann, bob]);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_background() {
    let (provider, notes, _) = fresh(Delivery::Background).await;
    notes.hangs.store(true, SeqCst);
    // The answer comes although the handler does not return.
    create(&provider, "acme", "ann").await;
    let well = create(&provider, "well", "ann").await;
    notes.until(|records| !records.is_empty()).await;
    assert_eq!(notes.ids(), [well]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_on_one_storage() {
    const EACH: usize = 20;
    let (one, notes, storage) = fresh(Delivery::BeforeReply).await;
    let others = Arc::new(Notes::default());
    let two = provider(&storage, &others, Delivery::BeforeReply).await;
    let mut ids = BTreeSet::new();
    for n in 0..EACH {
        let (a, b) = (format!("a{n}"), format!("b{n}"));
        let (a, b) = tokio::join!(create(&one, "acme", &a), create(&two, "acme", &b));
        ids.extend([a, b]);
    }
    // Each record by one of them at least, and by each in the order of the log.
    let told: BTreeSet<String> = notes.ids().into_iter().chain(others.ids()).collect();
    assert_eq!(told, ids);
    for notes in [&notes, &others] {
        assert!(notes.records.lock().unwrap().is_sorted_by(|a, b| a.sequence < b.sequence));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_by_pages() {
    let (provider, _, _) = fresh(Delivery::Background).await;
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(create(&provider, "acme", &format!("u{n}")).await);
    }
    create(&provider, "other", "u").await;
    let log = provider.change_log();
    let (mut read, mut after) = (Vec::new(), 0);
    loop {
        let page = log.page("acme", after, 2).await.unwrap();
        read.extend(page.records.iter().map(|record| record.id.clone()));
        after = page.next;
        if !page.more {
            break;
        }
    }
    assert_eq!(read, ids);
    let end = log.page("acme", after, 2).await.unwrap();
    assert_eq!((end.records.len(), end.next, end.more), (0, after, false));
    assert_eq!(log.page("nobody", 0, 2).await.unwrap().records, []);
    // The host's own key space is nobody's log.
    assert!(log.page("", 0, 2).await.is_err());
}

/// Storage whose commits of changes wait for a permit.
struct Gate {
    inner: Memory,
    permits: Semaphore,
    waiting: AtomicUsize,
}

#[async_trait::async_trait]
impl Storage for Gate {
    async fn get(&self, tenant: &str, keys: &[Key]) -> Result<Vec<Option<Stored>>, StoreError> {
        self.inner.get(tenant, keys).await
    }
    async fn scan(&self, tenant: &str, range: &KeyRange, options: ScanOptions) -> Result<Vec<Entry>, StoreError> {
        self.inner.scan(tenant, range, options).await
    }
    async fn count(&self, tenant: &str, range: &KeyRange) -> Result<u64, StoreError> {
        self.inner.count(tenant, range).await
    }
    async fn commit(&self, tenant: &str, checks: Vec<Check>, mutations: Vec<Mutation>) -> Result<Outcome, StoreError> {
        if mutations.iter().any(|mutation| matches!(mutation, Mutation::Append(..))) {
            self.waiting.fetch_add(1, SeqCst);
            self.permits.acquire().await.unwrap().forget();
        }
        self.inner.commit(tenant, checks, mutations).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_takes_no_delivery_with_it() {
    let gate = Arc::new(Gate { inner: Memory::new(), permits: Semaphore::new(0), waiting: AtomicUsize::new(0) });
    let storage: Arc<dyn Storage> = gate.clone();
    let notes = Arc::new(Notes::default());
    let provider = Arc::new(provider(&storage, &notes, Delivery::BeforeReply).await);
    let handling = tokio::spawn({
        let provider = Arc::clone(&provider);
        async move { provider.handle(request("acme", "POST", "/Users", &json!({ "userName": "ann" }))).await }
    });
    while gate.waiting.load(SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // As hyper does when the connection ends.
    handling.abort();
    assert!(handling.await.is_err());
    gate.permits.add_permits(1);
    notes.until(|records| records.len() == 1).await;
}
