//! Instances are kept for their tenant's next request, and nothing passes through one from a tenant to another.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use async_trait::async_trait;
use scimwell::authenticator::{AuthError, Authenticator, Credentials, Permissions, Principal};
use scimwell::policy::AllowAll;
use scimwell::storage::{Check, Entry, Key, KeyRange, Memory, Mutation, Outcome, ScanOptions, StoreError, Value};
use scimwell::{Config, Engine, Provider, Request, Response};
use scimwell_tests::server::workspace;

/// Believes what the client says, so that one client can be of two tenants: `acme` or `acme by other credentials`.
struct Believes;

#[async_trait]
impl Authenticator for Believes {
    async fn authenticate(&self, credentials: Credentials) -> Result<Principal, AuthError> {
        let tenant =
            credentials.remote_address.filter(|tenant| tenant != "nobody").ok_or(AuthError::Unauthenticated)?;
        Ok(Principal { tenant, subject: "subject".to_owned(), permissions: Permissions::ALL })
    }
}

/// Knows one token, and answers from so far away that it is not waited for. Its answer comes only once storage was asked for
/// something meanwhile, if it is to be asked together with it.
#[derive(Default)]
struct FarAway {
    revoked: AtomicBool,
    asked: AtomicU64,
    /// Reads of storage that are to have begun before it answers.
    answers_after: AtomicU64,
    storage: Arc<Fails>,
}

#[async_trait]
impl Authenticator for FarAway {
    async fn authenticate(&self, credentials: Credentials) -> Result<Principal, AuthError> {
        self.asked.fetch_add(1, Relaxed);
        while self.storage.reads.load(Relaxed) < self.answers_after.load(Relaxed) {
            tokio::task::yield_now().await;
        }
        if self.revoked.load(Relaxed) {
            return Err(AuthError::Unauthenticated);
        }
        let tenant = credentials.remote_address.ok_or(AuthError::Unauthenticated)?;
        Ok(Principal { tenant, subject: "subject".to_owned(), permissions: Permissions::ALL })
    }

    fn is_remote(&self) -> bool {
        true
    }
}

/// Fails while it is told to.
#[derive(Default)]
struct Fails {
    memory: Memory,
    now: AtomicBool,
    reads: AtomicU64,
    commits: AtomicU64,
}

impl Fails {
    fn check(&self) -> Result<(), StoreError> {
        if self.now.load(Relaxed) { Err(StoreError::Other("told to".to_owned())) } else { Ok(()) }
    }
}

#[async_trait]
impl scimwell::storage::Storage for Fails {
    async fn get(&self, tenant: &str, keys: &[Key]) -> Result<Vec<Option<Value>>, StoreError> {
        self.reads.fetch_add(1, Relaxed);
        self.check()?;
        self.memory.get(tenant, keys).await
    }

    async fn scan(&self, tenant: &str, range: &KeyRange, options: ScanOptions) -> Result<Vec<Entry>, StoreError> {
        self.reads.fetch_add(1, Relaxed);
        self.check()?;
        self.memory.scan(tenant, range, options).await
    }

    async fn count(&self, tenant: &str, range: &KeyRange) -> Result<u64, StoreError> {
        self.reads.fetch_add(1, Relaxed);
        self.check()?;
        self.memory.count(tenant, range).await
    }

    async fn commit(&self, tenant: &str, checks: Vec<Check>, mutations: Vec<Mutation>) -> Result<Outcome, StoreError> {
        self.commits.fetch_add(1, Relaxed);
        self.check()?;
        self.memory.commit(tenant, checks, mutations).await
    }
}

struct Served {
    runtime: tokio::runtime::Runtime,
    storage: Arc<Fails>,
    provider: Provider,
}

impl Served {
    fn new(kept_instances: u32) -> Self {
        Self::with(kept_instances, Arc::default(), Arc::new(Believes))
    }

    fn with(kept_instances: u32, storage: Arc<Fails>, authenticator: Arc<dyn Authenticator>) -> Self {
        let path = workspace().join("target/components/scimwell.wasm");
        let component = std::fs::read(&path)
            .unwrap_or_else(|error| panic!("{}: {error}: run `cargo xtask build` first", path.display()));
        let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
        let _inside = runtime.enter();
        let engine = Engine::new(&component, Config { kept_instances, ..Config::default() }).expect("it compiles");
        let provider = Provider::new(Arc::new(engine), storage.clone(), authenticator, Arc::new(AllowAll));
        Self { runtime, storage, provider }
    }

    fn send(&self, tenant: &str, method: &str, target: &str, body: &str) -> Response {
        self.runtime.block_on(self.provider.handle(Request {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: vec![("content-type".to_owned(), "application/scim+json".to_owned())],
            body: body.as_bytes().to_vec(),
            base_url: "https://example.com/scim/v2".to_owned(),
            remote_address: Some(tenant.to_owned()),
            ..Request::default()
        }))
    }

    #[track_caller]
    fn check(&self, tenant: &str, target: &str, status: u16) {
        assert_eq!(self.send(tenant, "GET", target, "").status, status);
    }

    /// How many instances were made so far.
    fn instances(&self) -> u64 {
        let text = self.provider.metrics().render();
        let count = text.lines().find_map(|line| line.strip_prefix("scimwell_instances_total "));
        count.and_then(|count| count.parse().ok()).expect("the metric is there")
    }
}

#[test]
fn one_instance_serves_its_tenant_again() {
    let served = Served::new(4);
    for _ in 0..20 {
        served.check("acme", "/Users", 200);
        served.check("acme", "/Users/none", 404);
    }
    assert_eq!(served.instances(), 1);
}

#[test]
fn none_is_kept_where_none_may_be() {
    let served = Served::new(0);
    for _ in 0..5 {
        served.check("acme", "/Users", 200);
    }
    assert_eq!(served.instances(), 5);
}

#[test]
fn the_same_credentials_for_another_tenant_get_another_instance() {
    let served = Served::new(4);
    let user =
        |name: &str| format!(r#"{{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"{name}"}}"#);
    assert_eq!(served.send("acme", "POST", "/Users", &user("ann")).status, 201);
    assert_eq!(served.send("other", "POST", "/Users", &user("bob")).status, 201);
    assert_eq!(served.instances(), 2);
    for (tenant, own, foreign) in [("acme", "ann", "bob"), ("other", "bob", "ann"), ("acme", "ann", "bob")] {
        let list = String::from_utf8(served.send(tenant, "GET", "/Users", "").body).expect("UTF-8");
        assert!(list.contains(own) && !list.contains(foreign), "{list}");
    }
}

#[test]
fn who_is_not_let_in_leaves_no_instance_behind() {
    let served = Served::new(4);
    served.check("acme", "/Users", 200);
    served.check("nobody", "/Users", 401);
    served.check("acme", "/Users", 200);
    assert_eq!(served.instances(), 2);
}

#[test]
fn an_instance_that_failed_is_thrown_away() {
    let served = Served::new(4);
    served.check("acme", "/Users", 200);
    served.storage.now.store(true, Relaxed);
    served.check("acme", "/Users", 500);
    served.storage.now.store(false, Relaxed);
    served.check("acme", "/Users", 200);
    assert_eq!(served.instances(), 2);
}

#[test]
fn one_that_needed_much_memory_is_not_kept() {
    let served = Served::new(4);
    let long = "x".repeat(8 * 1024 * 1024);
    let body = format!(r#"{{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"{long}"}}"#);
    assert_eq!(served.send("acme", "POST", "/Users", &body).status, 400);
    served.check("acme", "/Users", 200);
    assert_eq!(served.instances(), 2);
}

const ANN: &str = r#"{"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "ann"}"#;

/// A far authenticator is asked beside the first read, not before it; and nothing comes of a request before it has answered.
#[test]
fn a_far_authenticator_is_not_waited_for_and_has_the_last_word() {
    let storage = Arc::new(Fails::default());
    let far = Arc::new(FarAway { storage: storage.clone(), ..FarAway::default() });
    let served = Served::with(4, storage.clone(), far.clone());
    assert_eq!(served.send("acme", "POST", "/Users", ANN).status, 201);
    assert_eq!(far.asked.load(Relaxed), 1, "once for a request");

    // From here on it answers only after a read has begun: a host that waited for it would wait for ever.
    for (method, target, body, status) in
        [("GET", "/Users", "", 200), ("POST", "/Users", &ANN.replace("ann", "bob"), 201)]
    {
        far.answers_after.store(storage.reads.load(Relaxed) + 1, Relaxed);
        assert_eq!(served.send("acme", method, target, body).status, status, "{method}");
    }
    assert_eq!(far.asked.load(Relaxed), 3, "still once for a request");
    assert_eq!(served.instances(), 1);

    far.revoked.store(true, Relaxed);
    far.answers_after.store(0, Relaxed);
    let commits = storage.commits.load(Relaxed);
    for (method, target, body) in [("POST", "/Users", ANN), ("GET", "/Users", ""), ("GET", "/Nowhere", "")] {
        assert_eq!(served.send("acme", method, target, body).status, 401, "{method} {target}");
    }
    assert_eq!(storage.commits.load(Relaxed), commits, "something was committed for who was not let in");

    far.revoked.store(false, Relaxed);
    assert_eq!(served.send("acme", "GET", "/Users?count=0", "").status, 200);
}

/// What is assumed are the same credentials' rights: others are asked for first.
#[test]
fn other_credentials_are_never_assumed() {
    let storage = Arc::new(Fails::default());
    let far = Arc::new(FarAway { storage: storage.clone(), ..FarAway::default() });
    let served = Served::with(4, storage.clone(), far.clone());
    assert_eq!(served.send("acme", "POST", "/Users", ANN).status, 201);
    // The same client, as far as the host can tell from its headers, but of another tenant.
    let reads = storage.reads.load(Relaxed);
    let list = served.send("globex", "GET", "/Users", "");
    assert_eq!(list.status, 200);
    assert!(String::from_utf8_lossy(&list.body).contains(r#""totalResults":0"#));
    assert!(storage.reads.load(Relaxed) > reads);
    assert_eq!(served.instances(), 2);
}
