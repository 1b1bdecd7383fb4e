//! Whatever a guest does, there is a SCIM response, and the next request finds all well.

mod common;

use scimwell::{Config, Engine, Error, Provider, Request, Response};

use common::{config, detail, provider};

fn request(target: &str, body: &[u8]) -> Request {
    Request { method: "POST".to_owned(), target: target.to_owned(), body: body.to_vec(), ..Request::default() }
}

async fn check_alive(provider: &Provider) {
    let response = provider.handle(request("/echo", b"still here")).await;
    assert_eq!((response.status, response.body.as_slice()), (200, b"still here".as_slice()));
}

async fn check_failure(target: &str, status: u16, says: &str) -> Response {
    let provider = provider(config());
    let response = provider.handle(request(target, b"")).await;
    assert_eq!(response.status, status);
    let detail = detail(status, &response.body);
    assert!(detail.contains(says), "{detail}");
    assert!(response.headers.contains(&("content-type".to_owned(), "application/scim+json".to_owned())));
    check_alive(&provider).await;
    response
}

#[tokio::test]
async fn trap() {
    check_failure("/u", 500, "request id").await;
}

#[tokio::test]
async fn memory_cap() {
    check_failure("/m", 500, "more memory").await;
}

#[tokio::test]
async fn body_beyond_the_memory_cap() {
    let provider = provider(config());
    let response = provider.handle(request("/e", &vec![0; config().memory_bytes + 1])).await;
    assert!(detail(500, &response.body).contains("more memory"));
    check_alive(&provider).await;
}

#[tokio::test]
async fn time_out() {
    let response = check_failure("/l", 503, "in time").await;
    assert!(response.headers.iter().any(|(name, _)| name == "retry-after"));
}

/// On one thread: the looping guest must give it up for the other to be served at all.
#[tokio::test(flavor = "current_thread")]
async fn looping_guest_lets_others_run() {
    let provider = provider(config());
    let (looping, ()) = tokio::join!(provider.handle(request("/l", b"")), check_alive(&provider));
    assert_eq!(looping.status, 503);
}

#[tokio::test]
async fn more_requests_than_the_pool_has_slots() {
    let provider = provider(config());
    let requests: Vec<_> = (0..100_u8)
        .map(|n| {
            let provider = provider.clone();
            tokio::spawn(async move { (n, provider.handle(request("/echo", &[n])).await) })
        })
        .collect();
    for request in requests {
        let (n, response) = request.await.unwrap();
        assert_eq!((response.status, response.body), (200, vec![n]));
    }
}

#[tokio::test]
async fn a_caller_that_gives_up_leaves_a_free_slot() {
    let provider = provider(Config { max_concurrent: 1, ..config() });
    let given_up =
        tokio::time::timeout(std::time::Duration::from_millis(30), provider.handle(request("/l", b""))).await;
    assert!(given_up.is_err());
    check_alive(&provider).await;
}

#[tokio::test]
async fn failures_are_counted() {
    let provider = provider(config());
    for target in ["/u", "/u", "/m", "/l"] {
        provider.handle(request(target, b"")).await;
    }
    let text = provider.metrics().render();
    for line in ["scimwell_traps_total 2", "scimwell_memory_exceeded_total 1", "scimwell_timeouts_total 1"] {
        assert!(text.lines().any(|found| found == line), "{text}");
    }
}

#[track_caller]
fn check_refused(component: &[u8], says: &str) {
    let Err(error) = Engine::new(component, config()) else { panic!("accepted") };
    assert!(matches!(error, Error::Component { .. }));
    assert!(error.to_string().contains(says), "{error}");
}

#[test]
fn not_a_provider() {
    check_refused(b"", "scimwell:provider/provider");
    check_refused(b"<html>", "scimwell:provider/provider");
    check_refused(&wat::parse_str("(component)").unwrap(), "scimwell:provider/handler");
    let reads_files = r#"(component (import "wasi:filesystem/preopens@0.2.0" (instance)))"#;
    check_refused(&wat::parse_str(reads_files).unwrap(), "scimwell:provider/provider");
}
