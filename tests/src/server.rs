//! The `scimwell` binary as a process of its own, as an operator runs it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use crate::client::{Client, Request};

/// The token that every test server accepts.
pub const TOKEN: &str = "black-box-token";

/// How long a start or a shutdown may take before the test fails.
const PATIENCE: Duration = Duration::from_mins(1);

/// The workspace's root.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace")
}

/// `scimwell serve` with these arguments, a free port and [`TOKEN`].
fn serving(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(["serve", "--listen", "127.0.0.1:0", "--token", TOKEN]).args(arguments);
    command
}

/// The server binary: `SCIMWELL_BIN`, or the one that `cargo xtask build` leaves.
pub fn binary() -> PathBuf {
    let path = std::env::var_os("SCIMWELL_BIN").map_or_else(|| built("scimwell"), PathBuf::from);
    assert!(path.exists(), "{} is missing: run `cargo xtask build` first", path.display());
    path
}

/// Where a release build leaves the program of this name.
pub fn built(name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    workspace().join(target).join("release").join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

/// A running server; killed when dropped.
#[derive(Debug)]
pub struct Server {
    process: Child,
    address: SocketAddr,
    said: Arc<Mutex<String>>,
}

impl Server {
    /// `scimwell serve --dev`: everything in memory, a tenant for the asking.
    pub fn dev() -> Self {
        Self::start(&["--dev"])
    }

    /// `scimwell serve --data DIR`: the embedded database.
    pub fn with_data(directory: &Path) -> Self {
        Self::with_data_and(directory, |command| command)
    }

    /// The same in another environment.
    pub fn with_data_and(directory: &Path, environment: impl FnOnce(&mut Command) -> &mut Command) -> Self {
        let mut command = serving(&["--data", directory.to_str().expect("a temporary directory has a UTF-8 name")]);
        environment(&mut command);
        Self::spawn(command)
    }

    /// `scimwell serve` with these arguments; waits until it listens.
    pub fn start(arguments: &[&str]) -> Self {
        Self::spawn(serving(arguments))
    }

    /// Any program that prints `listening on http://ADDRESS:PORT` when it is ready.
    pub fn spawn(command: Command) -> Self {
        Self::spawn_saying(command, "listening on ")
    }

    /// Any program that prints `words` and then `http://ADDRESS:PORT` when it is ready.
    pub fn spawn_saying(mut command: Command, words: &'static str) -> Self {
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(if std::env::var_os("SCIMWELL_TEST_LOG").is_some() { Stdio::inherit() } else { Stdio::null() })
            .spawn()
            .expect("the server binary runs");
        let stdout = process.stdout.take().expect("stdout is piped");
        let (sender, receiver) = mpsc::channel();
        let said = Arc::new(Mutex::new(String::new()));
        let heard = said.clone();
        // Reads on after the address, so that the server never blocks on a full pipe.
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                heard.lock().unwrap_or_else(PoisonError::into_inner).extend([line.as_str(), "\n"]);
                if let Some((_, url)) = line.split_once(words) {
                    let _ = sender.send(url.trim().to_owned());
                }
            }
        });
        let Ok(url) = receiver.recv_timeout(PATIENCE) else {
            let _ = process.kill();
            panic!("the server did not say `{words}…`: {:?}; SCIMWELL_TEST_LOG=1 shows its log", process.wait());
        };
        let address = url.strip_prefix("http://").and_then(|rest| rest.trim_end_matches('/').parse().ok());
        let Some(address) = address else {
            let _ = process.kill();
            panic!("expected `{words}http://ADDRESS:PORT`, found {url:?}");
        };
        Self { process, address, said }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has written to its standard output so far, once these words are in it.
    pub fn says(&self, words: &str) -> String {
        let started = Instant::now();
        loop {
            let said = self.said.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if said.contains(words) {
                return said;
            }
            assert!(started.elapsed() < PATIENCE, "the server does not say {words:?} but:\n{said}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// A new connection to it.
    pub fn client(&self) -> Client {
        Client::new(self.address)
    }

    /// kill -9: what a power cut or the kernel's memory killer does.
    pub fn kill(mut self) {
        self.process.kill().expect("the server runs until it is killed");
        self.process.wait().expect("a killed process ends");
    }

    /// SIGTERM: what an init system or an orchestrator sends. The caller waits for the end with [`Server::wait`].
    pub fn terminate(&self) {
        let status = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status().expect("kill(1) runs");
        assert!(status.success(), "kill -TERM: {status}");
    }

    /// Wait for the process to end by itself.
    pub fn wait(mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            match self.process.try_wait().expect("a child can be waited for") {
                Some(status) => return status,
                None if started.elapsed() > PATIENCE => panic!("the server still runs a minute after SIGTERM"),
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A request to tenant `tenant` of a `--dev` server, with [`TOKEN`]; `path` is relative to the SCIM base.
pub fn in_tenant(tenant: &str, method: &str, path: &str) -> Request {
    Request::new(method, format!("/t/{tenant}/scim/v2{path}")).bearer(TOKEN)
}

/// A request to the tenant of the token.
pub fn in_default(method: &str, path: &str) -> Request {
    Request::new(method, format!("/scim/v2{path}")).bearer(TOKEN)
}
