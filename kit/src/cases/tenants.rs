//! Tenants are apart.

use super::{delete, is, put};
use crate::space::{Space, Subject, Verdict};
use crate::types::Outcome;

pub(crate) async fn isolated<S: Subject>(s: &Space<S>) -> Verdict {
    // Names that are prefixes of one another or differ in case only, and keys that continue them.
    let mut tenants = vec![s.clone()];
    for suffix in ["-", "-a", "-A", ".", "a"] {
        tenants.push(s.sibling(suffix).await?);
    }
    for (n, space) in tenants.iter().enumerate() {
        space.begin().await?;
        space.apply(vec![put("a", &n.to_string()), put("-a", ""), put("", "")]).await?;
    }
    tenants[0].clear().await?;
    tenants[0].holds(&[]).await?;
    for (n, space) in tenants.iter().enumerate().skip(1) {
        space.holds(&[("", ""), ("-a", ""), ("a", &n.to_string())]).await?;
        space.outcome(vec![is("a", &n.to_string())], vec![delete("-a")], Outcome::Committed).await?;
        space.holds(&[("", ""), ("a", &n.to_string())]).await?;
        space.clear().await?;
    }
    tenants[0].holds(&[]).await
}
