//! Power cuts: whatever the disk had not been told to keep is there, or not, or in part, and all that was acknowledged is.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use proptest::prelude::*;
use redb::{ReadableTable, StorageBackend};

use super::open::open_backends;
use super::tests::{job, put};
use super::write::write;
use super::{Arc, Mutation, StoreError, View};

/// What a disk keeps or loses at once.
const SECTOR: usize = 512;

/// A file on a disk that holds back what was not synced.
#[derive(Debug, Default)]
struct File {
    kept: Vec<u8>,
    now: Vec<u8>,
    /// Writes and lengths since the last sync.
    held_back: Vec<Held>,
}

#[derive(Debug)]
enum Held {
    Bytes(usize, Vec<u8>),
    Length(usize),
}

impl File {
    fn apply(image: &mut Vec<u8>, held: &Held, is_kept: &mut impl FnMut() -> bool) {
        match held {
            Held::Length(length) => image.resize(*length, 0),
            Held::Bytes(offset, bytes) => {
                for (at, sector) in sectors(*offset, bytes) {
                    if is_kept() {
                        image.resize(image.len().max(at + sector.len()), 0);
                        image[at..at + sector.len()].copy_from_slice(sector);
                    }
                }
            }
        }
    }

    /// What is left after a cut: of each sector written since the last sync, what chance decides.
    fn after_cut(&self, mut is_kept: impl FnMut() -> bool) -> Self {
        let mut kept = self.kept.clone();
        self.held_back.iter().for_each(|held| Self::apply(&mut kept, held, &mut is_kept));
        Self { now: kept.clone(), kept, held_back: Vec::new() }
    }
}

/// Bytes by the sectors in which they lie.
fn sectors(mut offset: usize, mut bytes: &[u8]) -> Vec<(usize, &[u8])> {
    let mut parts = Vec::new();
    while !bytes.is_empty() {
        let (part, rest) = bytes.split_at((SECTOR - offset % SECTOR).min(bytes.len()));
        parts.push((offset, part));
        offset += part.len();
        bytes = rest;
    }
    parts
}

/// A file as the store sees it; the power fails after so many operations on either file.
#[derive(Clone, Debug)]
struct Disk {
    file: Arc<Mutex<File>>,
    left: Arc<AtomicU64>,
}

impl Disk {
    fn new(file: File, left: &Arc<AtomicU64>) -> Self {
        Self { file: Arc::new(Mutex::new(file)), left: Arc::clone(left) }
    }

    fn with<T>(&self, operation: impl FnOnce(&mut File) -> T) -> io::Result<T> {
        let left = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        left.map_err(|_| io::Error::other("no power"))?;
        Ok(operation(&mut self.file.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.lock().unwrap_or_else(PoisonError::into_inner).now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let bytes = file.now.get(start..start + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let length = usize::try_from(len).map_err(io::Error::other)?;
        self.with(|file| {
            file.now.resize(length, 0);
            file.held_back.push(Held::Length(length));
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(|file| {
            file.kept.clone_from(&file.now);
            file.held_back.clear();
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        self.with(|file| {
            let held = Held::Bytes(offset, data.to_vec());
            File::apply(&mut file.now, &held, &mut || true);
            file.held_back.push(held);
        })
    }
}

type Contents = BTreeMap<Vec<u8>, Vec<u8>>;

fn contents(view: &View) -> Contents {
    view.iter()
        .unwrap()
        .map(Result::unwrap)
        .map(|(key, value)| (key.value().to_vec(), value.value().to_vec()))
        .collect()
}

/// Commits until the power fails, and what was acknowledged; with that, what the commit under way would have made of it.
fn commit_until_cut(disks: &[Disk; 2], sizes: &[usize], mut now: Contents) -> (Contents, Option<Contents>) {
    let [database, journal] = disks.clone();
    let Ok((mut store, view)) = open_backends(database, || Ok::<_, StoreError>(journal), "disk") else {
        return (now, None);
    };
    assert_eq!(contents(&view), now, "what was acknowledged before the cut is not what is there after it");
    drop(view);
    for (round, size) in (0_u8..).zip(sizes) {
        // Each batch replaces one key, removes another and adds to what all have in common.
        let key = format!("k{}", round % 7);
        let removed = format!("k{}", (round + 3) % 7);
        let batch = [put(&key, vec![round; *size]), job(vec![Mutation::Delete(removed.clone().into_bytes())])];
        let mut next = now.clone();
        next.insert(format!("t\0{key}").into_bytes(), vec![round; *size]);
        next.remove(format!("t\0{removed}").as_bytes());
        if write(&mut store, &batch).is_err() {
            return (now, Some(next));
        }
        now = next;
    }
    (now, None)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn nothing_acknowledged_is_lost_with_the_power(
        cuts in prop::collection::vec((20_u64..400, prop::collection::vec(prop_oneof![1_usize..4000, 100_000_usize..400_000], 1..30), any::<u64>()), 1..5),
    ) {
        let left = Arc::new(AtomicU64::new(u64::MAX));
        let mut disks = [Disk::new(File::default(), &left), Disk::new(File::default(), &left)];
        let mut now = Contents::new();
        // An empty database, so that no cut meets the making of the file itself.
        drop(commit_until_cut(&disks, &[], Contents::new()));
        for (operations, sizes, seed) in cuts {
            left.store(operations, Ordering::SeqCst);
            let (acknowledged, under_way) = commit_until_cut(&disks, &sizes, now);
            left.store(u64::MAX, Ordering::SeqCst);
            let mut chance = seed | 1;
            let mut is_kept = || {
                chance ^= chance << 13;
                chance ^= chance >> 7;
                chance ^= chance << 17;
                chance & 1 == 0
            };
            disks = disks.map(|disk| {
                let file = disk.file.lock().unwrap_or_else(PoisonError::into_inner).after_cut(&mut is_kept);
                Disk::new(file, &left)
            });
            let [database, journal] = disks.clone();
            let (store, view) = open_backends(database, || Ok::<_, StoreError>(journal), "disk").unwrap();
            let found = contents(&view);
            // A commit that was not acknowledged may have been made, but not by half.
            prop_assert!(found == acknowledged || Some(&found) == under_way.as_ref());
            now = found;
            drop((view, store));
        }
    }
}
