//! A full disk, a failure inside a batch, and a database that cannot be opened.

use std::sync::atomic::{AtomicBool, Ordering};

use redb::backends::InMemoryBackend;

use super::*;

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

/// One commit that fails of itself leaves nothing and takes none of those along that share its transaction.
#[test]
fn one_failure_in_a_batch() {
    let (database, _) = open_backend(InMemoryBackend::new(), "memory").unwrap();
    let job = |mutations| {
        let (tenant, answer) = ("t".to_owned(), oneshot::channel().0);
        Job { tenant, checks: Vec::new(), mutations, bytes: 0, answer }
    };
    let append = || Mutation::Append(b"log".to_vec(), vec![0; 3]);
    let first_record = b"log\0\0\0\0\0\0\0\x01".to_vec();
    let batch = [
        job(vec![append()]),
        job(vec![Mutation::Put(b"half".to_vec(), vec![]), append(), Mutation::Add(first_record, 1)]),
        job(vec![append(), Mutation::Add(b"n".to_vec(), 1)]),
    ];
    let outcomes = write(&database, &batch).unwrap();
    assert!(matches!(outcomes[..], [Ok(Outcome::Committed), Err(StoreError::Other(_)), Ok(Outcome::Committed)]));
    let keys = snapshot(&database).unwrap();
    let keys: Vec<Key> = keys.iter().unwrap().map(|entry| entry.unwrap().0.value().to_vec()).collect();
    let expect: [&[u8]; 3] = [b"t\0log\0\0\0\0\0\0\0\x01", b"t\0log\0\0\0\0\0\0\0\x02", b"t\0n"];
    assert_eq!(keys, expect);
}

#[tokio::test]
async fn a_full_disk_heals() {
    let (bytes, is_full) = (Arc::new(InMemoryBackend::new()), Arc::new(AtomicBool::new(false)));
    let open = {
        let is_full = Arc::clone(&is_full);
        move || {
            let disk = Disk { bytes: Arc::clone(&bytes), is_full: Arc::clone(&is_full) };
            open_backend(disk, "disk")
        }
    };
    let storage = Redb::start(Box::new(open)).unwrap();
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
    let (bytes, is_full) = (Arc::new(InMemoryBackend::new()), Arc::new(AtomicBool::new(false)));
    let disk = move |is_full| open_backend(Disk { bytes: Arc::clone(&bytes), is_full }, "disk");
    let storage = Redb::start({
        let is_full = Arc::clone(&is_full);
        Box::new(move || disk(Arc::clone(&is_full)))
    })
    .unwrap();
    is_full.store(true, Ordering::SeqCst);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let refused = runtime.block_on(storage.commit("t", vec![], vec![Mutation::Put(vec![1], vec![1])]));
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    drop(storage);
}
