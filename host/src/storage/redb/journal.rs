//! What was committed since the database itself was last made durable.
//!
//! A durable transaction of redb writes each page that a change touches, and all above it up to the root, and syncs twice;
//! the more data there is, the more pages that are. So a batch of commits is made durable by appending what it changes to
//! the journal, with one sync, and applied to the database without any. Once the journal is full, the next batch is a
//! durable transaction: with it, all before it is in the database, and the journal begins anew.
//!
//! The file has one size for good and is written over from its start, so that a sync changes nothing but the bytes. Records
//! carry the epoch that the database had while they were written. Each durable transaction gives it another one, so what an
//! earlier round left in the file is told apart, and so is the journal of another database.

use std::io;

use redb::StorageBackend;

/// Bytes of the file. More makes each durable transaction cheaper for the commits that share it, and longer for the one that waits
/// for it, as it does the opening of a database whose process was killed.
const SIZE: usize = 1024 * 1024;
/// Before each record: epoch (8 bytes), length of the changes (4), CRC-32 of all that and the changes (4); little-endian.
const HEADER: usize = 16;

/// The journal of an open database.
#[derive(Debug)]
pub(super) struct Journal {
    file: Box<dyn StorageBackend>,
    epoch: u64,
    /// Where the next record goes.
    end: usize,
}

impl Journal {
    /// Takes the file as it is; whether its records count, `records` tells.
    pub(super) fn open(file: impl StorageBackend) -> io::Result<Self> {
        let length = file.len()?;
        if length < SIZE as u64 {
            file.set_len(SIZE as u64)?;
            // Written, not only declared: a file system must not have to lay out anything when records come.
            file.write(length, &vec![0; SIZE - usize::try_from(length).unwrap_or(SIZE)])?;
            file.sync_data()?;
        }
        Ok(Self { file: Box::new(file), epoch: 0, end: 0 })
    }

    /// The records of an epoch, in the order in which they were appended. What was being appended when the process ended
    /// was never acknowledged: it is left out unless it is whole.
    pub(super) fn records(&self, epoch: u64) -> io::Result<Vec<Record>> {
        let mut bytes = vec![0; SIZE];
        self.file.read(0, &mut bytes)?;
        let mut records = Vec::new();
        let mut rest = bytes.as_slice();
        while let Some((record, after)) = first_record(rest, epoch) {
            records.push(Record(record.to_vec()));
            rest = after;
        }
        Ok(records)
    }

    /// Begins anew: whatever was appended is durable in the database, with this epoch.
    pub(super) fn start(&mut self, epoch: u64) {
        self.epoch = epoch;
        self.end = 0;
    }

    /// Whether there is room for the record.
    pub(super) fn fits(&self, record: &Record) -> bool {
        self.end + HEADER + record.0.len() <= SIZE
    }

    /// Appends a record that fits; durable when this returns.
    pub(super) fn append(&mut self, record: &Record) -> io::Result<()> {
        let length = u32::try_from(record.0.len()).map_err(io::Error::other)?;
        let mut bytes = Vec::with_capacity(HEADER + record.0.len());
        bytes.extend_from_slice(&self.epoch.to_le_bytes());
        bytes.extend_from_slice(&length.to_le_bytes());
        let checksum = checksum(&bytes, &record.0);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes.extend_from_slice(&record.0);
        self.file.write(self.end as u64, &bytes)?;
        self.file.sync_data()?;
        self.end += bytes.len();
        Ok(())
    }
}

/// The changes of the record at the beginning, and what follows it; `None` where there is no whole record of the epoch.
fn first_record(bytes: &[u8], expected: u64) -> Option<(&[u8], &[u8])> {
    let (epoch, rest) = bytes.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let (sum, rest) = rest.split_first_chunk()?;
    let (changes, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    let is_whole = u64::from_le_bytes(*epoch) == expected
        && u32::from_le_bytes(*sum) == checksum(&bytes[..epoch.len() + length.len()], changes);
    is_whole.then_some((changes, rest))
}

fn checksum(header: &[u8], changes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header);
    hasher.update(changes);
    hasher.finalize()
}

/// What a batch changes, as it stands in the journal.
#[derive(Debug, Default)]
pub(super) struct Record(Vec<u8>);

/// One change; keys as they are in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change<'a> {
    Put { key: &'a [u8], value: &'a [u8] },
    Delete { key: &'a [u8] },
    DeleteRange { start: &'a [u8], end: &'a [u8] },
    Sequence { tenant: &'a str, last: u64 },
}

impl Record {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a change. A record that has outgrown the journal is not added to: it will never be written.
    pub(super) fn push(&mut self, change: Change) {
        if self.0.len() > SIZE {
            return;
        }
        match change {
            Change::Put { key, value } => self.push_parts(0, [key, value]),
            Change::Delete { key } => self.push_parts(1, [key]),
            Change::DeleteRange { start, end } => self.push_parts(2, [start, end]),
            Change::Sequence { tenant, last } => self.push_parts(3, [tenant.as_bytes(), &last.to_le_bytes()]),
        }
    }

    fn push_parts<const N: usize>(&mut self, kind: u8, parts: [&[u8]; N]) {
        self.0.push(kind);
        for part in parts {
            self.0.extend_from_slice(&(part.len() as u64).to_le_bytes());
            self.0.extend_from_slice(part);
        }
    }

    /// The changes in the order in which they were pushed, up to one that can't be read, which is `None`.
    pub(super) fn changes(&self) -> impl Iterator<Item = Option<Change<'_>>> {
        let mut rest = self.0.as_slice();
        std::iter::from_fn(move || {
            let (&kind, after) = rest.split_first()?;
            rest = after;
            let change = read_change(kind, &mut rest);
            if change.is_none() {
                rest = &[];
            }
            Some(change)
        })
    }
}

fn read_change<'a>(kind: u8, rest: &mut &'a [u8]) -> Option<Change<'a>> {
    let mut part = || {
        let (length, after) = rest.split_first_chunk()?;
        let (part, after) = after.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
        *rest = after;
        Some(part)
    };
    Some(match kind {
        0 => Change::Put { key: part()?, value: part()? },
        1 => Change::Delete { key: part()? },
        2 => Change::DeleteRange { start: part()?, end: part()? },
        3 => Change::Sequence {
            tenant: std::str::from_utf8(part()?).ok()?,
            last: u64::from_le_bytes(part()?.try_into().ok()?),
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;

    use super::*;

    fn record(value: &[u8]) -> Record {
        let mut record = Record::default();
        record.push(Change::DeleteRange { start: b"a", end: b"b" });
        record.push(Change::Put { key: b"key", value });
        record.push(Change::Delete { key: b"" });
        record.push(Change::Sequence { tenant: "t", last: u64::MAX });
        record
    }

    fn contents(journal: &Journal, epoch: u64) -> Vec<Vec<u8>> {
        journal.records(epoch).unwrap().into_iter().map(|record| record.0).collect()
    }

    #[test]
    fn changes_come_back_as_they_were_pushed() {
        let record = record(b"value");
        let changes: Vec<_> = record.changes().map(Option::unwrap).collect();
        assert_eq!(
            changes,
            [
                Change::DeleteRange { start: b"a", end: b"b" },
                Change::Put { key: b"key", value: b"value" },
                Change::Delete { key: b"" },
                Change::Sequence { tenant: "t", last: u64::MAX },
            ]
        );
        // Cut anywhere, it says so, once, unless it is cut between two changes.
        let whole = [0, 19, 44, 53, record.0.len()];
        for length in 0..record.0.len() {
            let cut = Record(record.0[..length].to_vec());
            let unread = cut.changes().filter(Option::is_none).count();
            assert_eq!(unread, usize::from(!whole.contains(&length)), "{length}");
        }
    }

    #[test]
    fn only_whole_records_of_the_epoch_count() {
        let mut journal = Journal::open(InMemoryBackend::new()).unwrap();
        assert_eq!(contents(&journal, 0), Vec::<Vec<u8>>::new(), "an empty file has no records of the first epoch");
        journal.start(7);
        let (first, second) = (record(&[1; 300]), record(&[2; 300]));
        journal.append(&first).unwrap();
        journal.append(&second).unwrap();
        assert_eq!(contents(&journal, 7), [&first.0[..], &second.0]);
        assert_eq!(contents(&journal, 8), Vec::<Vec<u8>>::new());

        // The next epoch writes over the first record; the second, behind it, belongs to the one before.
        journal.start(8);
        journal.append(&first).unwrap();
        assert_eq!(contents(&journal, 8), [&first.0[..]]);

        // A byte that was not written as it should be: the record ends what counts.
        journal.append(&second).unwrap();
        let place = HEADER + first.0.len() + HEADER + 40;
        journal.file.write(place as u64, &[9]).unwrap();
        assert_eq!(contents(&journal, 8), [&first.0[..]]);
    }

    #[test]
    fn it_fills_up_to_its_size() {
        let mut journal = Journal::open(InMemoryBackend::new()).unwrap();
        journal.start(1);
        let large = record(&vec![3; SIZE / 3]);
        let mut count = 0;
        while journal.fits(&large) {
            journal.append(&large).unwrap();
            count += 1;
        }
        assert_eq!(count, 2);
        assert_eq!(contents(&journal, 1).len(), 2);
        let mut endless = Record::default();
        for _ in 0..100 {
            endless.push(Change::Put { key: b"key", value: &vec![0; SIZE / 10] });
        }
        assert!(!journal.fits(&endless));
        assert!(endless.0.len() < SIZE * 2, "{} bytes were gathered for nothing", endless.0.len());
    }
}
