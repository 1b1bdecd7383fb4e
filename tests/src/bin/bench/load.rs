//! The load generator: keep-alive HTTP/1.1 connections that send prebuilt bytes and read just enough of the answers.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::task::JoinSet;

use crate::process;

/// Writes the n-th request into an empty buffer.
pub(crate) type Make = Arc<dyn Fn(u64, &mut Vec<u8>) + Send + Sync>;
/// Sees the n-th answer's body.
pub(crate) type Sink = Arc<dyn Fn(u64, &[u8]) + Send + Sync>;

/// What to send, how often, over how many connections.
#[derive(Clone)]
pub(crate) struct Load {
    /// The server.
    pub(crate) address: SocketAddr,
    /// Connections at once.
    pub(crate) connections: usize,
    /// Ends after so many requests …
    pub(crate) requests: u64,
    /// … or so long, whichever comes first.
    pub(crate) time: Duration,
    /// The requests.
    pub(crate) make: Make,
    /// Sees the answers.
    pub(crate) sink: Option<Sink>,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Measured {
    /// Of each request answered with success, ascending.
    latencies: Vec<Duration>,
    /// From the first request to the last answer.
    elapsed: Duration,
    /// Answers that were no success.
    pub(crate) failed: u64,
    /// The first of them.
    pub(crate) failure: Option<String>,
    /// The generator's own CPU time for all of it.
    generator: Option<Duration>,
    /// The server's CPU time for all of it.
    server: Option<Duration>,
}

impl Measured {
    /// Requests answered with success.
    pub(crate) fn count(&self) -> usize {
        self.latencies.len()
    }

    /// Operations a second.
    pub(crate) fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64()
    }

    /// The latency that `share` of the requests stay under.
    pub(crate) fn percentile(&self, share: f64) -> Duration {
        let at = (self.latencies.len() as f64 * share).ceil() as usize;
        self.latencies.get(at.saturating_sub(1)).copied().unwrap_or_default()
    }

    /// Microseconds of the generator's CPU for one request.
    pub(crate) fn generator_cost(&self) -> Option<f64> {
        self.per_request(self.generator)
    }

    /// Microseconds of the server's CPU for one request.
    pub(crate) fn server_cost(&self) -> Option<f64> {
        self.per_request(self.server)
    }

    fn per_request(&self, cpu: Option<Duration>) -> Option<f64> {
        Some(cpu?.as_secs_f64() * 1e6 / (self.latencies.len() as f64 + self.failed as f64).max(1.0))
    }

    /// Operations of these latencies in so long.
    pub(crate) fn of(mut latencies: Vec<Duration>, elapsed: Duration) -> Self {
        latencies.sort_unstable();
        Self { latencies, elapsed, ..Self::default() }
    }

    /// The same, as what several runs did at once in so long.
    pub(crate) fn within(self, elapsed: Duration) -> Self {
        Self { elapsed, ..self }
    }

    /// Put another run of the same load behind this one.
    pub(crate) fn append(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        self.latencies.sort_unstable();
        self.elapsed += other.elapsed;
        self.failed += other.failed;
        self.failure = self.failure.take().or(other.failure);
        self.generator = sum(self.generator, other.generator);
        self.server = sum(self.server, other.server);
    }
}

fn sum(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    one.into_iter().chain(other).reduce(|a, b| a + b)
}

/// Run a load from this thread alone, so that its CPU time can be told; `server` is the process that answers.
pub(crate) fn run(load: &Load, server: Option<u32>) -> io::Result<Measured> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let server_before = server.and_then(process::cpu_time);
    let generator_before = process::thread_cpu_time();
    let started = Instant::now();
    let mut measured = runtime.block_on(connections(load))?;
    measured.elapsed = started.elapsed();
    measured.generator = difference(generator_before, process::thread_cpu_time());
    measured.server = difference(server_before, server.and_then(process::cpu_time));
    measured.latencies.sort_unstable();
    Ok(measured)
}

fn difference(before: Option<Duration>, after: Option<Duration>) -> Option<Duration> {
    Some(after?.saturating_sub(before?))
}

async fn connections(load: &Load) -> io::Result<Measured> {
    let next = Arc::new(AtomicU64::new(0));
    let end = Instant::now() + load.time;
    let mut tasks = JoinSet::new();
    for _ in 0..load.connections {
        tasks.spawn(connection(load.clone(), next.clone(), end));
    }
    let mut all = Measured::default();
    while let Some(task) = tasks.join_next().await {
        let one = task.map_err(io::Error::other)??;
        all.latencies.extend(one.latencies);
        all.failed += one.failed;
        all.failure = all.failure.or(one.failure);
    }
    Ok(all)
}

async fn connection(load: Load, next: Arc<AtomicU64>, end: Instant) -> io::Result<Measured> {
    let mut stream = TcpStream::connect(load.address).await?;
    stream.set_nodelay(true)?;
    let mut measured = Measured::default();
    let (mut request, mut answer) = (Vec::new(), Vec::new());
    loop {
        let n = next.fetch_add(1, Ordering::Relaxed);
        if n >= load.requests {
            return Ok(measured);
        }
        request.clear();
        (load.make)(n, &mut request);
        let sent = Instant::now();
        if sent >= end {
            return Ok(measured);
        }
        stream.write_all(&request).await?;
        let (status, body) = read_answer(&mut stream, &mut answer).await?;
        if (200..300).contains(&status) {
            measured.latencies.push(sent.elapsed());
            if let Some(sink) = &load.sink {
                sink(n, &answer[body..]);
            }
        } else {
            measured.failed += 1;
            measured.failure.get_or_insert_with(|| String::from_utf8_lossy(&answer).into_owned());
        }
    }
}

/// Reads one answer into `answer`; returns its status and where its body starts.
async fn read_answer(stream: &mut TcpStream, answer: &mut Vec<u8>) -> io::Result<(u16, usize)> {
    answer.clear();
    let mut whole = None;
    loop {
        answer.reserve(16 * 1024);
        if stream.read_buf(answer).await? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection"));
        }
        if whole.is_none() {
            whole = head(answer)?;
        }
        if let Some((status, body, length)) = whole
            && answer.len() >= body + length
        {
            return Ok((status, body));
        }
    }
}

/// Status, start and length of the body; `None` while the head is not complete.
fn head(answer: &[u8]) -> io::Result<Option<(u16, usize, usize)>> {
    let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let broken = || io::Error::new(io::ErrorKind::InvalidData, "an answer that the load generator does not read");
    let text = str::from_utf8(&answer[..end]).map_err(|_| broken())?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.get(9..12)?.parse().ok()).ok_or_else(broken)?;
    let length = lines
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.parse().ok());
    match (status, length) {
        (_, Some(length)) => Ok(Some((status, end + 4, length))),
        (204 | 304, None) => Ok(Some((status, end + 4, 0))),
        _ => Err(broken()),
    }
}

/// What the generator itself costs: the same load against answers that cost nothing to make.
pub(crate) fn own_cost(connections: usize, time: Duration) -> io::Result<Measured> {
    let (sender, receiver) = std::sync::mpsc::channel();
    // A thread of its own, so that its work is not counted as the generator's; it ends with the process.
    std::thread::spawn(move || -> io::Result<()> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let _ = sender.send(listener.local_addr()?);
            loop {
                let (stream, _) = listener.accept().await?;
                tokio::spawn(respond(stream));
            }
        })
    });
    let address = receiver.recv().map_err(io::Error::other)?;
    let make: Make = Arc::new(|n, request| {
        request.extend_from_slice(format!("GET /scim/v2/Users/{n:036} HTTP/1.1\r\nHost: bench\r\n\r\n").as_bytes());
    });
    run(&Load { address, connections, requests: u64::MAX, time, make, sink: None }, None)
}

async fn respond(mut stream: TcpStream) -> io::Result<()> {
    let body = "x".repeat(1_500);
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.set_nodelay(true)?;
    let mut request = [0; 1024];
    // The generator sends one small request at a time: what arrives is one request.
    while stream.read(&mut request).await? > 0 {
        stream.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}
