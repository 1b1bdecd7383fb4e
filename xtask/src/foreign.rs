//! `scimwell check` against a server that somebody else wrote: what it finds there is known, so that a change of the checks
//! shows.

use std::collections::BTreeSet;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::suite::install;
use crate::workspace::Workspace;

const REQUIREMENTS: &str = include_str!("../scim2-server.txt");
/// The ids of the checks that this version fails.
const EXPECTED: &str = include_str!("../../tests/check/scim2-server.txt");
/// How often the server is looked for, 100 ms apart.
const ATTEMPTS: usize = 300;

/// Checks scim2-server of PyPI; anything else than the expected failures is an error.
pub(crate) fn check(workspace: &Workspace) -> Result<String> {
    let program = install(workspace, "scim2-server", REQUIREMENTS, "scim2-server")?;
    // It does not tell which port it took for 0: one is looked for first.
    let port =
        TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).context("no free port")?.port();
    let log = workspace.root.join("target").join("scim2-server.log");
    let log = fs::File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let server = Command::new(&program)
        .args(["--bearer-token", "xtask-token", "--port", &port.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .with_context(|| format!("cannot run {}", program.display()))?;
    let mut server = Running(server);
    server.wait_for(port)?;
    let url = format!("http://127.0.0.1:{port}/v2");
    let output = Command::new(workspace.server())
        .args(["check", &url, "--token", "xtask-token", "--patience", "120", "--timeout", "120"])
        .stdin(Stdio::null())
        .output()
        .context("cannot run scimwell check")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let found: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("FAILED").or_else(|| line.strip_prefix("BLOCKED")))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let expected: BTreeSet<&str> =
        EXPECTED.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    if found != expected || output.status.code() != Some(1) {
        eprint!("{text}{}", String::from_utf8_lossy(&output.stderr));
        bail!(
            "scimwell check found at scim2-server: {:?} beside what tests/check/scim2-server.txt lists, and did not find {:?}; the \
             report is above, the server's log in target/scim2-server.log",
            found.difference(&expected).collect::<Vec<_>>(),
            expected.difference(&found).collect::<Vec<_>>(),
        );
    }
    Ok(format!("{} failures, as expected", found.len()))
}

/// A process that ends with this value.
struct Running(Child);

impl Running {
    fn wait_for(&mut self, port: u16) -> Result<()> {
        for _ in 0..ATTEMPTS {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(());
            }
            if let Some(status) = self.0.try_wait()? {
                bail!("scim2-server ended before it was listening: {status}; its log is target/scim2-server.log");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        bail!("scim2-server does not listen on port {port}; its log is target/scim2-server.log")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It keeps everything in memory: there is nothing to shut down in order.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
