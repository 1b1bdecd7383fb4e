//! An HTTP/1.1 client that sends what it is told, byte for byte: no normalised paths, no headers of its own.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// How long one answer may take before a test gives up on the server.
const PATIENCE: Duration = Duration::from_mins(1);
/// More header bytes than any answer has.
const HEAD_BYTES: u64 = 64 * 1024;

/// One request as it goes over the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: String,
    /// The request target, sent as it is.
    pub target: String,
    /// Sent in this order; `Host` and `Content-Length` are added where they are missing.
    pub headers: Vec<(String, String)>,
    /// The body; none where empty.
    pub body: Vec<u8>,
}

impl Request {
    /// A request without headers and body.
    pub fn new(method: &str, target: impl Into<String>) -> Self {
        Self { method: method.to_owned(), target: target.into(), ..Self::default() }
    }

    /// The request with one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The request with a bearer token.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("Authorization", format!("Bearer {token}"))
    }

    /// The request with a SCIM body.
    #[must_use]
    pub fn json(mut self, body: &Value) -> Self {
        self.body = body.to_string().into_bytes();
        self.header("Content-Type", "application/scim+json")
    }

    /// Whether a header is there already.
    pub fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name))
    }

    fn write(&self, host: SocketAddr, out: &mut Vec<u8>) {
        let mut line = |text: &str| {
            out.extend_from_slice(text.as_bytes());
            out.extend_from_slice(b"\r\n");
        };
        line(&format!("{} {} HTTP/1.1", self.method, self.target));
        if !self.has("host") {
            line(&format!("Host: {host}"));
        }
        if !self.has("content-length") && !self.has("transfer-encoding") && !self.body.is_empty() {
            line(&format!("Content-Length: {}", self.body.len()));
        }
        for (name, value) in &self.headers {
            line(&format!("{name}: {value}"));
        }
        line("");
        out.extend_from_slice(&self.body);
    }
}

/// One answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Names in lower case, in the order received.
    pub headers: Vec<(String, String)>,
    /// The body, without its transfer coding.
    pub body: Vec<u8>,
}

impl Response {
    /// The value of the first header called `name` (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The body as JSON; null where there is no body or no JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

impl fmt::Display for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, String::from_utf8_lossy(&self.body))
    }
}

/// A connection to one server, kept open between requests.
#[derive(Debug)]
pub struct Client {
    address: SocketAddr,
    connection: Option<BufReader<TcpStream>>,
}

impl Client {
    /// A client of the server at `address`; it connects at the first request.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, connection: None }
    }

    /// The server's address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Send a request and read its answer. A failed request is never repeated: the server may have taken it.
    pub fn send(&mut self, request: &Request) -> io::Result<Response> {
        let mut bytes = Vec::new();
        request.write(self.address, &mut bytes);
        self.send_bytes(&bytes, request.method == "HEAD")
    }

    /// Send raw bytes and read one answer; `head` says that it has no body whatever its headers say.
    pub fn send_bytes(&mut self, bytes: &[u8], head: bool) -> io::Result<Response> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect()?,
        };
        // A server may answer and close before it has read everything (413): then the answer counts, not the failed write.
        let written = connection.get_mut().write_all(bytes);
        let (response, keep) = read_response(&mut connection, head).map_err(|error| written.err().unwrap_or(error))?;
        if keep {
            self.connection = Some(connection);
        }
        Ok(response)
    }

    fn connect(&self) -> io::Result<BufReader<TcpStream>> {
        let stream = TcpStream::connect_timeout(&self.address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(BufReader::new(stream))
    }
}

/// The answer, and whether the connection stays open after it.
fn read_response(from: &mut BufReader<TcpStream>, head: bool) -> io::Result<(Response, bool)> {
    let status_line = read_line(from)?;
    // HTTP/1.0 is what some foreign servers speak.
    let (version, rest) = status_line.split_once(' ').unwrap_or_default();
    let status = rest
        .get(..3)
        .filter(|_| version == "HTTP/1.1" || version == "HTTP/1.0")
        .and_then(|status| status.parse().ok())
        .ok_or_else(|| broken(format!("no HTTP/1.1 status line: {status_line:?}")))?;
    let mut response = Response { status, ..Response::default() };
    loop {
        let line = read_line(from)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| broken(format!("no header: {line:?}")))?;
        response.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let close = response.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    let mut keep = version == "HTTP/1.1" && !close;
    if head || status == 204 || status == 304 {
        return Ok((response, keep));
    }
    if response.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        response.body = read_chunks(from)?;
    } else if let Some(length) = response.header("content-length") {
        let length = length.parse().map_err(|_| broken(format!("no Content-Length: {length:?}")))?;
        response.body = vec![0; length];
        from.read_exact(&mut response.body)?;
    } else {
        from.read_to_end(&mut response.body)?;
        keep = false;
    }
    Ok((response, keep))
}

fn read_chunks(from: &mut BufReader<TcpStream>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_line(from)?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| broken(format!("no chunk size: {line:?}")))?;
        let start = body.len();
        body.resize(start + size, 0);
        from.read_exact(&mut body[start..])?;
        let end = read_line(from)?;
        if !end.is_empty() {
            return Err(broken(format!("a chunk longer than it says, or a trailer: {end:?}")));
        }
        if size == 0 {
            return Ok(body);
        }
    }
}

fn read_line(from: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = Vec::new();
    from.by_ref().take(HEAD_BYTES).read_until(b'\n', &mut line)?;
    let Some(line) = line.strip_suffix(b"\r\n") else {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection"));
    };
    Ok(String::from_utf8_lossy(line).into_owned())
}

fn broken(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
