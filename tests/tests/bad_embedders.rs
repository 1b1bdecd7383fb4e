//! Whatever an embedder's storage, authenticator or policy does wrong, a request ends in a SCIM error, the log names the
//! import, and the next request finds all well: with a fresh instance, for the one that met it is thrown away.

use std::io::Write;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use scimwell::authenticator::{AuthError, Authenticator, Credentials, Permissions, Principal};
use scimwell::policy::{Change, Policy, Refusal};
use scimwell::storage::{
    Check, Entry, Key, KeyRange, Memory, Mutation, Outcome, Reading, ScanOptions, Storage, StoreError, Value,
};
use scimwell::{Config, Engine, Provider, Request, Response, ServiceComponent};
use scimwell_tests::misbehaving::{Fault, Misbehaving};
use scimwell_tests::server::workspace;
use serde_json::{Value as Json, json};

/// How long a request may take: long for one that is served, and what a test waits for one that is not.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What the application does at one of the calls.
#[derive(Clone, Debug)]
enum Does {
    /// Throws, as other languages have it.
    Panics,
    /// Never answers.
    Hangs,
    /// Answers with an error.
    Fails(StoreError),
}

/// An application that brings all three imports, and does something at one of them.
struct Application {
    storage: Arc<dyn Storage>,
    at: Mutex<Option<(&'static str, Does)>>,
    tenant: Mutex<String>,
}

impl Application {
    fn new(storage: Arc<dyn Storage>) -> Arc<Self> {
        Arc::new(Self { storage, at: Mutex::default(), tenant: Mutex::new("acme".to_owned()) })
    }

    fn set(&self, at: Option<(&'static str, Does)>) {
        *self.at.lock().unwrap() = at;
    }

    async fn call(&self, import: &str) -> Result<(), StoreError> {
        let does = self.at.lock().unwrap().as_ref().filter(|(at, _)| *at == import).map(|(_, does)| does.clone());
        match does {
            None => Ok(()),
            Some(Does::Panics) => panic!("a bug of the application"),
            Some(Does::Hangs) => std::future::pending().await,
            Some(Does::Fails(error)) => Err(error),
        }
    }
}

/// The application, as what is handed to a provider.
struct Brought(Arc<Application>);

#[async_trait]
impl Storage for Brought {
    async fn get(&self, tenant: &str, keys: &[Key]) -> Result<Vec<Option<Value>>, StoreError> {
        self.0.call("storage.get").await?;
        self.0.storage.get(tenant, keys).await
    }

    async fn scan(&self, tenant: &str, range: &KeyRange, options: ScanOptions) -> Result<Vec<Entry>, StoreError> {
        self.0.call("storage.scan").await?;
        self.0.storage.scan(tenant, range, options).await
    }

    async fn read(
        &self,
        tenant: &str,
        keys: &[Key],
        ranges: &[KeyRange],
        options: ScanOptions,
        follow: &[Key],
    ) -> Result<Reading, StoreError> {
        self.0.call("storage.read").await?;
        self.0.storage.read(tenant, keys, ranges, options, follow).await
    }

    async fn count(&self, tenant: &str, range: &KeyRange) -> Result<u64, StoreError> {
        self.0.call("storage.count").await?;
        self.0.storage.count(tenant, range).await
    }

    async fn commit(&self, tenant: &str, checks: Vec<Check>, mutations: Vec<Mutation>) -> Result<Outcome, StoreError> {
        self.0.call("storage.commit").await?;
        self.0.storage.commit(tenant, checks, mutations).await
    }
}

#[async_trait]
impl Authenticator for Brought {
    async fn authenticate(&self, _: Credentials) -> Result<Principal, AuthError> {
        let called = self.0.call("authenticator.authenticate").await;
        called.map_err(|error| AuthError::Unavailable(error.to_string()))?;
        let tenant = self.0.tenant.lock().unwrap().clone();
        Ok(Principal { tenant, subject: "subject".to_owned(), permissions: Permissions::ALL })
    }
}

#[async_trait]
impl Policy for Brought {
    async fn review(&self, _: Change) -> Result<(), Refusal> {
        let called = self.0.call("policy.review").await;
        called.map_err(|error| Refusal { status: 403, scim_type: None, detail: error.to_string() })
    }
}

/// What was logged in this thread since it was last looked at.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).expect("a log in UTF-8")
    }
}

struct Served {
    runtime: tokio::runtime::Runtime,
    application: Arc<Application>,
    provider: Provider,
    log: Log,
    _logging: tracing::subscriber::DefaultGuard,
}

impl Served {
    fn new(storage: Arc<dyn Storage>) -> Self {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().json().with_writer(move || writer.clone()).finish();
        // One thread, which is the one that logs.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
        let logging = tracing::subscriber::set_default(subscriber);
        let application = Application::new(storage);
        let brought = || Arc::new(Brought(application.clone()));
        let provider = Provider::new(engine(), brought(), brought(), brought());
        Self { runtime, application, provider, log, _logging: logging }
    }

    fn send(&self, method: &str, target: &str, body: &Json) -> Response {
        self.runtime.block_on(self.provider.handle(request(method, target, body)))
    }

    fn create(&self, name: &str) -> Response {
        self.send("POST", "/Users", &user(name))
    }

    /// How many instances were made so far.
    fn instances(&self) -> u64 {
        let text = self.provider.metrics().render();
        let count = text.lines().find_map(|line| line.strip_prefix("scimwell_instances_total "));
        count.and_then(|count| count.parse().ok()).expect("the metric is there")
    }

    /// The answer is this SCIM error, one line of the log has all these words, and no client reads any of them.
    #[track_caller]
    fn check(&self, response: &Response, status: u16, words: &[&str]) {
        check_error(response, status);
        let log = self.log.take();
        assert!(
            log.lines().any(|line| words.iter().all(|word| line.contains(word))),
            "{words:?} are in no line:\n{log}"
        );
        let body = String::from_utf8_lossy(&response.body);
        assert!(words.iter().all(|word| !body.contains(word)), "{body}");
    }
}

#[track_caller]
fn check_error(response: &Response, status: u16) {
    let body: Json = serde_json::from_slice(&response.body).expect("a body in JSON");
    assert_eq!(response.status, status, "{body}");
    assert_eq!(body["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]));
    assert_eq!(body["status"], status.to_string());
    assert!(body["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{body}");
    assert!(response.headers.iter().any(|(name, value)| name == "content-type" && value == "application/scim+json"));
    let retry = response.headers.iter().any(|(name, _)| name == "retry-after");
    assert_eq!(retry, status == 503, "503 says when to come again");
}

fn component(name: &str) -> Vec<u8> {
    let path = workspace().join("target/components").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}: run `cargo xtask build` first", path.display()))
}

/// The component, compiled once for all tests.
fn engine() -> Arc<Engine> {
    static ENGINE: LazyLock<Arc<Engine>> =
        LazyLock::new(|| Arc::new(Engine::new(&component("scimwell.wasm"), config()).expect("it compiles")));
    ENGINE.clone()
}

fn config() -> Config {
    Config { timeout: TIMEOUT, ..Config::default() }
}

fn user(name: &str) -> Json {
    json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": name})
}

fn request(method: &str, target: &str, body: &Json) -> Request {
    Request {
        method: method.to_owned(),
        target: target.to_owned(),
        headers: vec![("content-type".to_owned(), "application/scim+json".to_owned())],
        body: if body.is_null() { vec![] } else { body.to_string().into_bytes() },
        base_url: "https://example.com/scim/v2".to_owned(),
        ..Request::default()
    }
}

/// What makes the component call each of its imports.
fn calls() -> [(&'static str, &'static str, &'static str, Json); 7] {
    [
        ("authenticator.authenticate", "GET", "/Users", Json::Null),
        ("storage.get", "POST", "/Users", user("dora")),
        ("storage.scan", "GET", "/Users", Json::Null),
        ("storage.read", "GET", "/Users/none", Json::Null),
        // What one value of an index answers is counted in it.
        ("storage.count", "GET", "/Users?filter=active%20eq%20true", Json::Null),
        ("storage.commit", "POST", "/Users", user("dora")),
        ("policy.review", "POST", "/Users", user("dora")),
    ]
}

/// An application with three users.
fn served() -> Served {
    let served = Served::new(Arc::new(Memory::new()));
    for name in ["ann", "bob", "cleo"] {
        assert_eq!(served.create(name).status, 201);
    }
    served.log.take();
    served
}

#[test]
fn what_panics_is_500_and_named() {
    let served = served();
    for (import, method, target, body) in calls() {
        let before = served.instances();
        served.application.set(Some((import, Does::Panics)));
        served.check(&served.send(method, target, &body), 500, &[import, "a bug of the application"]);
        served.application.set(None);
        let list = served.send("GET", "/Users", &Json::Null);
        let list: Json = serde_json::from_slice(&list.body).expect("a list");
        assert_eq!(list["totalResults"], 3, "nothing was changed at {import}");
        assert!(served.instances() > before, "the instance that met {import} serves on");
    }
}

#[test]
fn what_never_answers_is_503_in_time_and_named() {
    let served = served();
    // All wait at once, each for a provider of its own, or this would take as many times as long.
    let answers = served.runtime.block_on(async {
        let mut waiting = tokio::task::JoinSet::new();
        for (import, method, target, body) in calls() {
            let application = Application::new(served.application.storage.clone());
            application.set(Some((import, Does::Hangs)));
            let brought = || Arc::new(Brought(application.clone()));
            let provider = Provider::new(engine(), brought(), brought(), brought());
            waiting.spawn(async move { (import, provider.handle(request(method, target, &body)).await) });
        }
        waiting.join_all().await
    });
    let log = served.log.take();
    assert_eq!(answers.len(), calls().len());
    for (import, response) in answers {
        check_error(&response, 503);
        let named = log.lines().filter(|line| line.contains(import) && line.contains("took too long"));
        assert_eq!(named.count(), 1, "{import}:\n{log}");
    }
    assert_eq!(served.create("dora").status, 201);
}

#[test]
fn errors_are_500_or_503_and_named() {
    let served = served();
    let errors = [
        (StoreError::Unavailable("db-7 is down".to_owned()), 503),
        (StoreError::Other("column v is gone".to_owned()), 500),
        (StoreError::AccessDenied, 500),
    ];
    for (import, method, target, body) in calls().into_iter().filter(|(import, ..)| import.starts_with("storage.")) {
        for (error, status) in &errors {
            served.application.set(Some((import, Does::Fails(error.clone()))));
            let text = error.to_string();
            served.check(&served.send(method, target, &body), *status, &[import, &text]);
        }
    }
    let words = "the directory is down";
    let down = Does::Fails(StoreError::Unavailable(words.to_owned()));
    served.application.set(Some(("authenticator.authenticate", down)));
    served.check(&served.send("GET", "/Users", &Json::Null), 503, &["authenticator.authenticate", words]);
    served.application.set(None);
    assert_eq!(served.create("dora").status, 201);
}

/// Three users, then the fault: the request fails, and the same storage without it has lost nothing.
#[track_caller]
fn nonsense(fault: Fault, target: &str, words: &[&str]) {
    let storage = Arc::new(Misbehaving::new(Fault::None));
    let served = Served::new(storage.clone());
    for name in ["ann", "bob", "cleo"] {
        assert_eq!(served.create(name).status, 201);
    }
    served.log.take();
    storage.set(fault);
    served.check(&served.send("GET", target, &Json::Null), 500, words);
    storage.set(Fault::None);
    let before = served.instances();
    assert_eq!(served.send("GET", target, &Json::Null).status, 200);
    assert_eq!(served.instances(), before + 1, "the instance that met {fault:?} serves on");
}

#[test]
fn nonsense_is_500_and_never_passed_on() {
    nonsense(Fault::DropsLastKey, "/Users", &["storage.", "values came"]);
    nonsense(Fault::ExtraValue, "/Users", &["storage.", "values came"]);
    nonsense(Fault::ForeignEntry, "/Users", &["storage.scan", "outside the range"]);
    nonsense(Fault::RepeatsEntry, "/Users", &["storage.scan", "ascending"]);
    nonsense(Fault::SwapsEntries, "/Users", &["storage.scan", "ascending"]);
    nonsense(Fault::CutsValues, "/Users", &["storage."]);
    let descending = "/Users?sortBy=userName&sortOrder=descending";
    nonsense(Fault::ForgetsReverse, descending, &["storage.scan", "descending"]);
}

#[test]
fn counters_in_another_form_are_500_and_not_0() {
    let served = Served::new(Arc::new(Misbehaving::new(Fault::CountsInDigits)));
    served.create("ann");
    served.log.take();
    served.check(&served.send("GET", "/Users", &Json::Null), 500, &["storage.", "counter of 1 bytes"]);
}

#[test]
fn conflicts_without_end_are_503_and_change_nothing() {
    let storage = Arc::new(Misbehaving::new(Fault::None));
    let served = Served::new(storage.clone());
    served.create("ann");
    served.log.take();
    storage.set(Fault::AlwaysConflict);
    served.check(&served.create("bob"), 503, &["storage.commit", "conflict"]);
    storage.set(Fault::None);
    assert_eq!(served.create("bob").status, 201);
}

#[test]
fn a_tenant_that_can_be_none_is_503_and_named() {
    let served = served();
    for name in [String::new(), "t".repeat(65), "a\0b".to_owned()] {
        *served.application.tenant.lock().unwrap() = name;
        served.check(&served.send("GET", "/Users", &Json::Null), 503, &["authenticator.authenticate", "tenant"]);
    }
}

/// On hosts with wasi:http the same holds.
#[test]
fn the_service_component_fails_as_well() {
    let Served { runtime, application, log, _logging, .. } = served();
    let brought = || Arc::new(Brought(application.clone()));
    let bytes = component("scimwell-http.wasm");
    let mut service = ServiceComponent::new(&bytes, config(), brought(), brought(), brought()).expect("it compiles");
    let send = |service: &ServiceComponent| {
        let request = http::Request::get("http://example.com/scim/v2/Users").body(Bytes::new()).expect("a request");
        runtime.block_on(service.handle(request))
    };
    for (does, status, words) in [(Does::Panics, 500, "a bug of the application"), (Does::Hangs, 503, "took too long")]
    {
        application.set(Some(("storage.scan", does)));
        assert_eq!(send(&service).status(), status);
        let log = log.take();
        assert!(log.lines().any(|line| line.contains("storage.scan") && line.contains(words)), "{log}");
    }
    application.set(None);
    for (url, status) in [("example.com", 500), ("https://example.com/?id", 500), ("https://example.com/id", 200)] {
        service = service.under(url);
        assert_eq!(send(&service).status(), status, "{url}");
    }
}
