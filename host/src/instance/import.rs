//! A call of what the embedder brings: storage, authenticator, policy. Whatever it does, the request ends, and the log
//! names the import.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;

/// An import panicked. The instance that called it is thrown away.
#[derive(Clone, Debug)]
pub(crate) struct Panicked {
    /// `storage.commit` for example.
    pub(crate) import: &'static str,
    /// What the panic says.
    pub(crate) message: String,
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} panicked: {}", self.import, self.message)
    }
}

impl std::error::Error for Panicked {}

/// The calls of one instance's imports: one at a time, but for the authenticator, which may be asked beside another.
#[derive(Default)]
pub(super) struct Calls {
    under_way: Mutex<Vec<&'static str>>,
}

impl Calls {
    /// The import that has not answered yet: where a request that takes too long has got to.
    pub(super) fn under_way(&self) -> Option<&'static str> {
        self.names().first().copied()
    }

    fn names(&self) -> MutexGuard<'_, Vec<&'static str>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls an import. A panic in it ends the call of the component, rather than the connection that waits for an answer.
    pub(super) async fn run<F: Future + Send>(
        &self,
        import: &'static str,
        call: impl FnOnce() -> F + Send,
    ) -> wasmtime::Result<F::Output> {
        self.names().push(import);
        let mut called = pin!(async move { call().await });
        let answer = std::future::poll_fn(|context| {
            // What panicked is not polled again; what it has left locked or half done is its own affair.
            match catch_unwind(AssertUnwindSafe(|| called.as_mut().poll(context))) {
                Ok(Poll::Ready(answer)) => Poll::Ready(Ok(answer)),
                Ok(Poll::Pending) => Poll::Pending,
                Err(panic) => Poll::Ready(Err(Panicked { import, message: message(&*panic) }.into())),
            }
        });
        let answer = answer.await;
        self.names().retain(|name| *name != import);
        answer
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a text").to_owned()
}
