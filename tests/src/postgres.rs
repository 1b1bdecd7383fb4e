//! A PostgreSQL server of the test's own: made in a temporary directory, stopped and removed when dropped.
//!
//! It needs PostgreSQL's programs: on the PATH, where Debian puts them, or where `SCIMWELL_POSTGRES_BIN` says.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a start may take before the test fails.
const PATIENCE: Duration = Duration::from_mins(1);
/// What every server is started with.
const SETTINGS: [&str; 4] =
    ["listen_addresses=127.0.0.1", "max_connections=300", "shared_buffers=256MB", "log_min_messages=fatal"];
/// The password of the server's only user: no error may ever show it.
pub const PASSWORD: &str = "pg-s3cret";

/// A running server.
#[derive(Debug)]
pub struct PostgresServer {
    programs: PathBuf,
    directory: PathBuf,
    settings: Vec<String>,
    port: u16,
    process: Child,
}

/// Makes directories and databases of one process different.
static SERIAL: AtomicU32 = AtomicU32::new(0);

impl PostgresServer {
    /// Whether PostgreSQL is installed.
    pub fn is_installed() -> bool {
        programs().is_some()
    }

    /// The server that the tests of this process share for as long as one of them uses it.
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<PostgresServer>> = Mutex::new(Weak::new());
        // A test that failed while it held the lock has left no server there.
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Self::start());
            *shared = Arc::downgrade(&server);
            server
        })
    }

    /// Starts a server for tests on a free port of this machine. It doesn't wait for its disk: what tests kill is the
    /// program, not the machine.
    pub fn start() -> Self {
        Self::start_with(&["fsync=off"], &[])
    }

    /// Starts a server with these settings beside the usual ones, and with these files beside its data.
    pub fn start_with(settings: &[&str], files: &[(&str, String)]) -> Self {
        let programs = programs().expect(
            "PostgreSQL's server programs are needed: `apt-get install postgresql`, or name their directory in \
             SCIMWELL_POSTGRES_BIN",
        );
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("scimwell-pg-{}-{serial}", std::process::id()));
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).expect("a temporary directory can be made");
        std::fs::set_permissions(&directory, PermissionsExt::from_mode(0o700)).expect("the mode can be set");
        let server = unprivileged();
        let give = |path: &Path| {
            if let Some((user, group)) = server {
                chown(path, Some(user), Some(group)).expect("root may give a file away");
            }
        };
        give(&directory);
        let password = directory.join("password");
        let files = files.iter().map(|(name, text)| (directory.join(name), text.as_str()));
        for (path, text) in files.chain([(password.clone(), PASSWORD)]) {
            std::fs::write(&path, text).expect("a file can be written");
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("the mode can be set");
            give(&path);
        }
        let data = directory.join("data");
        let made = as_server(&programs.join("initdb"))
            .args(["--username=scimwell", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"])
            .arg(format!("--pwfile={}", password.display()))
            .arg(format!("--pgdata={}", data.display()))
            .output()
            .expect("initdb runs");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let port = free_port().expect("a port is free");
        let settings: Vec<String> = SETTINGS.iter().chain(settings).map(ToString::to_string).collect();
        let process = Self::spawn(&programs, &directory, port, &settings);
        let server = Self { programs, directory, settings, port, process };
        server.wait_until_ready();
        server
    }

    fn spawn(programs: &Path, directory: &Path, port: u16, settings: &[String]) -> Child {
        as_server(&programs.join("postgres"))
            .arg("-D")
            .arg(directory.join("data"))
            .arg("-k")
            .arg(directory)
            .args(["-p", &port.to_string()])
            .args(settings.iter().flat_map(|setting| ["-c", setting]))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(if std::env::var_os("SCIMWELL_TEST_LOG").is_some() { Stdio::inherit() } else { Stdio::null() })
            .spawn()
            .expect("postgres runs")
    }

    fn wait_until_ready(&self) {
        let started = Instant::now();
        while let Err(why) = self.sql("postgres", "SELECT 1") {
            assert!(started.elapsed() < PATIENCE, "the database server does not start: {why}");
            sleep(Duration::from_millis(50));
        }
    }

    /// Stops the server as an administrator does, or as a crash does, and starts it again on the same port.
    pub fn restart(&mut self, crash: bool) {
        self.stop(if crash { "-QUIT" } else { "-INT" });
        self.process = Self::spawn(&self.programs, &self.directory, self.port, &self.settings);
        self.wait_until_ready();
    }

    fn stop(&mut self, signal: &str) {
        let pid = self.process.id().to_string();
        let told = Command::new("kill").args([signal, &pid]).status().is_ok_and(|status| status.success());
        if !told {
            // Then at least without a farewell.
            let _ = self.process.kill();
        }
        let _ = self.process.wait();
    }

    /// The URL of a new, empty database.
    pub fn database(&self) -> String {
        let name = format!("d{}", SERIAL.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}")).expect("a database can be made");
        self.url(&name)
    }

    /// The URL of a database.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://scimwell:{PASSWORD}@{}/{database}", self.address())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// What a statement answers, as psql prints it.
    pub fn sql(&self, database: &str, statement: &str) -> io::Result<String> {
        let output = Command::new(self.programs.join("psql"))
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--dbname", &self.url(database)])
            .args(["--command", statement])
            .output()?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned()),
            false => Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned())),
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.stop("-INT");
        // A directory left behind does no harm; a panic while dropping would hide the test's own.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// The directory of PostgreSQL's programs.
fn programs() -> Option<PathBuf> {
    let named = std::env::var_os("SCIMWELL_POSTGRES_BIN").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut debian: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|versions| versions.filter_map(Result::ok).map(|version| version.path().join("bin")).collect())
        .unwrap_or_default();
    debian.sort();
    let is_whole =
        |directory: &PathBuf| ["initdb", "postgres", "psql"].iter().all(|name| directory.join(name).exists());
    named.into_iter().chain(std::env::split_paths(&path)).chain(debian.into_iter().rev()).find(is_whole)
}

/// A command as the user that the server runs as: PostgreSQL refuses to run as root.
fn as_server(program: &Path) -> Command {
    let mut command = Command::new(program);
    if let Some((user, group)) = unprivileged() {
        command.uid(user).gid(group).current_dir("/");
    }
    command
}

/// Where this is root: whom to be instead.
fn unprivileged() -> Option<(u32, u32)> {
    let id = |arguments: &[&str]| -> Option<u32> {
        let output = Command::new("id").args(arguments).output().ok()?;
        String::from_utf8_lossy(&output.stdout).trim().parse().ok()
    };
    if id(&["-u"])? != 0 {
        return None;
    }
    ["postgres", "nobody"].iter().find_map(|name| Some((id(&["-u", name])?, id(&["-g", name])?)))
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
