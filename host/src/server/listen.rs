//! Connections: accept, TLS, HTTP/1.1 and HTTP/2, and an end that finishes what was accepted.

use std::net::SocketAddr;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::front::Front;

/// How long a client may take over a request's head, and over a TLS handshake.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// How long requests have to finish once the process is told to end.
const DRAIN: Duration = Duration::from_secs(30);
/// What to wait when the system has no more file descriptors: connections that end give some back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Bytes of an HTTP/1.1 head, or of HTTP/2 headers, at most. Filters travel in the head.
const HEAD_BYTES: u16 = 60_000;
/// Requests at once on one HTTP/2 connection.
const STREAMS: u32 = 128;

/// Serves connections until `end` resolves, then finishes what is under way.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    front: Front,
    end: impl Future<Output = ()>,
) {
    let http = http();
    let graceful = GracefulShutdown::new();
    let mut end = std::pin::pin!(end);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut end => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                // Responses are small and whole: waiting to fill a packet only delays them.
                let _ = stream.set_nodelay(true);
                tokio::spawn(connection(http.clone(), tls.clone(), stream, peer, front.clone(), graceful.watcher()));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    tracing::info!("ending: no new connections, finishing the requests under way");
    if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not finish within {} seconds and were cut off", DRAIN.as_secs());
    }
}

fn http() -> auto::Builder<TokioExecutor> {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(usize::from(HEAD_BYTES))
        .pipeline_flush(true);
    http.http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_mins(1))
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::from(HEAD_BYTES));
    http
}

async fn connection(
    http: auto::Builder<TokioExecutor>,
    tls: Option<TlsAcceptor>,
    stream: TcpStream,
    peer: SocketAddr,
    front: Front,
    watcher: Watcher,
) {
    let Some(tls) = tls else {
        return exchange(&http, stream, front.connection(peer, false), watcher).await;
    };
    match tokio::time::timeout(HEAD_TIMEOUT, tls.accept(stream)).await {
        Ok(Ok(stream)) => exchange(&http, stream, front.connection(peer, true), watcher).await,
        Ok(Err(error)) => tracing::debug!(%peer, %error, "TLS handshake failed"),
        Err(_elapsed) => tracing::debug!(%peer, "TLS handshake took too long"),
    }
}

async fn exchange<S>(http: &auto::Builder<TokioExecutor>, stream: S, front: Front, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(front));
    // Clients that go away are daily business.
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(error, "a connection ended early");
    }
}

/// Resolves when the process is told to end, by SIGTERM or from the keyboard.
pub(super) fn told_to_end() -> std::io::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        Ok(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        })
    }
    #[cfg(not(unix))]
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
