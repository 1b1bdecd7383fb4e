//! The binary: what it prints, serves and refuses, and how it ends.
#![cfg(all(feature = "server", feature = "redb", unix))]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, pki_types};

/// A running server; killed when the test ends without having ended it.
struct Server {
    process: Child,
    /// What the server prints after the line that says where it listens.
    printed: BufReader<ChildStdout>,
    url: String,
    directory: tempfile::TempDir,
}

impl Server {
    fn start(arguments: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), arguments)
    }

    fn start_in(directory: tempfile::TempDir, arguments: &[&str]) -> Self {
        let mut process = command(directory.path(), arguments).spawn().unwrap();
        let mut line = String::new();
        let mut printed = BufReader::new(process.stdout.take().unwrap());
        printed.read_line(&mut line).unwrap();
        let Some(url) = line.trim_end().strip_prefix("listening on ") else {
            let mut log = String::new();
            process.stderr.take().unwrap().read_to_string(&mut log).unwrap();
            panic!("{line:?} is no `listening on`; the log: {log}");
        };
        Self { url: url.to_owned(), process, printed, directory }
    }

    fn address(&self) -> &str {
        self.url.split_once("://").unwrap().1
    }

    /// Tells the server to end.
    fn terminate(&self) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    }

    /// Waits for the end, and returns the data directory and the log.
    fn wait(mut self) -> (tempfile::TempDir, String) {
        let mut log = String::new();
        self.process.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        let status = self.process.wait().unwrap();
        assert!(status.success(), "{status}: {log}");
        // `Drop` forbids moving out; an empty directory takes the place.
        (std::mem::replace(&mut self.directory, tempfile::tempdir().unwrap()), log)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn command(directory: &Path, arguments: &[&str]) -> Command {
    let component = directory.join("guest.wasm");
    std::fs::write(&component, wat::parse_str(include_str!("guest.wat")).unwrap()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_scimwell"));
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--component"])
        .arg(component)
        .arg("--data")
        .arg(directory.join("data"))
        .args(arguments)
        .env_remove("RUST_LOG")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs to the end what should not start; returns what it says.
fn refusal(arguments: &[&str]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let output = command(directory.path(), arguments).output().unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

/// One HTTP/1.1 exchange; returns the whole response.
fn exchange(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

fn get(server: &Server, path: &str) -> String {
    exchange(server.address(), &format!("GET {path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n"))
}

#[track_caller]
fn check(server: &Server, path: &str, status: u16, holds: &str) {
    let response = get(server, path);
    assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{response}");
    assert!(response.contains(holds), "{response}");
}

#[test]
fn probes_and_metrics() {
    let server = Server::start(&[]);
    check(&server, "/healthz", 200, "ok");
    check(&server, "/readyz", 200, "ready");
    check(&server, "/scim/v2/target?filter=secret", 200, "/target?filter=secret");
    check(&server, "/metrics", 200, "scimwell_requests_total{method=\"GET\",status=\"2xx\"} 1");
    check(&server, "/nowhere", 404, "\"status\":\"404\"");
    let posted = exchange(server.address(), "POST /healthz HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
    assert!(posted.starts_with("HTTP/1.1 405 ") && posted.contains("\"status\":\"405\""), "{posted}");
}

#[test]
fn token_is_printed_once() {
    let mut server = Server::start(&[]);
    server.terminate();
    let mut text = String::new();
    server.printed.read_to_string(&mut text).unwrap();
    let (_, token) = text.split_once("Token: scimwell_").expect(&text);
    let secret = token.lines().next().unwrap().to_owned();
    assert_eq!(secret.len(), 64, "{text}");
    assert!(text.contains("SCIM connector base URL") && text.contains("Tenant URL"), "{text}");
    let (directory, log) = server.wait();
    assert!(!log.contains(&secret), "{log}");

    let mut again = Server::start_in(directory, &[]);
    again.terminate();
    let mut text = String::new();
    again.printed.read_to_string(&mut text).unwrap();
    assert!(text.contains("issued earlier") && !text.contains("Token: scimwell_"), "{text}");
}

#[test]
fn log_has_no_secrets() {
    let server = Server::start(&["--log-format", "json"]);
    let request = "GET /t/default/scim/v2/Users?filter=hidden HTTP/1.1\r\nhost: h\r\nauthorization: Bearer hidden\r\n\
                   x-request-id: my-id\r\nconnection: close\r\n\r\n";
    let response = exchange(server.address(), request);
    assert!(response.contains("x-request-id: my-id"), "{response}");
    server.terminate();
    let (_, log) = server.wait();
    let lines = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let access: Vec<_> = lines.filter(|line| line["message"] == "request").collect();
    assert_eq!(access.len(), 1, "{log}");
    assert_eq!(access[0]["request_id"], "my-id");
    assert_eq!(access[0]["path"], "/t/default/scim/v2/Users");
    assert_eq!(access[0]["status"], 200);
    assert!(!log.contains("hidden"), "{log}");
}

#[test]
fn ending_finishes_what_was_accepted() {
    let server = Server::start(&["--timeout", "20"]);
    let mut stream = TcpStream::connect(server.address()).unwrap();
    // Head accepted, body under way: the expected interim response says so.
    let head = "POST /scim/v2/echo HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert!(line.starts_with("HTTP/1.1 100 "), "{line}");
    server.terminate();
    // The listener is closed once new connections are refused.
    while TcpStream::connect(server.address()).is_ok() {
        std::thread::sleep(Duration::from_millis(5));
    }
    stream.write_all(b"after").unwrap();
    let mut response = String::new();
    reader.read_to_string(&mut response).unwrap();
    assert!(response.contains("HTTP/1.1 200 ") && response.ends_with("after"), "{response}");
    server.wait();
}

#[tokio::test]
async fn http2_without_tls() {
    let server = Server::start(&[]);
    let stream = tokio::net::TcpStream::connect(server.address()).await.unwrap();
    assert_eq!(http2_get(stream, &server.url, "/scim/v2/b").await, format!("{}/scim/v2", server.url));
}

#[tokio::test]
async fn tls_with_http2() {
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = certificate(directory.path());
    let paths = [certificate.display().to_string(), key.display().to_string()];
    let server = Server::start(&["--tls-cert", &paths[0], "--tls-key", &paths[1]]);
    assert!(server.url.starts_with("https://"));

    let mut roots = RootCertStore::empty();
    let pem = std::fs::read(&certificate).unwrap();
    roots.add(<pki_types::CertificateDer as pki_types::pem::PemObject>::from_pem_slice(&pem).unwrap()).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = tokio::net::TcpStream::connect(server.address()).await.unwrap();
    let name = pki_types::ServerName::try_from("localhost").unwrap();
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
    assert_eq!(http2_get(stream, &server.url, "/scim/v2/b").await, format!("{}/scim/v2", server.url));
}

#[test]
fn check_over_tls() {
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = certificate(directory.path());
    let paths = [certificate, key].map(|path| path.display().to_string());
    let server = Server::start(&["--tls-cert", &paths[0], "--tls-key", &paths[1]]);
    let url = format!("https://localhost:{}/scim/v2", server.address().rsplit_once(':').unwrap().1);
    let check = |trusted: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_scimwell"));
        command.args(["check", &url, "--token", "T"]).env("SSL_CERT_FILE", trusted).env_remove("SSL_CERT_DIR");
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(3));
        String::from_utf8(output.stderr).unwrap()
    };
    // The stand-in for the component answers, and is no SCIM server.
    let text = check(&paths[0]);
    assert!(text.contains("is no SCIM base URL"), "{text}");
    // Nobody's certificate is trusted: nothing is sent.
    let text = check("none.pem");
    assert!(text.contains("invalid peer certificate"), "{text}");
}

/// A self-signed certificate for `localhost` and its key.
fn certificate(directory: &Path) -> (PathBuf, PathBuf) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let paths = (directory.join("cert.pem"), directory.join("key.pem"));
    std::fs::write(&paths.0, made.cert.pem()).unwrap();
    std::fs::write(&paths.1, made.signing_key.serialize_pem()).unwrap();
    paths
}

async fn http2_get<S>(stream: S, url: &str, path: &str) -> String
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::get(format!("{url}{path}")).body(Empty::<Bytes>::new()).unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[track_caller]
fn check_refusal(arguments: &[&str], says: &[&str]) {
    let said = refusal(arguments);
    for part in says {
        assert!(said.contains(part), "{part} is missing in: {said}");
    }
}

#[test]
fn port_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_scimwell"));
    let output = command.args(["serve", "--dev", "--listen", &address]).current_dir(&directory).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("in use") && said.contains("--listen"), "{said}");
}

#[test]
fn data_in_use() {
    let server = Server::start(&[]);
    let data = server.directory.path().join("data").display().to_string();
    check_refusal(&["--storage", &format!("redb:{data}")], &[&data, "--data"]);
}

#[test]
fn unusable_options() {
    check_refusal(
        &["--storage", "postgres://h/db"],
        &["--storage", "the user is missing", "postgres://user:password@host"],
    );
    check_refusal(&["--base-url", "example.com"], &["--base-url", "https://"]);
    check_refusal(&["--tls-cert", "none.pem", "--tls-key", "none.pem"], &["--tls-cert", "none.pem"]);
}

#[test]
fn certificate_that_is_none() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("text.pem");
    std::fs::write(&file, "no certificate").unwrap();
    let file = file.display().to_string();
    check_refusal(&["--tls-cert", &file, "--tls-key", &file], &[&file, "no certificate in PEM"]);
}
