//! Log lines, written by a thread of their own, many at a time.
//!
//! A request must not wait for a slow terminal or a full pipe to take its line, and waking a thread for each line costs more
//! than the line: with tracing-appender's writer up to a quarter of a busy server's CPU went there. So whoever has a line adds it to a
//! buffer, the first one wakes the thread, and that takes what has gathered a moment later.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// How long lines gather.
const GATHERING: Duration = Duration::from_millis(5);
/// Bytes that are written at once without waiting for more.
const ENOUGH: usize = 64 * 1024;
/// Bytes that may wait. Where nobody takes them, requests wait for that: no line is lost.
const ROOM: usize = 16 * 1024 * 1024;

/// Where lines go; each `write` is one or more whole ones.
#[derive(Clone, Debug)]
pub(super) struct Lines(Arc<Shared>);

/// The thread that writes. Dropped, it waits until all is written.
#[derive(Debug)]
pub(super) struct Writing {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// There is something to write, enough of it, or an end to it.
    ready: Condvar,
    /// There is room again.
    taken: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    has_ended: bool,
}

/// Starts a thread that writes lines to `to`.
pub(super) fn writing(to: impl Write + Send + 'static) -> io::Result<(Lines, Writing)> {
    let shared = Arc::new(Shared::default());
    let thread = thread::Builder::new().name("scimwell-log".to_owned()).spawn({
        let shared = Arc::clone(&shared);
        move || shared.write_until_ended(to)
    })?;
    Ok((Lines(Arc::clone(&shared)), Writing { shared, thread: Some(thread) }))
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Whoever panicked while it was locked, bytes are whole lines.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, lines: &[u8]) {
        let is_full = |waiting: &mut Waiting| waiting.bytes.len() > ROOM && !waiting.has_ended;
        let mut waiting = self.taken.wait_while(self.waiting(), is_full).unwrap_or_else(PoisonError::into_inner);
        let before = waiting.bytes.len();
        waiting.bytes.extend_from_slice(lines);
        if before == 0 || (before < ENOUGH && waiting.bytes.len() >= ENOUGH) {
            self.ready.notify_one();
        }
    }

    fn write_until_ended(&self, mut to: impl Write) {
        let mut lines = Vec::new();
        loop {
            let is_idle = |waiting: &mut Waiting| waiting.bytes.is_empty() && !waiting.has_ended;
            let waiting = self.ready.wait_while(self.waiting(), is_idle).unwrap_or_else(PoisonError::into_inner);
            let may_gather = |waiting: &mut Waiting| waiting.bytes.len() < ENOUGH && !waiting.has_ended;
            let gathered = self.ready.wait_timeout_while(waiting, GATHERING, may_gather);
            let (mut waiting, _) = gathered.unwrap_or_else(PoisonError::into_inner);
            std::mem::swap(&mut waiting.bytes, &mut lines);
            let has_ended = waiting.has_ended;
            drop(waiting);
            self.taken.notify_all();
            // Where standard error is closed there is nobody to tell.
            let _ = to.write_all(&lines).and_then(|()| to.flush());
            lines.clear();
            if has_ended && self.waiting().bytes.is_empty() {
                return;
            }
        }
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.shared.waiting().has_ended = true;
        self.shared.ready.notify_one();
        self.shared.taken.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Write for Lines {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        self.0.add(lines);
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// Takes what is written, while it may.
    #[derive(Clone, Default)]
    struct Pipe {
        written: Arc<Mutex<Vec<u8>>>,
        is_stuck: Arc<AtomicBool>,
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            while self.is_stuck.load(Ordering::SeqCst) {
                thread::yield_now();
            }
            self.written.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_line_is_written_whole_and_in_its_threads_order() {
        let pipe = Pipe::default();
        let (lines, writing) = writing(pipe.clone()).unwrap();
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let mut lines = lines.clone();
                thread::spawn(move || {
                    // In one piece, as a line of the log comes.
                    (0..5000).for_each(|n| lines.write_all(format!("{thread} {n}\n").as_bytes()).unwrap());
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        drop(writing);
        let written = String::from_utf8(pipe.written.lock().unwrap().clone()).unwrap();
        for thread in 0..4 {
            let own = written.lines().filter_map(|line| line.strip_prefix(&format!("{thread} ")));
            assert!(own.eq((0..5000).map(|n| n.to_string())), "{thread}");
        }
        assert_eq!(written.lines().count(), 4 * 5000);
    }

    /// Where nobody takes the lines, those who have more wait, and nothing is lost.
    #[test]
    fn a_pipe_that_is_stuck() {
        let pipe = Pipe::default();
        pipe.is_stuck.store(true, Ordering::SeqCst);
        let (lines, writing) = writing(pipe.clone()).unwrap();
        let line = vec![b'x'; 1024 * 1024];
        let count = 3 * ROOM / line.len();
        let (done, is_done) = std::sync::mpsc::channel();
        let writer = thread::spawn(move || {
            for _ in 0..count {
                lines.clone().write_all(&line).unwrap();
            }
            done.send(()).unwrap();
        });
        assert!(is_done.recv_timeout(Duration::from_millis(200)).is_err(), "more than its room was taken");
        pipe.is_stuck.store(false, Ordering::SeqCst);
        writer.join().unwrap();
        drop(writing);
        assert_eq!(pipe.written.lock().unwrap().len(), 3 * ROOM);
    }
}
