//! Reads as SQL, the same on SQLite and on PostgreSQL: any number of keys and ranges in one statement.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use scimwell_storage_check::{Entry, Key, KeyRange, Leads, Reading, ScanOptions, Value};

/// Rows with values in one statement. Spin refuses results over 128 MiB; a value has 1 MiB at most.
pub const WITH_VALUES: usize = 100;
/// Rows of keys alone in one statement, beside so many with values; a key has 1 KiB at most.
pub const KEYS_ONLY: usize = 20_000;
/// Ranges, and ranges followed by a prefix, in one statement. SQLite unites 500 selections at most.
pub const RANGES: usize = 200;

/// What is asked of a tenant's entries.
#[derive(Clone, Copy, Debug)]
pub struct Question<'q> {
    /// Whose entries.
    pub tenant: &'q str,
    /// Keys whose values are wanted.
    pub keys: &'q [Key],
    /// Ranges whose entries are wanted.
    pub ranges: &'q [KeyRange],
    /// How each of the ranges is walked.
    pub options: ScanOptions,
    /// Prefixes by which the entries found lead to further keys.
    pub follow: &'q [Key],
}

/// The value of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameter<'q> {
    /// The tenant.
    Text(&'q str),
    /// A key.
    Bytes(&'q [u8]),
    /// A number of rows.
    Number(i64),
}

/// A row of an answer.
struct Row {
    /// To what it belongs: 0 is the keys, 1 the first of the ranges; what is beyond the last is what their entries lead to.
    part: usize,
    /// The key and, where it was asked for, the value.
    entry: Entry,
}

/// A value in a row of a database.
pub trait Cell {
    /// The number that it is.
    fn number(self) -> Option<i64>;
    /// The bytes that it is.
    fn bytes(self) -> Option<Vec<u8>>;
}

impl Row {
    /// The row of these cells; none where there is no number or no key in its place.
    fn of<C: Cell>(cells: Vec<C>) -> Option<Self> {
        let mut cells = cells.into_iter();
        let part = usize::try_from(cells.next()?.number()?).ok()?;
        let key = cells.next()?.bytes()?;
        Some(Self { part, entry: Entry { key, value: cells.next().and_then(Cell::bytes).unwrap_or_default() } })
    }
}

impl<'q> Question<'q> {
    /// The values of keys.
    pub fn values(tenant: &'q str, keys: &'q [Key]) -> Self {
        Self { tenant, keys, ranges: &[], options: ScanOptions::default(), follow: &[] }
    }

    /// The entries of a range.
    pub fn entries(tenant: &'q str, range: &'q KeyRange, options: ScanOptions) -> Self {
        Self { tenant, keys: &[], ranges: std::slice::from_ref(range), options, follow: &[] }
    }

    /// Whether one statement can answer it, whatever is stored.
    pub fn fits(&self) -> bool {
        let limit = usize::try_from(self.options.limit).unwrap_or(usize::MAX);
        let entries = self.ranges.len().saturating_mul(limit);
        let led = entries.saturating_mul(self.follow.len()).saturating_add(self.keys.len());
        let (with_values, keys_only) = match self.options.keys_only {
            true => (led, entries),
            false => (led.saturating_add(entries), 0),
        };
        let selections = self.ranges.len().saturating_mul(1 + self.follow.len());
        with_values <= WITH_VALUES && keys_only <= KEYS_ONLY && selections <= RANGES
    }

    /// Rows of a part's number, key and value (NULL where only keys are wanted), in no certain order. `sign` is what a
    /// parameter's number follows: `?` or `$`.
    fn statement(&self, sign: char) -> String {
        let mut text = String::new();
        let mut number = 1;
        let mut place = move || {
            number += 1;
            number
        };
        // A failure to write to a String there is none.
        if !self.keys.is_empty() {
            let _ = write!(
                text,
                "SELECT CAST(0 AS bigint), key, value FROM scimwell_entries WHERE tenant = {sign}1 AND key IN ("
            );
            for at in 0..self.keys.len() {
                let _ = write!(text, "{}{sign}{}", if at == 0 { "" } else { ", " }, place());
            }
            text.push(')');
        }
        let value = if self.options.keys_only { "CAST(NULL AS bytea)" } else { "value" };
        let order = if self.options.reverse { "DESC" } else { "ASC" };
        let (limit, skip) = if self.ranges.is_empty() { (0, 0) } else { (place(), place()) };
        let prefixes: Vec<usize> = self.follow.iter().filter(|_| !self.ranges.is_empty()).map(|_| place()).collect();
        let led = self.ranges.len() + 1;
        for (part, range) in (1..).zip(self.ranges) {
            let union = if text.is_empty() { "" } else { " UNION ALL " };
            let (start, end) = (place(), place());
            let walk = format!(
                "FROM scimwell_entries WHERE tenant = {sign}1 AND key >= {sign}{start} AND key < {sign}{end} \
                 ORDER BY key {order} LIMIT {sign}{limit} OFFSET {sign}{skip}"
            );
            let _ =
                write!(text, "{union}SELECT * FROM (SELECT CAST({part} AS bigint), key, {value} {walk}) AS r{part}");
            for prefix in &prefixes {
                // What is joined in SQLite is text, whatever it is made of.
                let rest = format!("substr(r.key, {})", range.start.len() + 1);
                let key = match sign {
                    '?' => format!("CAST(?{prefix} || {rest} AS blob)"),
                    _ => format!("CAST({sign}{prefix} AS bytea) || {rest}"),
                };
                let _ = write!(
                    text,
                    " UNION ALL SELECT CAST({led} AS bigint), f.key, f.value FROM (SELECT key {walk}) AS r \
                     JOIN scimwell_entries AS f ON f.tenant = {sign}1 AND f.key = {key}"
                );
            }
        }
        text
    }

    /// The parameters of [`statement`](Self::statement).
    fn parameters(&self) -> Vec<Parameter<'q>> {
        let mut parameters = vec![Parameter::Text(self.tenant)];
        parameters.extend(self.keys.iter().map(|key| Parameter::Bytes(key)));
        if !self.ranges.is_empty() {
            let skip = i64::try_from(self.options.skip).unwrap_or(i64::MAX);
            parameters.extend([Parameter::Number(self.options.limit.into()), Parameter::Number(skip)]);
            parameters.extend(self.follow.iter().map(|prefix| Parameter::Bytes(prefix)));
        }
        for KeyRange { start, end } in self.ranges {
            parameters.extend([Parameter::Bytes(start), Parameter::Bytes(end)]);
        }
        parameters
    }

    /// Has `query` run the statement with its parameters, and reads its rows.
    pub fn ask<P: From<Parameter<'q>>, C: Cell, E>(
        &self,
        sign: char,
        query: impl FnOnce(&str, &[P]) -> Result<Vec<Vec<C>>, E>,
    ) -> Result<Reading, E> {
        if self.keys.is_empty() && self.ranges.is_empty() {
            return Ok(Reading::default());
        }
        let parameters: Vec<P> = self.parameters().into_iter().map(P::from).collect();
        Ok(self.answer(query(&self.statement(sign), &parameters)?.into_iter().filter_map(Row::of)))
    }

    /// What the statement's rows say.
    fn answer(&self, rows: impl IntoIterator<Item = Row>) -> Reading {
        let (mut found, mut led) = (BTreeMap::<Key, Value>::new(), BTreeMap::<Key, Value>::new());
        let mut entries: Vec<Vec<Entry>> = vec![Vec::new(); self.ranges.len()];
        for Row { part, entry } in rows {
            match part.checked_sub(1) {
                None => _ = found.insert(entry.key, entry.value),
                Some(range) => match entries.get_mut(range) {
                    Some(entries) => entries.push(entry),
                    None => _ = led.insert(entry.key, entry.value),
                },
            }
        }
        for entries in &mut entries {
            entries.sort_unstable_by(|a, b| if self.options.reverse { b.key.cmp(&a.key) } else { a.key.cmp(&b.key) });
        }
        let leads = Leads::of(self.ranges, &entries, self.follow);
        let followed = leads.followed(leads.keys().iter().map(|key| led.get(key).cloned()).collect());
        Reading { values: self.keys.iter().map(|key| found.get(key).cloned()).collect(), entries, followed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: &str, end: &str) -> KeyRange {
        KeyRange { start: start.into(), end: end.into() }
    }

    fn row(part: usize, key: &str) -> Row {
        Row { part, entry: Entry { key: key.into(), value: key.to_uppercase().into() } }
    }

    #[test]
    fn keys_and_ranges_in_one_statement() {
        let (keys, ranges) = ([b"a".to_vec(), b"b".to_vec()], [range("c", "d"), range("e", "f")]);
        let options = ScanOptions { keys_only: true, reverse: true, skip: 2, limit: 9 };
        let asked = Question { tenant: "t", keys: &keys, ranges: &ranges, options, follow: &[] };
        let part = |part: u32, start: u32| {
            format!(
                " UNION ALL SELECT * FROM (SELECT CAST({part} AS bigint), key, CAST(NULL AS bytea) FROM scimwell_entries \
                 WHERE tenant = $1 AND key >= ${start} AND key < ${} ORDER BY key DESC LIMIT $4 OFFSET $5) AS r{part}",
                start + 1
            )
        };
        let keys = "SELECT CAST(0 AS bigint), key, value FROM scimwell_entries WHERE tenant = $1 AND key IN ($2, $3)";
        assert_eq!(asked.statement('$'), format!("{keys}{}{}", part(1, 6), part(2, 8)));
        let bytes = |text: &'static str| Parameter::Bytes(text.as_bytes());
        let numbers = [Parameter::Number(9), Parameter::Number(2)];
        let expect = [&[Parameter::Text("t"), bytes("a"), bytes("b")], &numbers[..]].concat();
        assert_eq!(asked.parameters(), [&expect[..], &["c", "d", "e", "f"].map(bytes)].concat());
    }

    #[test]
    fn what_entries_lead_to() {
        let (ranges, follow) = ([range("g1", "g2")], [b"a".to_vec(), b"v".to_vec()]);
        let options = ScanOptions { keys_only: true, limit: 9, ..ScanOptions::default() };
        let asked = Question { tenant: "t", keys: &[], ranges: &ranges, options, follow: &follow };
        let walk = |sign: char| {
            format!(
                "FROM scimwell_entries WHERE tenant = {sign}1 AND key >= {sign}6 AND key < {sign}7 \
                 ORDER BY key ASC LIMIT {sign}2 OFFSET {sign}3"
            )
        };
        let led = |sign: char, key: &str| {
            let walk = walk(sign);
            format!(
                " UNION ALL SELECT CAST(2 AS bigint), f.key, f.value FROM (SELECT key {walk}) AS r \
                 JOIN scimwell_entries AS f ON f.tenant = {sign}1 AND f.key = {key}"
            )
        };
        let first =
            |sign| format!("SELECT * FROM (SELECT CAST(1 AS bigint), key, CAST(NULL AS bytea) {}) AS r1", walk(sign));
        let (a, v) = ("CAST($4 AS bytea) || substr(r.key, 3)", "CAST($5 AS bytea) || substr(r.key, 3)");
        assert_eq!(asked.statement('$'), format!("{}{}{}", first('$'), led('$', a), led('$', v)));
        let (a, v) = ("CAST(?4 || substr(r.key, 3) AS blob)", "CAST(?5 || substr(r.key, 3) AS blob)");
        assert_eq!(asked.statement('?'), format!("{}{}{}", first('?'), led('?', a), led('?', v)));
        let bytes = |text: &'static str| Parameter::Bytes(text.as_bytes());
        let expect = [Parameter::Text("t"), Parameter::Number(9), Parameter::Number(0), bytes("a"), bytes("v")];
        assert_eq!(asked.parameters(), [&expect[..], &["g1", "g2"].map(bytes)].concat());

        let reading = asked.answer([row(2, "vx"), row(1, "g1y"), row(1, "g1x"), row(2, "ay"), row(2, "ax")]);
        let value = |text: &str| Some(Value::from(text));
        assert_eq!(reading.followed, [[value("AX"), value("VX"), value("AY"), None]]);
    }

    #[test]
    fn either_alone() {
        let keys = [b"a".to_vec()];
        let asked = Question::values("t", &keys);
        assert!(asked.statement('?').ends_with("WHERE tenant = ?1 AND key IN (?2)"));
        assert_eq!(asked.parameters().len(), 2);
        let range = range("a", "b");
        let asked = Question::entries("t", &range, ScanOptions { limit: 1, ..ScanOptions::default() });
        assert!(asked.statement('?').starts_with("SELECT * FROM (SELECT CAST(1 AS bigint), key, value FROM"));
        assert!(asked.statement('?').contains("key >= ?4 AND key < ?5 ORDER BY key ASC LIMIT ?2 OFFSET ?3)"));
        assert_eq!(asked.parameters().len(), 5);
    }

    #[test]
    fn rows_find_their_places() {
        let (keys, ranges) = ([b"b".to_vec(), b"x".to_vec(), b"b".to_vec()], [range("a", "c"), range("d", "e")]);
        let asked = |reverse| Question {
            tenant: "t",
            keys: &keys,
            ranges: &ranges,
            options: ScanOptions { reverse, limit: 9, ..ScanOptions::default() },
            follow: &[],
        };
        let rows = || [row(1, "b"), row(0, "b"), row(2, "d"), row(1, "a")];
        let reading = asked(false).answer(rows());
        assert_eq!(reading.values, [Some(b"B".to_vec()), None, Some(b"B".to_vec())]);
        let in_order = |reading: &Reading| -> Vec<Vec<Key>> {
            reading.entries.iter().map(|part| part.iter().map(|entry| entry.key.clone()).collect()).collect()
        };
        assert_eq!(in_order(&reading), [vec![b"a".to_vec(), b"b".to_vec()], vec![b"d".to_vec()]]);
        assert_eq!(in_order(&asked(true).answer(rows()))[0], [b"b".to_vec(), b"a".to_vec()]);
    }

    impl Cell for Option<&str> {
        fn number(self) -> Option<i64> {
            self?.parse().ok()
        }

        fn bytes(self) -> Option<Vec<u8>> {
            self.map(Into::into)
        }
    }

    #[test]
    fn what_is_no_row_is_passed_over() {
        let ranges = [range("a", "z")];
        let asked = Question { tenant: "t", keys: &[], ranges: &ranges, options: ScanOptions::default(), follow: &[] };
        let rows =
            [[Some("1"), Some("k"), Some("v")], [Some("1"), Some("l"), None], [Some("1"), None, None], [None; 3]];
        let rows = rows.map(|row| row.to_vec()).to_vec();
        let found = asked.ask('?', |_, _: &[Parameter<'_>]| Ok::<_, ()>(rows)).unwrap();
        let entry = |key: &str, value: &str| Entry { key: key.into(), value: value.into() };
        assert_eq!(found.entries, [[entry("k", "v"), entry("l", "")]]);
        let nothing = Question::values("t", &[]);
        let found = nothing.ask('?', |_, _: &[Parameter<'_>]| Err::<Vec<Vec<Option<&str>>>, _>("it asks"));
        assert_eq!(found, Ok(Reading::default()));
    }

    #[track_caller]
    fn check(keys: usize, ranges: usize, limit: u32, keys_only: bool, fits: bool) {
        check_followed(keys, ranges, limit, keys_only, 0, fits);
    }

    #[track_caller]
    fn check_followed(keys: usize, ranges: usize, limit: u32, keys_only: bool, prefixes: usize, fits: bool) {
        let (keys, ranges) = (vec![Vec::new(); keys], vec![range("a", "b"); ranges]);
        let options = ScanOptions { limit, keys_only, ..ScanOptions::default() };
        let follow = vec![Vec::new(); prefixes];
        let asked = Question { tenant: "t", keys: &keys, ranges: &ranges, options, follow: &follow };
        assert_eq!(asked.fits(), fits, "{} {} {limit}", keys.len(), ranges.len());
    }

    #[test]
    fn one_statement_stays_below_what_spin_hands_over() {
        check(0, 0, 0, false, true);
        check(WITH_VALUES, 0, 1_000, false, true);
        check(WITH_VALUES + 1, 0, 1_000, false, false);
        check(50, 5, 10, false, true);
        check(51, 5, 10, false, false);
        check(WITH_VALUES, 200, 100, true, true);
        check(0, 201, 1, true, false);
        check(0, 2, 10_001, true, false);
        check(0, 2, u32::MAX, true, false);
        check_followed(4, 1, 40, true, 2, true);
        check_followed(20, 1, 41, true, 2, false);
        check_followed(0, 100, 1, true, 1, true);
        check_followed(0, 101, 0, true, 1, false);
    }
}
