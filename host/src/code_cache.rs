//! Compiled components kept between starts: to compile takes a second or two, to load what was compiled some milliseconds.
//!
//! wasmtime's own cache (its feature `cache`) brings a compression library in C and a thread that tidies up, and trusts its
//! directory whoever may write there. What is loaded is run as machine code, so the directory is what matters here.

use std::fs::{self, File, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::SystemTime;

use sha2::{Digest, Sha256};
use wasmtime::component::Component;

/// Compiled components that are kept; of more, the oldest go.
const KEPT: usize = 8;
/// Bytes of the SHA-256 at the end of each file.
const DIGEST: usize = 32;

/// A directory of compiled components.
///
/// It is used only where it, and the file in it, belong to this process's user and nobody else can write to them. Otherwise,
/// and wherever something fails, components are compiled as if there were no cache. On systems without Unix permissions that is
/// always so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeCache {
    directory: PathBuf,
}

impl CodeCache {
    /// A cache in this directory. It is made, for this user alone, once there is something to keep.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// The user's own: `$XDG_CACHE_HOME/scimwell`, else `$HOME/.cache/scimwell`; `None` where the environment has neither.
    pub fn of_user() -> Option<Self> {
        // The XDG Base Directory Specification has relative paths ignored.
        let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let caches = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
        Some(Self::new(caches.join("scimwell")))
    }

    /// The component, loaded or compiled.
    pub(crate) fn component(&self, engine: &wasmtime::Engine, wasm: &[u8]) -> wasmtime::Result<Component> {
        let path = self.directory.join(file_name(engine, wasm));
        match self.load(engine, &path) {
            Ok(component) => return Ok(component),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::debug!(%error, path = %path.display(), "compiled code can't be used: compiled anew"),
        }
        let component = Component::from_binary(engine, wasm)?;
        if let Err(error) = self.keep(&component.serialize()?, &path) {
            tracing::debug!(%error, path = %path.display(), "compiled code can't be kept");
        }
        Ok(component)
    }

    fn load(&self, engine: &wasmtime::Engine, path: &Path) -> io::Result<Component> {
        trust(&fs::metadata(&self.directory)?)?;
        let mut file = File::open(path)?;
        // Of the file that is open, whatever the path leads to by now.
        trust(&file.metadata()?)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let whole = bytes.split_last_chunk::<DIGEST>().filter(|(code, digest)| Sha256::digest(code)[..] == digest[..]);
        let (code, _) = whole.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the file is damaged"))?;
        // SAFETY: deserialize wants bytes that Component::serialize made. Nobody but this user could write the file, as
        // checked above, and what this user's processes write there, `keep`, ends with the digest of what serialize made. Code of
        // another version or configuration of wasmtime is found by deserialize itself and refused.
        let component = unsafe { Component::deserialize(engine, code) };
        component.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("{error:#}")))
    }

    fn keep(&self, code: &[u8], path: &Path) -> io::Result<()> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        make_private(&self.directory)?;
        trust(&fs::metadata(&self.directory)?)?;
        // Renamed into place whole, so that a process that starts meanwhile reads all of it or nothing.
        let part = path.with_extension(format!("{}-{}.part", std::process::id(), NEXT.fetch_add(1, Relaxed)));
        let written = write_private(&part, code).and_then(|()| fs::rename(&part, path));
        if written.is_err() {
            // It may not be there at all.
            let _ = fs::remove_file(&part);
        }
        written?;
        self.tidy()
    }

    /// Leaves the newest files.
    fn tidy(&self) -> io::Result<()> {
        let mut files: Vec<(SystemTime, PathBuf)> = fs::read_dir(&self.directory)?
            .map(|entry| entry.and_then(|entry| Ok((entry.metadata()?.modified()?, entry.path()))))
            .collect::<io::Result<_>>()?;
        files.sort();
        let surplus = files.len().saturating_sub(KEPT);
        files.drain(..surplus).try_for_each(|(_, path)| fs::remove_file(path))
    }
}

/// Names the component, this build of wasmtime and its configuration.
fn file_name(engine: &wasmtime::Engine, wasm: &[u8]) -> String {
    let mut compatibility = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut compatibility);
    let digest = Sha256::digest(wasm);
    let hex = digest.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    format!("{hex}-{:016x}.cwasm", compatibility.finish())
}

/// Fails unless this belongs to this process's user and nobody else can write to it.
#[cfg(unix)]
fn trust(metadata: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    /// Write permission of the group and of others.
    const OTHERS_WRITE: u32 = 0o022;
    let own = metadata.uid() == rustix::process::geteuid().as_raw();
    match own && metadata.mode() & OTHERS_WRITE == 0 {
        true => Ok(()),
        false => Err(io::Error::new(io::ErrorKind::PermissionDenied, "others than this user may write to it")),
    }
}

#[cfg(not(unix))]
fn trust(_: &Metadata) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(unix)]
fn make_private(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

#[cfg(not(unix))]
fn make_private(_: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// The code and its digest, on the disk when this returns.
fn write_private(path: &Path, code: &[u8]) -> io::Result<()> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(code)?;
    file.write_all(&Sha256::digest(code))?;
    file.sync_all()
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const WASM: &[u8] = b"(component (core module $m (func (export \"f\") nop)) (core instance (instantiate $m)))";

    fn wasm() -> Vec<u8> {
        wat::parse_bytes(WASM).unwrap().into_owned()
    }

    /// The file that holds the compiled component, if there is one.
    fn kept(cache: &CodeCache) -> Option<PathBuf> {
        let mut entries = fs::read_dir(&cache.directory).ok()?;
        entries.next().map(|entry| entry.unwrap().path())
    }

    fn load(cache: &CodeCache, engine: &wasmtime::Engine) -> io::Result<Component> {
        cache.load(engine, &cache.directory.join(file_name(engine, &wasm())))
    }

    #[test]
    fn what_was_compiled_is_loaded() {
        let directory = tempfile::tempdir().unwrap();
        let cache = CodeCache::new(directory.path().join("new/scimwell"));
        let engine = wasmtime::Engine::default();
        assert_eq!(load(&cache, &engine).map(drop).unwrap_err().kind(), io::ErrorKind::NotFound);
        cache.component(&engine, &wasm()).unwrap();
        load(&cache, &engine).unwrap();
        let mode = fs::metadata(&cache.directory).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        // Another configuration has code of its own.
        let other = wasmtime::Engine::new(wasmtime::Config::new().epoch_interruption(true)).unwrap();
        assert_eq!(load(&cache, &other).map(drop).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn damaged_code_is_compiled_anew() {
        let directory = tempfile::tempdir().unwrap();
        let cache = CodeCache::new(directory.path().join("scimwell"));
        let engine = wasmtime::Engine::default();
        cache.component(&engine, &wasm()).unwrap();
        let path = kept(&cache).unwrap();
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert_eq!(load(&cache, &engine).map(drop).unwrap_err().kind(), io::ErrorKind::InvalidData);
        cache.component(&engine, &wasm()).unwrap();
        load(&cache, &engine).unwrap();
        for broken in [&b""[..], b"short"] {
            fs::write(&path, broken).unwrap();
            assert_eq!(load(&cache, &engine).map(drop).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
    }

    #[test]
    fn where_others_may_write_nothing_is_loaded_or_kept() {
        let directory = tempfile::tempdir().unwrap();
        let cache = CodeCache::new(directory.path().join("scimwell"));
        let engine = wasmtime::Engine::default();
        cache.component(&engine, &wasm()).unwrap();
        let path = kept(&cache).unwrap();
        let open = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();

        open(&path, 0o620);
        assert_eq!(load(&cache, &engine).map(drop).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        open(&path, 0o600);
        open(&cache.directory, 0o702);
        assert_eq!(load(&cache, &engine).map(drop).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        fs::remove_file(&path).unwrap();
        cache.component(&engine, &wasm()).unwrap();
        assert_eq!(kept(&cache), None);
    }

    #[test]
    fn old_code_goes() {
        let directory = tempfile::tempdir().unwrap();
        let cache = CodeCache::new(directory.path().join("scimwell"));
        for number in 0..KEPT + 2 {
            cache.keep(b"code", &cache.directory.join(number.to_string())).unwrap();
        }
        assert_eq!(fs::read_dir(&cache.directory).unwrap().count(), KEPT);
        assert!(cache.directory.join((KEPT + 1).to_string()).exists());
    }
}
