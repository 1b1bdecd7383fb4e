//! A directory for one test's data.

use std::path::{Path, PathBuf};

/// A directory under the system's temporary one; removed when dropped.
#[derive(Debug)]
pub struct DataDirectory(PathBuf);

impl DataDirectory {
    /// An empty directory; `name` tells one test of a process from another.
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("scimwell-test-{}-{name}", std::process::id()));
        if path.exists() {
            std::fs::remove_dir_all(&path).expect("what an earlier run left can be removed");
        }
        std::fs::create_dir_all(&path).expect("a temporary directory can be made");
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for DataDirectory {
    fn drop(&mut self) {
        // A directory left behind does no harm; a panic while dropping would hide the test's own.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
