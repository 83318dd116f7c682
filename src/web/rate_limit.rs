//! Limit headers: the IETF draft's `RateLimit` and `RateLimit-Policy`, and the `X-RateLimit-*` trio, whose `Reset` is in seconds.

use actix_web::HttpResponseBuilder;

use crate::domain::decision::limiter::Standing;

/// Adds the headers; nothing for a request without a limit.
pub fn add_headers(builder: &mut HttpResponseBuilder, standings: &[Standing]) {
    let Some(tightest) = standings.iter().min_by_key(|standing| standing.remaining) else {
        return;
    };
    let policies = standings.iter().map(|standing| {
        format!(
            "\"{}\";q={};w={}",
            standing.policy, standing.limit, standing.window_seconds
        )
    });
    let states = standings.iter().map(|standing| {
        format!(
            "\"{}\";r={};t={}",
            standing.policy, standing.remaining, standing.reset_seconds
        )
    });
    builder
        .insert_header(("RateLimit-Policy", policies.collect::<Vec<_>>().join(", ")))
        .insert_header(("RateLimit", states.collect::<Vec<_>>().join(", ")))
        .insert_header(("X-RateLimit-Limit", tightest.limit.to_string()))
        .insert_header(("X-RateLimit-Remaining", tightest.remaining.to_string()))
        .insert_header(("X-RateLimit-Reset", tightest.reset_seconds.to_string()));
}
