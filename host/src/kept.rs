//! Instances kept from one request of a tenant to its next.
//!
//! A fresh instance for each request costs more than a read does. What must not be lost with it is that no state of one
//! tenant reaches another's request. So an instance serves one tenant in all its life: it is looked for by the client's
//! credentials, which only guess the tenant, and where `authenticate` then grants another one, the call ends there and a
//! fresh instance takes the request (`instance::OtherPrincipal`). Between two requests it holds no grant.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use wasmtime::Store;

use crate::bindings;
use crate::instance::Instance;
use crate::provider::Request;

/// Requests that an instance serves at most: what a request left behind in its memory has an end.
const REQUESTS: u32 = 1000;
/// How long an instance is kept for nothing.
const IDLE: Duration = Duration::from_secs(30);
/// Bytes of memory above which an instance is not kept: memory grows with the largest request, and never shrinks.
const MEMORY: usize = 2 * 1024 * 1024;

/// An instance, and what it takes to call it.
pub(crate) struct Kept {
    pub(crate) store: Store<Instance>,
    pub(crate) component: bindings::Provider,
    served: u32,
}

impl Kept {
    /// An instance that has served nobody.
    pub(crate) fn new(store: Store<Instance>, component: bindings::Provider) -> Self {
        Self { store, component, served: 0 }
    }
}

/// Who sends a request, as far as can be told before it is authenticated. A collision costs a fresh instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Client(u64);

/// The instances that wait for their tenant's next request, the one used last at the end.
pub(crate) struct KeptInstances {
    most: usize,
    hasher: RandomState,
    waiting: Mutex<VecDeque<Waiting>>,
}

struct Waiting {
    client: Client,
    since: Instant,
    kept: Kept,
}

impl KeptInstances {
    /// At most so many.
    pub(crate) fn new(most: u32) -> Self {
        Self { most: most as usize, hasher: RandomState::new(), waiting: Mutex::default() }
    }

    /// Whom the request comes from.
    pub(crate) fn client(&self, request: &Request) -> Client {
        let authorization = request.headers.iter().find(|(name, _)| name == "authorization");
        Client(self.hasher.hash_one((authorization, &request.tenant_hint, &request.client_certificate_subject)))
    }

    /// An instance that has served this client before.
    pub(crate) fn take(&self, client: Client) -> Option<Kept> {
        if self.most == 0 {
            return None;
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let at = waiting.iter().rposition(|waiting| waiting.client == client)?;
        waiting.remove(at).map(|waiting| waiting.kept)
    }

    /// Keeps the instance for this client's next request, unless it has served enough.
    pub(crate) fn put(&self, client: Client, mut kept: Kept) {
        kept.served += 1;
        if self.most == 0 || kept.served >= REQUESTS || !kept.store.data_mut().rest(MEMORY) {
            return;
        }
        let now = Instant::now();
        // Dropped after the lock is released: giving an instance's memory back takes a while.
        let mut dropped = Vec::new();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push_back(Waiting { client, since: now, kept });
        while let Some(first) = waiting.front()
            && (waiting.len() > self.most || now.duration_since(first.since) > IDLE)
        {
            dropped.extend(waiting.pop_front());
        }
        drop(waiting);
    }
}
