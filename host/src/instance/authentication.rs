//! Grants that are assumed while they are asked for again.
//!
//! Where the authenticator is remote, asking it before each request's first read would be a trip of its own. Most requests come
//! with the credentials of the one before, which was granted: what it was granted is taken for granted again, and the authenticator
//! is asked beside the first read. Architecture invariant: nothing is committed, and no answer leaves, before it has given the same
//! principal again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::OtherPrincipal;
use super::import::Calls;
use crate::authenticator::{AuthError, Authenticator, Credentials, Principal};

/// The authenticator as an instance asks it.
pub(super) struct Authentication {
    authenticator: Arc<dyn Authenticator>,
    /// The credentials that were granted last, and whom; only of a remote authenticator.
    last: Option<(Credentials, Principal)>,
    is_assumed: AtomicBool,
}

impl Authentication {
    pub(super) fn new(authenticator: Arc<dyn Authenticator>) -> Self {
        Self { authenticator, last: None, is_assumed: AtomicBool::new(false) }
    }

    /// What the same credentials were granted by the request before, if the authenticator is remote.
    pub(super) fn assume(&mut self, credentials: &Credentials) -> Option<Principal> {
        let (_, principal) = self.last.as_ref().filter(|(granted, _)| granted == credentials)?;
        *self.is_assumed.get_mut() = true;
        Some(principal.clone())
    }

    /// Remembers what these credentials were granted.
    pub(super) fn granted(&mut self, credentials: Credentials, principal: &Principal) {
        *self.is_assumed.get_mut() = false;
        self.last = self.authenticator.is_remote().then(|| (credentials, principal.clone()));
    }

    /// The authenticator's answer.
    pub(super) async fn ask(
        &self,
        calls: &Calls,
        credentials: Credentials,
    ) -> wasmtime::Result<Result<Principal, AuthError>> {
        calls.run("authenticator.authenticate", || self.authenticator.authenticate(credentials)).await
    }

    /// Calls storage to read; asks the authenticator meanwhile if the grant is only assumed.
    pub(super) async fn reading<F: Future + Send>(
        &self,
        calls: &Calls,
        import: &'static str,
        call: impl FnOnce() -> F + Send,
    ) -> wasmtime::Result<F::Output>
    where
        F::Output: Send,
    {
        if !self.is_assumed.load(Ordering::Relaxed) {
            return calls.run(import, call).await;
        }
        let (answer, ()) = tokio::try_join!(calls.run(import, call), self.confirmed(calls))?;
        Ok(answer)
    }

    /// Waits until the grant is no mere assumption.
    pub(super) async fn confirmed(&self, calls: &Calls) -> wasmtime::Result<()> {
        if !self.is_assumed.load(Ordering::Relaxed) {
            return Ok(());
        }
        let Some((credentials, assumed)) = &self.last else { return Err(OtherPrincipal.into()) };
        if self.ask(calls, credentials.clone()).await?.as_ref() != Ok(assumed) {
            return Err(OtherPrincipal.into());
        }
        self.is_assumed.store(false, Ordering::Relaxed);
        Ok(())
    }
}
