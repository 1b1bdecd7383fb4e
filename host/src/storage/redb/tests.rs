//! A full disk, a failure inside a batch, and a database that cannot be opened.

use std::sync::atomic::{AtomicBool, Ordering};

use std::io;

use redb::ReadableTable;
use redb::StorageBackend;
use redb::backends::InMemoryBackend;
use tokio::sync::oneshot;

use super::open::{Store, open_backends};
use super::write::{REOPEN_DELAY, write};
use super::*;
use crate::storage::{Key, Mutation};

/// A disk that is full while `is_full`.
#[derive(Debug)]
struct Disk {
    bytes: Arc<InMemoryBackend>,
    is_full: Arc<AtomicBool>,
}

impl Disk {
    fn check(&self) -> io::Result<()> {
        if self.is_full.load(Ordering::SeqCst) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.bytes.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.bytes.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check()?;
        self.bytes.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.check()?;
        self.bytes.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check()?;
        self.bytes.write(offset, data)
    }
}

/// Where a database lies, and its journal: what a process left there when it was killed can be opened again.
#[derive(Clone, Default)]
struct Place {
    database: Arc<InMemoryBackend>,
    journal: Arc<InMemoryBackend>,
    is_full: Arc<AtomicBool>,
}

impl Place {
    fn new() -> Self {
        Self {
            database: Arc::new(InMemoryBackend::new()),
            journal: Arc::new(InMemoryBackend::new()),
            is_full: Arc::default(),
        }
    }

    fn open(&self) -> Result<(Store, Arc<View>), StoreError> {
        let disk = |bytes: &Arc<InMemoryBackend>| Disk { bytes: Arc::clone(bytes), is_full: Arc::clone(&self.is_full) };
        open_backends(disk(&self.database), || Ok(disk(&self.journal)), "disk")
    }

    fn start(&self) -> Redb {
        let place = self.clone();
        Redb::start(Box::new(move || place.open())).unwrap()
    }
}

pub(super) fn job(mutations: Vec<Mutation>) -> Job {
    let (tenant, answer) = ("t".to_owned(), oneshot::channel().0);
    Job { tenant, checks: Vec::new(), mutations, bytes: 0, answer }
}

pub(super) fn put(key: &str, value: Vec<u8>) -> Job {
    job(vec![Mutation::Put(key.into(), value)])
}

fn keys(view: &View) -> Vec<Key> {
    view.iter().unwrap().map(|entry| entry.unwrap().0.value().to_vec()).collect()
}

/// One commit that fails of itself leaves nothing and takes none of those along that share its transaction.
#[test]
fn one_failure_in_a_batch() {
    let (mut store, _) = Place::new().open().unwrap();
    let append = || Mutation::Append(b"log".to_vec(), vec![0; 3]);
    let first_record = b"log\0\0\0\0\0\0\0\x01".to_vec();
    let batch = [
        job(vec![append()]),
        job(vec![Mutation::Put(b"half".to_vec(), vec![]), append(), Mutation::Add(first_record, 1)]),
        job(vec![append(), Mutation::Add(b"n".to_vec(), 1)]),
    ];
    let outcomes = write(&mut store, &batch).unwrap();
    assert!(matches!(outcomes[..], [Ok(Outcome::Committed), Err(StoreError::Other(_)), Ok(Outcome::Committed)]));
    let expect: [&[u8]; 3] = [b"t\0log\0\0\0\0\0\0\0\x01", b"t\0log\0\0\0\0\0\0\0\x02", b"t\0n"];
    assert_eq!(keys(&store.view().unwrap()), expect);
}

#[tokio::test]
async fn a_full_disk_heals() {
    let place = Place::new();
    let storage = place.start();
    let is_full = &place.is_full;
    let put = |key: &str| storage.commit("t", vec![], vec![Mutation::Put(key.into(), vec![1])]);
    assert_eq!(put("a").await, Ok(Outcome::Committed));

    is_full.store(true, Ordering::SeqCst);
    for _ in 0..2 {
        let refused = put("b").await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    }
    let refused = storage.get("t", &["a".into()]).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");

    is_full.store(false, Ordering::SeqCst);
    while put("c").await != Ok(Outcome::Committed) {
        tokio::time::sleep(REOPEN_DELAY / 10).await;
    }
    let keys = ["a", "b", "c"].map(Key::from);
    assert_eq!(storage.get("t", &keys).await, Ok(vec![Some(vec![1]), None, Some(vec![1])]));
}

#[test]
fn dropping_ends_a_writer_that_cannot_open() {
    let place = Place::new();
    let storage = place.start();
    place.is_full.store(true, Ordering::SeqCst);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let refused = runtime.block_on(storage.commit("t", vec![], vec![Mutation::Put(vec![1], vec![1])]));
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    drop(storage);
}

/// What only the journal has is there after a start, in order, whatever kind of change it was; and once it is in the database, it
/// isn't made again.
#[test]
fn a_start_takes_what_the_journal_has() {
    let place = Place::new();
    let (mut store, _) = place.open().unwrap();
    let range = KeyRange { start: b"b".to_vec(), end: b"d".to_vec() };
    let batches = [
        vec![put("a", vec![1]), put("b", vec![1]), put("c", vec![1])],
        vec![put("c", vec![2]), job(vec![Mutation::DeleteRange(range), Mutation::Put(b"b".to_vec(), vec![3])])],
        vec![job(vec![Mutation::Delete(b"a".to_vec()), Mutation::Append(b"log".to_vec(), vec![])])],
        vec![job(vec![Mutation::Add(b"n".to_vec(), 5)]), job(vec![Mutation::Add(b"n".to_vec(), 6)])],
    ];
    for batch in &batches {
        write(&mut store, batch).unwrap();
    }
    let before = keys(&store.view().unwrap());
    assert_eq!(before, [&b"t\0b"[..], b"t\0log\0\0\0\0\0\0\0\x01", b"t\0n"]);
    // As if killed: nobody closes it.
    std::mem::forget(store);

    for _ in 0..2 {
        let (store, view) = place.open().unwrap();
        assert_eq!(keys(&view), before);
        assert_eq!(view.get(&b"t\0n"[..]).unwrap().unwrap().value(), 11_i64.to_le_bytes());
        assert_eq!(view.get(&b"t\0b"[..]).unwrap().unwrap().value(), [3]);
        std::mem::forget(store);
    }
    let (mut store, _) = place.open().unwrap();
    write(&mut store, &[job(vec![Mutation::Append(b"log".to_vec(), vec![])])]).unwrap();
    assert_eq!(keys(&store.view().unwrap())[2], b"t\0log\0\0\0\0\0\0\0\x02", "the sequence goes on");
}

/// However full the journal was, and though a batch was too large for it, a start has everything.
#[test]
fn a_full_journal_begins_anew() {
    let place = Place::new();
    for round in 0..3_u8 {
        let (mut store, view) = place.open().unwrap();
        assert_eq!(keys(&view).len(), 60 * usize::from(round));
        for n in 0..60_u8 {
            let bytes = if n == 30 { 3_000_000 } else { 50_000 };
            write(&mut store, &[put(&format!("{round} {n}"), vec![n; bytes])]).unwrap();
        }
        std::mem::forget(store);
    }
    let (_store, view) = place.open().unwrap();
    for entry in view.iter().unwrap() {
        let (key, value) = entry.unwrap();
        let n: u8 = std::str::from_utf8(key.value()).unwrap().rsplit(' ').next().unwrap().parse().unwrap();
        assert!(value.value().iter().all(|byte| *byte == n));
    }
    assert_eq!(keys(&view).len(), 180);
}

/// A journal that is gone is told from one that has nothing; after a proper end it isn't needed.
#[test]
fn a_journal_that_is_missing_is_named() {
    let place = Place::new();
    let (mut store, _) = place.open().unwrap();
    write(&mut store, &[put("a", vec![])]).unwrap();
    std::mem::forget(store);
    let lost = Place { journal: Arc::new(InMemoryBackend::new()), ..place.clone() };
    let error = lost.open().map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("scimwell.journal") && error.contains("put it back"), "{error}");

    place.open().unwrap().0.close().unwrap();
    let (_store, view) = lost.open().unwrap();
    assert_eq!(keys(&view), [b"t\0a"]);
}
