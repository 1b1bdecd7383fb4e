//! What a request was tolerated for, or refused for by a profile, is kept for the operator's report.

use serde_json::Value;

use crate::compat;
use crate::error::excerpt;
use crate::host::Host;
use crate::limits;
use crate::store::Mode;
use crate::store::sightings::{self, Example};
use crate::validate;

use super::Context;

/// Keep it, unless the request is a dry run. The answer stands whatever becomes of this.
pub fn note<H: Host>(ctx: &Context<'_, H>) {
    let seen = ctx.compat.seen();
    if seen.is_empty() || ctx.mode == Mode::Rehearse {
        return;
    }
    let request = ctx.request;
    let path = request.target.split('?').next().unwrap_or_default();
    let user_agent = request.header("user-agent").map(|agent| excerpt(agent.trim())).filter(|agent| !agent.is_empty());
    let needed: Vec<_> = seen
        .into_iter()
        .map(|(tolerance, sighting)| {
            let place = cut(&sighting.place, limits::SIGHTING_PLACE_BYTES);
            let (user_agent, method, path) = (user_agent.clone(), request.method.clone(), excerpt(path));
            let example = Example { time: ctx.now, user_agent, method, path, place, sent: None };
            (tolerance, sighting.refused, example)
        })
        .collect();
    let _ = sightings::note(&ctx.store, &ctx.principal.subject, ctx.now, &needed, |example| sent(ctx, &example.place));
}

/// What stands at a place of the request: a header, a parameter of the query, or a piece of the body.
fn sent<H: Host>(ctx: &Context<'_, H>, place: &str) -> Option<String> {
    let secret = compat::never_shown(&ctx.tenant.registry);
    if place.eq_ignore_ascii_case("content-type") {
        return ctx.request.header("content-type").map(excerpt);
    }
    let body = validate::parse_json(&ctx.request.body).unwrap_or(Value::Null);
    if let Some(piece) = compat::piece(&body, place, &secret) {
        return Some(piece);
    }
    // `filter: at character 13` and `count` are about parameters.
    let name = place.split(':').next().unwrap_or_default();
    let value = crate::query::parameter(&ctx.request.target, name).ok().flatten()?;
    let shown = value.to_ascii_lowercase();
    (!secret.iter().any(|name| shown.contains(name.as_str()))).then(|| excerpt(value))
}

fn cut(text: &str, most: usize) -> String {
    match text.len() > most {
        true => format!("{}…", &text[..text.floor_char_boundary(most)]),
        false => text.to_owned(),
    }
}
