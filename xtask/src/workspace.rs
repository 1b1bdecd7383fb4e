//! Where things are, and the commands that run there.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use xshell::Shell;

/// The WebAssembly target of the components.
pub(crate) const WASM_TARGET: &str = "wasm32-wasip2";

/// The checked-out workspace.
pub(crate) struct Workspace {
    /// Runs commands in the workspace's root.
    pub(crate) shell: Shell,
    /// The workspace's root.
    pub(crate) root: PathBuf,
    /// Cargo's target directory.
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// The workspace that this xtask was compiled in.
    pub(crate) fn open() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask has no parent directory")?.to_owned();
        let shell = Shell::new()?;
        shell.change_dir(&root);
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(directory) => root.join(directory),
            None => root.join("target"),
        };
        Ok(Self { shell, root, target })
    }

    /// The server binary.
    pub(crate) fn server(&self) -> PathBuf {
        self.target.join("release").join(format!("scimwell{}", std::env::consts::EXE_SUFFIX))
    }

    /// Where the components are kept. The host's build script looks there, whatever the target directory.
    pub(crate) fn components(&self) -> PathBuf {
        self.root.join("target").join("components")
    }

    /// A cargo command. `cargo xtask` sets variables of the package xtask, which some build scripts watch (ring's): passed
    /// on, each change between `cargo xtask build` and `cargo build` would compile half of the server again.
    pub(crate) fn cargo(&self, arguments: &str) -> xshell::Cmd<'_> {
        let inherited = std::env::vars_os().map(|(name, _)| name).filter(|name| {
            name.to_str().is_some_and(|n| n.starts_with("CARGO_PKG_") || n.starts_with("CARGO_MANIFEST_"))
        });
        let command = self.shell.cmd("cargo").args(arguments.split(' '));
        inherited.fold(command, xshell::Cmd::env_remove)
    }

    /// Install what the toolchain lacks: the WebAssembly target, rustfmt and clippy.
    pub(crate) fn ensure_toolchain(&self, tools: &[&str]) -> Result<()> {
        let sysroot = xshell::cmd!(self.shell, "rustc --print sysroot").quiet().read()?;
        if !Path::new(sysroot.trim()).join("lib/rustlib").join(WASM_TARGET).join("lib").is_dir() {
            self.rustup(&["target", "add", WASM_TARGET])?;
        }
        for tool in tools {
            let probe = Command::new("cargo").args([tool, "--version"]).current_dir(&self.root).output();
            if !probe.is_ok_and(|output| output.status.success()) {
                // `cargo fmt` comes with the component rustfmt.
                self.rustup(&["component", "add", if *tool == "fmt" { "rustfmt" } else { tool }])?;
            }
        }
        Ok(())
    }

    fn rustup(&self, arguments: &[&str]) -> Result<()> {
        say(format_args!("installing: rustup {}", arguments.join(" ")));
        xshell::cmd!(self.shell, "rustup {arguments...}")
            .quiet()
            .run()
            .with_context(|| format!("this toolchain lacks a part; install it: rustup {}", arguments.join(" ")))
    }
}

/// Run `command` in place of this process, so that signals and the exit code are its own.
pub(crate) fn become_program(program: &Path, arguments: &[impl AsRef<OsStr>]) -> Result<std::process::ExitCode> {
    let mut command = Command::new(program);
    command.args(arguments);
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        let error = command.exec();
        bail!("cannot run {}: {error}", program.display());
    }
    #[cfg(not(unix))]
    {
        let status = command.status().with_context(|| format!("cannot run {}", program.display()))?;
        let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
        Ok(std::process::ExitCode::from(code))
    }
}

/// Tell the person at the terminal what happens now.
pub(crate) fn say(message: std::fmt::Arguments<'_>) {
    eprintln!("xtask: {message}");
}
