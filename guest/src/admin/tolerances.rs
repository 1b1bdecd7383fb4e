//! `/admin/tolerances`: which departures from the RFCs each client needs, how often, and where.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::compat::Tolerance;
use crate::datetime;
use crate::error::{ErrorKind, Result, ScimError};
use crate::host::Host;
use crate::http::Response;
use crate::limits;
use crate::ops::Context;
use crate::render;
use crate::resource::Timestamp;
use crate::store::log::Record;
use crate::store::sightings::{self, Example};
use crate::store::{KeyRange, ScanOptions, Store, failure, keys};

/// What is known of one tolerance of one client.
#[derive(Default)]
struct Need {
    /// Changes among the latest log records.
    changes: u64,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    examples: Vec<Example>,
}

impl Need {
    fn seen(&mut self, first: Timestamp, last: Timestamp) {
        self.first = Some(self.first.map_or(first, |known| known.min(first)));
        self.last = Some(self.last.map_or(last, |known| known.max(last)));
    }
}

/// By client, then by tolerance and whether the profile refused it.
type Needs = BTreeMap<String, BTreeMap<(Tolerance, bool), Need>>;

/// The report: what is kept of all requests, and of changes the number among the latest [`limits::REPORT_RECORDS`] records.
pub(super) fn report<H: Host>(ctx: &Context<'_, H>) -> Result<Response> {
    let mut needs = Needs::new();
    for sighted in sightings::all(&ctx.store)? {
        let need = needs.entry(sighted.subject).or_default().entry((sighted.tolerance, sighted.refused)).or_default();
        need.seen(sighted.first, sighted.last);
        need.examples = sighted.examples;
    }
    let records = count_changes(ctx, &mut needs)?;
    let clients: Vec<Value> = needs.iter().map(|(subject, needs)| client(subject, needs)).collect();
    Ok(render::json(200, &json!({ "profile": ctx.tenant.settings.profile, "records": records, "clients": clients })))
}

/// Start the report afresh, as after a client's settings were corrected. The log keeps what it has.
pub(super) fn forget<H: Host>(ctx: &Context<'_, H>) -> Result<Response> {
    sightings::clear(&ctx.store)?;
    Ok(render::empty(204))
}

/// Go through the log, latest first; returns how many records there were.
fn count_changes<H: Host>(ctx: &Context<'_, H>, needs: &mut Needs) -> Result<usize> {
    let KeyRange { start, mut end } = keys::log_records();
    let mut records = 0;
    loop {
        let wanted = limits::REPORT_RECORDS.saturating_sub(records).min(limits::LOG_PAGE);
        let limit = u32::try_from(wanted).unwrap_or(u32::MAX);
        let range = KeyRange { start: start.clone(), end: end.clone() };
        let options = ScanOptions { reverse: true, limit, ..ScanOptions::default() };
        let entries = if wanted == 0 { Vec::new() } else { ctx.store.scan(&range, options).map_err(failure)? };
        for entry in &entries {
            let record: Record = serde_json::from_slice(&entry.value).map_err(|error| {
                ScimError::new(ErrorKind::Internal, "The server failed to read its log.").with_log(error.to_string())
            })?;
            if record.continued || record.tolerances.is_empty() {
                continue;
            }
            let client = needs.entry(record.subject).or_default();
            for tolerance in record.tolerances {
                let need = client.entry((tolerance, false)).or_default();
                need.changes += 1;
                need.seen(record.time, record.time);
            }
        }
        records += entries.len();
        match entries.last() {
            Some(last) if entries.len() == wanted => end.clone_from(&last.key),
            _ => return Ok(records),
        }
    }
}

fn client(subject: &str, needs: &BTreeMap<(Tolerance, bool), Need>) -> Value {
    let mut user_agents: Vec<&str> =
        needs.values().flat_map(|need| &need.examples).filter_map(|example| example.user_agent.as_deref()).collect();
    user_agents.sort_unstable();
    user_agents.dedup();
    let tolerances: Vec<Value> =
        needs.iter().map(|((tolerance, refused), need)| row(*tolerance, *refused, need)).collect();
    json!({ "subject": subject, "userAgents": user_agents, "tolerances": tolerances })
}

fn row(tolerance: Tolerance, refused: bool, need: &Need) -> Value {
    let item = tolerance.item();
    let examples: Vec<Value> = need
        .examples
        .iter()
        .map(|example| {
            let mut shown = json!({
                "time": datetime::format(example.time),
                "method": example.method,
                "path": example.path,
                "place": example.place,
            });
            for (name, value) in [("sent", &example.sent), ("userAgent", &example.user_agent)] {
                if let Some(value) = value {
                    shown[name] = value.as_str().into();
                }
            }
            shown
        })
        .collect();
    json!({
        "id": item.id,
        "refused": refused,
        "accepts": item.accepts,
        "readAs": item.read_as,
        "correct": item.correct,
        "rfc": item.rfc,
        "changes": need.changes,
        "first": need.first.map(datetime::format),
        "last": need.last.map(datetime::format),
        "examples": examples,
    })
}
