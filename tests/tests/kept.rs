//! Instances are kept for their tenant's next request, and nothing passes through one from a tenant to another.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

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

/// Fails while it is told to.
#[derive(Default)]
struct Fails {
    memory: Memory,
    now: AtomicBool,
}

impl Fails {
    fn check(&self) -> Result<(), StoreError> {
        if self.now.load(Relaxed) { Err(StoreError::Other("told to".to_owned())) } else { Ok(()) }
    }
}

#[async_trait]
impl scimwell::storage::Storage for Fails {
    async fn get(&self, tenant: &str, keys: &[Key]) -> Result<Vec<Option<Value>>, StoreError> {
        self.check()?;
        self.memory.get(tenant, keys).await
    }

    async fn scan(&self, tenant: &str, range: &KeyRange, options: ScanOptions) -> Result<Vec<Entry>, StoreError> {
        self.check()?;
        self.memory.scan(tenant, range, options).await
    }

    async fn count(&self, tenant: &str, range: &KeyRange) -> Result<u64, StoreError> {
        self.check()?;
        self.memory.count(tenant, range).await
    }

    async fn commit(&self, tenant: &str, checks: Vec<Check>, mutations: Vec<Mutation>) -> Result<Outcome, StoreError> {
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
        let path = workspace().join("target/components/scimwell.wasm");
        let component = std::fs::read(&path)
            .unwrap_or_else(|error| panic!("{}: {error}: run `cargo xtask build` first", path.display()));
        let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
        let _inside = runtime.enter();
        let engine = Engine::new(&component, Config { kept_instances, ..Config::default() }).expect("it compiles");
        let storage = Arc::new(Fails::default());
        let provider = Provider::new(Arc::new(engine), storage.clone(), Arc::new(Believes), Arc::new(AllowAll));
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
