//! `POST /admin/maintenance`: what writes do a step of each, done now. For tenants that nobody writes to, and for hosts
//! without a background process, where a timer or an operator calls it.

use serde_json::json;

use crate::error::Result;
use crate::host::Host;
use crate::http::Response;
use crate::limits;
use crate::ops::Context;
use crate::render;
use crate::store::sweep;

use super::change;

/// Up to [`limits::MAINTENANCE_STEPS`] steps. `done` says whether nothing is left; if not, the caller comes again.
pub(super) fn run<H: Host>(ctx: &Context<'_, H>) -> Result<Response> {
    let mut steps = 0;
    let mut done = false;
    while !done && steps < limits::MAINTENANCE_STEPS {
        let swept = sweep::step(&ctx.store, ctx.now, ctx.tenant.settings.deletions_since(ctx.now))?;
        let built = change::step(&ctx.store, ctx.now)?;
        done = !swept && !built;
        steps += u32::from(!done);
    }
    Ok(render::json(200, &json!({ "steps": steps, "done": done })))
}
