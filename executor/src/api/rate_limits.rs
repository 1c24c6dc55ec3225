//! `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers): what a tenant may take, and what is left.

use std::sync::{Arc, OnceLock};

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::service::ServiceError;
use crate::service::admission::{Admitted, whole_seconds};
use crate::shared::{Decision, Policy, Quota};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Where the headers of a request's answer wait until it is there.
#[derive(Clone, Debug, Default)]
pub struct RateLimits(Arc<OnceLock<Told>>);

#[derive(Clone, Copy, Debug)]
struct Told {
    requests: Quota,
    decision: Decision,
    /// Not known of one that was refused.
    fuel: Option<Quota>,
}

impl RateLimits {
    /// The request was let in.
    pub fn admitted(&self, admitted: &Admitted) {
        self.tell(admitted.quota, admitted.decision, Some(admitted.fuel));
    }

    /// It was not, if it was for this.
    pub fn refused(&self, error: &ServiceError) {
        if let ServiceError::RateLimited { policy: Policy::Requests, quota, decision } = error {
            self.tell(*quota, *decision, None);
        }
    }

    fn tell(&self, requests: Quota, decision: Decision, fuel: Option<Quota>) {
        // The first word stands: a request is let in once.
        let _ = self.0.set(Told { requests, decision, fuel });
    }

    /// Adds the headers to an answer.
    pub fn add(&self, headers: &mut HeaderMap) {
        let Some(told) = self.0.get() else { return };
        let policy = |name, Quota { per_second, burst }: Quota| {
            // What can be taken at once comes back in so many seconds.
            let window = burst.div_ceil(per_second.max(1)).max(1);
            format!("\"{name}\";q={};w={window}", burst.max(per_second))
        };
        let mut policies = policy("requests", told.requests);
        if let Some(fuel) = told.fuel {
            policies = format!("{policies}, {}", policy("fuel", fuel));
        }
        let reset = whole_seconds(told.decision.reset_after);
        let limit = format!("\"requests\";r={};t={reset}", told.decision.remaining);
        for (name, value) in [(POLICY, policies), (LIMIT, limit)] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
    }
}
