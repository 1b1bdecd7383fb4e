//! Delivers each tenant's log to the handler: one task a tenant while there is something to deliver.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::{ChangeHandler, ChangeLog, Delivery, HandlerError, position};
use crate::error::{Error, Result};
use crate::metrics::Metrics;
use crate::storage::{Check, Mutation, Outcome, Storage, StoreError};

/// Records read at once.
const PAGE: u32 = 100;
/// Tenants caught up on at once at a start.
const TENANTS: u32 = 64;
/// How long a delivery rests after a first failure; each further one doubles it.
const FIRST_REST: Duration = Duration::from_millis(500);
/// How long it rests at most.
const LONGEST_REST: Duration = Duration::from_mins(1);

/// The deliveries of one provider.
pub(crate) struct Deliveries {
    handler: Arc<dyn ChangeHandler>,
    delivery: Delivery,
    log: ChangeLog,
    storage: Arc<dyn Storage>,
    metrics: Arc<Metrics>,
    /// Those that were written to since the start, or were caught up on.
    tenants: Mutex<HashMap<String, Arc<Tenant>>>,
}

/// One tenant's deliveries.
struct Tenant {
    name: String,
    progress: Mutex<Progress>,
    /// The last commit whose records were delivered, or failed to be at least once.
    settled: watch::Sender<u64>,
    /// Ends the rest after a failure.
    wake: Notify,
}

#[derive(Default)]
struct Progress {
    /// Commits since the start.
    commits: u64,
    /// Whether a task is there that will see them.
    is_working: bool,
    /// Whether the storage knows that the log is followed.
    is_followed: bool,
    /// The last record that was taken over: further than what is stored while that is not written.
    position: u64,
}

/// A commit whose records are to be delivered.
pub(crate) struct Outstanding {
    tenant: Arc<Tenant>,
    commit: u64,
}

impl Outstanding {
    /// Waits until its records are delivered or failed to be; false where that takes longer.
    pub(crate) async fn settled(&self, patience: Duration) -> bool {
        let mut settled = self.tenant.settled.subscribe();
        let waited = tokio::time::timeout(patience, settled.wait_for(|settled| *settled >= self.commit)).await;
        waited.is_ok()
    }
}

/// Why a delivery broke off.
enum Broken {
    /// The log or the position could not be read or written.
    Log(Error),
    /// The handler did not take a record over.
    Handler { sequence: u64, error: HandlerError },
    /// The handler panicked.
    Panicked(tokio::task::JoinError),
}

impl Deliveries {
    pub(crate) fn new(
        handler: Arc<dyn ChangeHandler>,
        delivery: Delivery,
        log: ChangeLog,
        storage: Arc<dyn Storage>,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        Arc::new(Self { handler, delivery, log, storage, metrics, tenants: Mutex::default() })
    }

    /// Whether answers wait for the handler.
    pub(crate) fn is_awaited(&self) -> bool {
        self.delivery == Delivery::BeforeReply
    }

    /// Delivers what an earlier process has committed and not told, each tenant's until its handler fails.
    pub(crate) async fn catch_up(self: &Arc<Self>) -> Result<()> {
        let mut after: Option<String> = None;
        loop {
            let names = position::tenants(&*self.storage, after.as_deref(), TENANTS).await?;
            let begun: Vec<Outstanding> = names.iter().map(|name| self.deliver(&self.tenant(name))).collect();
            for outstanding in begun {
                // The sender is in the same value, so this ends only with the delivery.
                let mut settled = outstanding.tenant.settled.subscribe();
                let _ = settled.wait_for(|settled| *settled >= outstanding.commit).await;
                // The task does so too, but nobody waits for it.
                self.note(&outstanding.tenant).await;
            }
            if names.len() < TENANTS as usize {
                return Ok(());
            }
            after = names.into_iter().next_back();
        }
    }

    /// Commits, and has the tenant's log delivered from then on.
    ///
    /// The commit is a task of its own: a client that goes away takes the request with it, not the delivery.
    pub(crate) async fn commit(
        self: &Arc<Self>,
        tenant: &str,
        checks: Vec<Check>,
        mutations: Vec<Mutation>,
    ) -> (Result<Outcome, StoreError>, Option<Outstanding>) {
        let tenant = self.tenant(tenant);
        // Before the first commit, so that a start that comes after a crash finds the tenant.
        if !tenant.progress().is_followed {
            if let Err(error) = position::follow(&*self.storage, &tenant.name).await {
                return (Err(error), None);
            }
            tenant.progress().is_followed = true;
        }
        let this = Arc::clone(self);
        let committing = tokio::spawn(async move {
            let outcome = this.storage.commit(&tenant.name, checks, mutations).await;
            let outstanding = match outcome {
                Ok(Outcome::Conflict) | Err(StoreError::TooLarge | StoreError::AccessDenied) => None,
                // After any other error too, the commit may have been made.
                Ok(Outcome::Committed) | Err(_) => Some(this.deliver(&tenant)),
            };
            (outcome, outstanding)
        });
        match committing.await.map_err(tokio::task::JoinError::try_into_panic) {
            Ok(ended) => ended,
            // As if there were no task between.
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            Err(Err(_ended)) => (Err(StoreError::Unavailable("the program ends".to_owned())), None),
        }
    }

    fn tenant(&self, name: &str) -> Arc<Tenant> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tenant) = tenants.get(name) {
            return Arc::clone(tenant);
        }
        let tenant = Arc::new(Tenant {
            name: name.to_owned(),
            progress: Mutex::default(),
            settled: watch::Sender::new(0),
            wake: Notify::new(),
        });
        tenants.insert(name.to_owned(), Arc::clone(&tenant));
        tenant
    }

    /// Has a task deliver what the tenant's log has by now.
    fn deliver(self: &Arc<Self>, tenant: &Arc<Tenant>) -> Outstanding {
        let mut progress = tenant.progress();
        progress.commits += 1;
        let commit = progress.commits;
        if progress.is_working {
            tenant.wake.notify_one();
        } else {
            progress.is_working = true;
            tokio::spawn(work(Arc::downgrade(self), Arc::clone(tenant)));
        }
        Outstanding { tenant: Arc::clone(tenant), commit }
    }

    /// Delivers until the log's end, and notes how far it came.
    async fn run(self: Arc<Self>, tenant: Arc<Tenant>) -> Result<(), Broken> {
        let stored = position::read(&*self.storage, &tenant.name).await.map_err(Broken::Log)?;
        // Another process may be further; this one is, where its note of it failed.
        let mut reached = stored.unwrap_or(0).max(tenant.progress().position);
        loop {
            let page = self.log.page(&tenant.name, reached, PAGE).await.map_err(Broken::Log)?;
            for record in &page.records {
                if let Err(error) = self.handler.changed(record).await {
                    return Err(Broken::Handler { sequence: record.sequence, error });
                }
                reached = record.sequence;
                tenant.progress().position = reached;
            }
            if !page.more {
                return Ok(());
            }
            self.note(&tenant).await;
        }
    }

    /// Stores how far the tenant's log is delivered. What can't be noted is delivered again after a restart, no more.
    async fn note(&self, tenant: &Tenant) {
        let reached = tenant.progress().position;
        if reached == 0 {
            return;
        }
        if let Err(error) = position::advance(&*self.storage, &tenant.name, reached).await {
            tracing::warn!(tenant = tenant.name, %error, "how far changes are delivered can't be noted");
        }
    }
}

/// Delivers until nothing is outstanding, or the provider is gone.
async fn work(deliveries: Weak<Deliveries>, tenant: Arc<Tenant>) {
    let mut failures = 0;
    loop {
        let Some(this) = deliveries.upgrade() else { return };
        let goal = tenant.progress().commits;
        // A task of its own, so that a handler's panic ends no more than this attempt.
        let ended = tokio::spawn(Arc::clone(&this).run(Arc::clone(&tenant))).await;
        let ended = ended.unwrap_or_else(|error| Err(Broken::Panicked(error)));
        if let Err(broken) = &ended {
            this.metrics.delivery_failed();
            tracing::error!(tenant = tenant.name, %broken, "a change is not delivered yet: it will be tried again");
        }
        // Answers wait for the handler, not for the note.
        tenant.settled.send_replace(goal);
        this.note(&tenant).await;
        drop(this);
        match ended {
            Ok(()) => {
                failures = 0;
                let mut progress = tenant.progress();
                if progress.commits == goal {
                    progress.is_working = false;
                    return;
                }
            }
            Err(_) => {
                let rest = LONGEST_REST.min(FIRST_REST.saturating_mul(1 << failures.min(16)));
                failures += 1;
                // Somebody writing to the tenant waits for an answer: time for another attempt.
                let _ = tokio::time::timeout(rest, tenant.wake.notified()).await;
            }
        }
    }
}

impl Tenant {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        // Each use leaves it whole.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log(error) => error.fmt(f),
            Self::Handler { sequence, error } => write!(f, "the handler failed on record {sequence}: {error}"),
            Self::Panicked(error) => write!(f, "the handler did not return: {error}"),
        }
    }
}
