//! Bulk requests (RFC 7644 §3.7): many operations in one request.
//!
//! - **References.** `bulkId:x` stands for the id of the resource that the POST with that `bulkId` creates: as any whole
//!   string of `data`, as the id in `path`, and in the value filter of a PATCH path (`members[value eq "bulkId:x"]`). All ids
//!   are given out before anything runs, so a reference may point forward, and in circles. A POST that brings back somebody
//!   who has left (see `ops::reprovision`) gives out the id that they had; should that prove wrong when it runs, since
//!   something else happened to them meanwhile, it fails with 409 where there are references.
//! - **Order.** As sent, but a POST that others refer to runs before them. POSTs that refer to each other in a circle are one
//!   step: their documents are written first, then their members, in one commit.
//! - **Failure.** Each operation stands for itself: one that fails leaves nothing behind and does not disturb the others,
//!   unless they refer to what it was to create (409, §3.7.1). After `failOnErrors` failures the rest does not run, and is
//!   absent from the reply (§3.7.3).
//! - **All or nothing**, beyond the RFC: with `Prefer: handling=atomic` (RFC 7240) all operations are one commit. The first
//!   that fails fails the request: the answer is the SCIM Error and the status of that operation, its detail names
//!   `Operations[i]`, and nothing is kept. Otherwise the answer is the usual one with
//!   `Preference-Applied: handling=atomic`.
//! - **One commit** too, though operations fail alone, in a dry run (see [`super::dry_run`]) and with an `Idempotency-Key`
//!   (see [`super::idempotency`]). Else each step is a commit of its own, so that the policy, asked about each change, finds
//!   those before it committed.

mod order;
mod read;
mod references;

use crate::error::{ErrorKind, Result, ScimError};
use crate::host::Host;
use crate::http::{Header, Response};
use crate::limits;
use crate::render::{self, Operated};
use crate::schema::ResourceType;
use crate::store::Txn;
use crate::store::repo;

use super::Context;
use super::create::{Create, Written};
use super::delete::Delete;
use super::idempotency::Once;
use super::patch::Patch;
use super::preference::preference;
use super::replace::Replace;

/// A bulk request, decoded.
struct Bulk<'t> {
    /// As sent.
    operations: Vec<Operation<'t>>,
    /// The operations by number, in the order of execution; those of one step run together or not at all.
    steps: Vec<Vec<usize>>,
    /// After how many failures to stop.
    fail_on_errors: Option<usize>,
}

/// One operation.
struct Operation<'t> {
    /// For the reply: as sent, in upper case where it is one of the four.
    method: String,
    /// For the reply: as sent.
    bulk_id: Option<String>,
    /// What it works on; `None` where `path` does not tell.
    target: Option<(&'t ResourceType, String)>,
    /// What to do, or why it can't be done.
    action: Result<Action<'t>>,
    /// The operations that create what it refers to.
    needs: Vec<usize>,
}

/// What an operation does.
enum Action<'t> {
    Create(Create<'t>),
    Replace(Replace<'t>),
    Patch(Patch<'t>),
    Delete(Delete<'t>),
}

/// What an operation did.
struct Done {
    status: u16,
    version: Option<String>,
    /// The id of what was created: somebody who came back has another than was assigned.
    created: Option<String>,
}

/// How the operations ended, in the order sent.
struct Report {
    /// `None` for those that did not run.
    outcomes: Vec<Option<Result<Done>>>,
    /// The first that failed by itself, in the order of execution.
    failed: Option<usize>,
}

/// Run the operations of the body; 200 with what became of each.
pub fn run<H: Host>(ctx: &mut Context<'_, H>) -> Result<Response> {
    let once = Once::of(ctx)?;
    if let Some(first) = once.first_answer(&ctx.store)? {
        return Ok(first);
    }
    check_size(ctx.request.body.len())?;
    let atomic = preference(ctx.request, "handling").is_some_and(|how| how.eq_ignore_ascii_case("atomic"));
    let bulk = Bulk::read(ctx)?;
    let ctx = &*ctx;
    if atomic || once.wanted() || ctx.mode == crate::store::Mode::Rehearse {
        return ctx.transact(|txn| once.run(txn, |txn| bulk.in_one(ctx, txn, atomic)));
    }
    let report = bulk.each(bulk.fail_on_errors, |step, at| ctx.transact(|txn| bulk.perform(ctx, txn, step, at)));
    Ok(bulk.reply(&report, &ctx.request.base_url))
}

/// §3.7.4 wants 413 and the limit in the detail.
fn check_size(bytes: usize) -> Result<()> {
    match bytes <= limits::BULK_BYTES {
        true => Ok(()),
        false => Err(ScimError::new(
            ErrorKind::PayloadTooLarge,
            format!(
                "The bulk request has {bytes} bytes, and maxPayloadSize is {}. Send it as several requests.",
                limits::BULK_BYTES
            ),
        )),
    }
}

impl Bulk<'_> {
    /// Run all steps in one transaction.
    fn in_one<H: Host>(&self, ctx: &Context<'_, H>, txn: &mut Txn<'_, H::Store>, atomic: bool) -> Result<Response> {
        let limit = if atomic { Some(1) } else { self.fail_on_errors };
        let report = self.each(limit, |step, at| txn.attempt(|txn| self.perform(ctx, txn, step, at)));
        // What the server failed at is no outcome to be committed and repeated.
        let fatal = report.outcomes.iter().position(|o| matches!(o, Some(Err(e)) if e.kind.table().0 >= 500));
        if let Some(index) = fatal.or(report.failed.filter(|_| atomic))
            && let Some(Err(error)) = &report.outcomes[index]
        {
            return Err(error.clone().at(&place(index)));
        }
        let mut response = self.reply(&report, &ctx.request.base_url);
        if atomic {
            response.headers.push(Header::new("preference-applied", "handling=atomic"));
        }
        Ok(response)
    }

    /// Run the steps in order, each by `perform`, until `limit` operations have failed. `perform` tells by its second
    /// argument which operation it is at.
    fn each(&self, limit: Option<usize>, mut perform: impl FnMut(&[usize], &mut usize) -> Result<Vec<Done>>) -> Report {
        let mut report = Report { outcomes: self.operations.iter().map(|_| None).collect(), failed: None };
        let mut errors = 0;
        for step in &self.steps {
            if limit.is_some_and(|limit| errors >= limit) {
                break;
            }
            let refused = step.iter().find_map(|index| Some((*index, self.refusal(*index, step, &report)?)));
            let mut at = step[0];
            let done = match refused {
                Some((index, error)) => {
                    at = index;
                    Err(error)
                }
                None => perform(step, &mut at),
            };
            match done {
                Ok(done) => step.iter().zip(done).for_each(|(index, done)| report.outcomes[*index] = Some(Ok(done))),
                Err(error) => {
                    errors += step.len();
                    report.failed.get_or_insert(at);
                    for index in step {
                        let own = self.operations[*index].action.as_ref().err();
                        let error = match own {
                            _ if *index == at => error.clone(),
                            Some(own) => own.clone(),
                            None => in_circle(at),
                        };
                        report.outcomes[*index] = Some(Err(error));
                    }
                }
            }
        }
        report
    }

    /// Why an operation can't even be tried.
    fn refusal(&self, index: usize, step: &[usize], report: &Report) -> Option<ScimError> {
        let operation = &self.operations[index];
        if let Err(error) = &operation.action {
            return Some(error.clone());
        }
        let created = |need: &usize| step.contains(need) || matches!(report.outcomes[*need], Some(Ok(_)));
        let missing = operation.needs.iter().find(|need| !created(need))?;
        let name = self.operations[*missing].bulk_id.as_deref().unwrap_or_default();
        Some(ScimError::new(
            ErrorKind::Conflict,
            format!(
                "bulkId:{name} was not created, since {} failed. Repair that operation and send both again.",
                place(*missing)
            ),
        ))
    }

    /// Run the operations of a step in a transaction, leaving in `at` which one it was at.
    fn perform<H: Host>(
        &self,
        ctx: &Context<'_, H>,
        txn: &mut Txn<'_, H::Store>,
        step: &[usize],
        at: &mut usize,
    ) -> Result<Vec<Done>> {
        // References point at POSTs only, so a step of several is nothing but POSTs.
        let mut written = Vec::with_capacity(step.len());
        for index in step {
            *at = *index;
            written.push(match &self.operations[*index].action {
                Ok(Action::Create(create)) => Some(create.write(ctx, txn)?),
                _ => None,
            });
        }
        let mut done = Vec::with_capacity(step.len());
        for (index, written) in step.iter().zip(written) {
            *at = *index;
            let operation = &self.operations[*index];
            let action = operation.action.as_ref().map_err(Clone::clone)?;
            done.push(action.apply(ctx, txn, written)?);
        }
        if let [_, _, ..] = step {
            // Becoming a member changes a version too.
            for (index, done) in step.iter().zip(&mut done) {
                let Some((resource_type, id)) = &self.operations[*index].target else { continue };
                let id = done.created.as_ref().unwrap_or(id);
                let stored = repo::peek(txn, resource_type, std::slice::from_ref(id))?.pop().flatten();
                done.version = stored.map(|stored| stored.shell.version());
            }
        }
        Ok(done)
    }

    /// The BulkResponse, operations in the order sent.
    fn reply(&self, report: &Report, base_url: &str) -> Response {
        let operated = self.operations.iter().zip(&report.outcomes).filter_map(|(operation, outcome)| {
            let outcome = outcome.as_ref()?;
            // §3.7.3: a location for all but failed POSTs, which have none.
            let located = operation.method != "POST" || outcome.is_ok();
            let target = operation.target.as_ref().filter(|_| located);
            Some(Operated {
                method: &operation.method,
                bulk_id: operation.bulk_id.as_deref(),
                location: target.map(|(resource_type, id)| {
                    let created = outcome.as_ref().ok().and_then(|done| done.created.as_ref());
                    render::location(resource_type, created.unwrap_or(id), base_url)
                }),
                version: outcome.as_ref().ok().and_then(|done| done.version.as_deref()),
                outcome: outcome.as_ref().map(|done| done.status),
            })
        });
        render::bulk(operated)
    }
}

impl Action<'_> {
    /// Carry it out; of a POST, what is left after its document.
    fn apply<H: Host>(
        &self,
        ctx: &Context<'_, H>,
        txn: &mut Txn<'_, H::Store>,
        written: Option<Written>,
    ) -> Result<Done> {
        let loaded = match self {
            Self::Create(create) => {
                let written = written.map_or_else(|| create.write(ctx, txn), Ok)?;
                let version = Some(create.link(ctx, txn, &written)?.version());
                return Ok(Done { status: 201, version, created: Some(written.id().to_owned()) });
            }
            Self::Replace(replace) => replace.apply(ctx, txn)?,
            Self::Patch(patch) => patch.apply(ctx, txn)?,
            Self::Delete(delete) => {
                delete.apply(ctx, txn)?;
                return Ok(Done { status: 204, version: None, created: None });
            }
        };
        Ok(Done { status: 200, version: Some(loaded.version()), created: None })
    }
}

fn place(index: usize) -> String {
    format!("Operations[{index}]")
}

fn in_circle(failed: usize) -> ScimError {
    ScimError::new(
        ErrorKind::Conflict,
        format!(
            "The operation and {} refer to each other in a circle, and that one failed. Repair it and send all of them \
             again.",
            place(failed)
        ),
    )
}
