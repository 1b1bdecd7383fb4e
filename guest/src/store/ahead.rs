//! Reading ahead: what a request is certain to need, fetched with one call before it is known in what order.

use crate::error::Result;

use super::{Entry, Key, KeyRange, Read, Reading, ScanOptions, Store, Value, failure};

/// Keys and the start of a range, as they were when they were fetched.
#[derive(Clone, Debug, Default)]
pub struct Ahead {
    values: Vec<(Key, Option<Value>)>,
    range: Option<Start>,
}

/// The first entries of a range, without values.
#[derive(Clone, Debug)]
struct Start {
    range: KeyRange,
    limit: u32,
    entries: Vec<Entry>,
}

impl Ahead {
    /// Fetches all that is named: keys, and of a range the first `limit` keys with what they lead to by each of the prefixes.
    pub fn fetch(store: &impl Store, keys: Vec<Key>, range: Option<(KeyRange, u32)>, follow: &[Key]) -> Result<Self> {
        let (ranges, limit) = match &range {
            Some((range, limit)) => (std::slice::from_ref(range), *limit),
            None => (&[][..], 0),
        };
        let options = ScanOptions { keys_only: true, limit, ..ScanOptions::default() };
        let reading = store.read(&keys, ranges, options, follow).map_err(failure)?;
        let Reading { values, mut entries, mut followed } = reading;
        let mut values: Vec<_> = keys.into_iter().zip(values).collect();
        let range = range.zip(entries.pop()).map(|((range, limit), entries)| Start { range, limit, entries });
        if let Some(Start { range, entries, .. }) = &range {
            let led = range.leads(entries, follow).zip(followed.pop().unwrap_or_default());
            values.extend(led.filter_map(|(key, value)| Some((key?, value))));
        }
        Ok(Self { values, range })
    }

    /// A reader that asks the store only for what was not fetched.
    pub fn over<'a, R>(&'a self, reader: &'a R) -> Fetched<'a, R> {
        Fetched { ahead: self, reader }
    }

    /// The keys of a range, where all of them were fetched.
    pub fn whole(&self, range: &KeyRange) -> Option<&[Entry]> {
        let Start { range: fetched, limit, entries } = self.range.as_ref()?;
        (fetched == range && entries.len() < *limit as usize).then_some(entries.as_slice())
    }

    fn value(&self, key: &Key) -> Option<&Option<Value>> {
        self.values.iter().find(|(fetched, _)| fetched == key).map(|(_, value)| value)
    }
}

/// A reader with something fetched ahead.
#[derive(Clone, Copy, Debug)]
pub struct Fetched<'a, R> {
    ahead: &'a Ahead,
    reader: &'a R,
}

impl<R: Read> Read for Fetched<'_, R> {
    fn peek(&self, keys: &[Key]) -> Result<Vec<Option<Value>>> {
        match keys.iter().map(|key| self.ahead.value(key).cloned()).collect() {
            Some(values) => Ok(values),
            None => self.reader.peek(keys),
        }
    }

    fn entries(&self, range: &KeyRange, keys_only: bool, limit: u32) -> Result<Vec<Entry>> {
        match &self.ahead.range {
            Some(start) if keys_only && start.limit == limit && start.range == *range => Ok(start.entries.clone()),
            _ => self.reader.entries(range, keys_only, limit),
        }
    }

    fn keys(&self, ranges: &[KeyRange], limit: u32) -> Result<Vec<Vec<Entry>>> {
        match ranges {
            [range] => Ok(vec![self.entries(range, true, limit)?]),
            _ => self.reader.keys(ranges, limit),
        }
    }
}
