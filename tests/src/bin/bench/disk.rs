//! What the disk takes for what every commit waits for.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Bytes of a commit's record, about.
const RECORD: usize = 2048;
/// Records in the file, which is written over from its start.
const RECORDS: usize = 500;

/// Has the kernel write whatever it still holds back, where there is a command for that.
pub(crate) fn settle() -> io::Result<()> {
    match Command::new("sync").status() {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Reads the files of a data directory, so that the kernel has them in its page cache as far as that goes: it gives back what was not
/// read for a while, and reads that go to the disk would say nothing of the server.
pub(crate) fn warm(directory: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        io::copy(&mut File::open(entry?.path())?, &mut io::sink())?;
    }
    Ok(())
}

/// The times of writing a record and syncing it, in order, where the database is.
pub(crate) fn syncs(directory: &Path) -> io::Result<Vec<Duration>> {
    let path = directory.join("bench-syncs");
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
    io::copy(&mut io::repeat(0).take((RECORD * RECORDS) as u64), &mut file)?;
    file.sync_all()?;
    file.seek(SeekFrom::Start(0))?;
    let mut times = Vec::with_capacity(RECORDS);
    for _ in 0..RECORDS {
        let start = Instant::now();
        file.write_all(&[1; RECORD])?;
        file.sync_data()?;
        times.push(start.elapsed());
    }
    std::fs::remove_file(&path)?;
    times.sort_unstable();
    Ok(times)
}
