//! Sessions: live runs, bar by bar, each bar counted once, on whichever replica it arrives.
//!
//! The state after each accepted call is saved with the answers to its bars, before the answer leaves, and only if
//! nobody else has saved meanwhile. So a call that is sent again gets the same answer, and of two callers one wins.

mod advance;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
pub mod keys;
mod state;

use std::sync::Arc;

use uuid::Uuid;

use super::evaluate::not_in_request;
use super::{Caller, Service, ServiceError};
use crate::domain::bars::Params;
use crate::domain::idempotency::IdempotentRequest;
use crate::domain::rule::{RuleName, Runnable};
use crate::domain::session::SessionInfo;
use crate::domain::violation::{Kind, NewViolation};
use crate::execution::bind::bind_params;
use crate::execution::live::fresh;
use crate::execution::pool::Place;
use crate::shared::{Saved, SessionId, SharedError};
pub use advance::{NextBars, Render, SessionAnswer};
use state::{Pinned, State};

/// How often a call begins anew because somebody else has saved meanwhile.
const ATTEMPTS: usize = 8;

/// What a new session runs.
#[derive(Debug)]
pub struct NewSession {
    /// The rules; `None` for all that are active.
    pub rules: Option<Vec<RuleName>>,
    /// The versions of those that shall not run their active one.
    pub versions: Vec<(RuleName, u32)>,
    /// The caller's params, by rule.
    pub params: Vec<(RuleName, Params)>,
    /// The request, if it may be sent again.
    pub request: Option<IdempotentRequest>,
    /// Of the request on the pool.
    pub place: Place,
}

/// A session as it was last saved. Whoever holds one saves without reading first, and is told if it is not the last
/// any more.
#[derive(Clone, Debug)]
pub struct Live {
    revision: u64,
    state: State,
}

impl Service {
    /// Begins a session: finds the versions, which stay what they are now, and keeps the states before bar 0.
    ///
    /// # Errors
    /// No such rule or version; params that do not fit, or that a module refuses; a module without a state, or too
    /// much of it; a request whose key another one had; sessions that cannot be had.
    pub async fn create_session(&self, caller: &Caller, new: NewSession) -> Result<SessionInfo, ServiceError> {
        let NewSession { rules, versions, params, request, place } = new;
        let id = request.map_or_else(Uuid::now_v7, |request| keys::id_of(caller.tenant, &request.key));
        let id = SessionId { tenant: caller.tenant, id };
        if let Some(request) = &request
            && let Some(begun) = self.begun_by(caller, id, request).await?
        {
            return Ok(begun);
        }
        let found = match rules {
            Some(names) => self.find_named(caller, names, &versions).await?,
            None => self.find_active(caller, &versions).await?,
        };
        if found.is_empty() {
            return Err(ServiceError::NoRules);
        }
        let absent = |name: &RuleName| found.iter().all(|runnable| runnable.rule != *name);
        if let Some((name, _)) = params.iter().find(|(name, _)| absent(name)) {
            return Err(not_in_request("params", name));
        }
        let mut bound = Vec::with_capacity(found.len());
        for (runnable, prepared) in self.prepare(caller, found, self.form(1), &place).await? {
            let at = format!("params.{}", runnable.rule);
            let given = params.iter().find(|(name, _)| *name == runnable.rule);
            let given = given.map_or(&[][..], |(_, params)| params.as_slice());
            let params = bind_params(runnable.rule.as_str(), &prepared.manifest, given, &at)?;
            bound.push((runnable, params));
        }
        let pinned = self.begin(caller, bound, &place).await?;
        let state = State::new(pinned, request);
        let sealed = self.session_keys.seal(id, 0, &written(&state)?);
        match (self.shared.sessions.create(id, sealed, self.settings.sessions.idle()).await?, request) {
            (Saved::Done, _) => Ok(info(self.session_keys.name(id), &state)),
            // The same request was quicker, on its other way here.
            (_, Some(request)) => self.begun_by(caller, id, &request).await?.ok_or(ServiceError::Busy),
            // An id is made for one session.
            (_, None) => Err(ServiceError::Busy),
        }
    }

    /// The session that a request has begun already.
    async fn begun_by(
        &self,
        caller: &Caller,
        id: SessionId,
        request: &IdempotentRequest,
    ) -> Result<Option<SessionInfo>, ServiceError> {
        match self.load(caller, id).await {
            Ok(live) if live.state.is_of(request) => Ok(Some(info(self.session_keys.name(id), &live.state))),
            Ok(_) => Err(ServiceError::KeyReused),
            Err(ServiceError::SessionLost) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The states of some rules before bar 0.
    async fn begin(
        &self,
        caller: &Caller,
        rules: Vec<(Runnable, Vec<f64>)>,
        place: &Place,
    ) -> Result<Vec<Pinned>, ServiceError> {
        let found = rules.iter().map(|(runnable, _)| runnable.clone()).collect();
        let prepared = self.prepare(caller, found, self.form(1), place).await?;
        let limits = self.limits_of(caller.tenant).await?.of_run(&self.limits);
        let begun = move || -> Vec<_> {
            let begin = |((runnable, params), (_, prepared)): ((_, Vec<f64>), (_, Arc<_>))| {
                let state = fresh(&prepared, &params, &limits);
                (runnable, params, prepared.manifest.cost.is_some(), state)
            };
            rules.into_iter().zip(prepared).map(begin).collect()
        };
        let mut pinned = Vec::new();
        let (mut bytes, limit) = (0, self.settings.sessions.state_bytes);
        for (runnable, params, compiled, state) in place.run(begun).await? {
            let state = match state {
                Ok(state) => state,
                Err(error) => return Err(self.not_run(caller, &runnable, compiled, error).await?),
            };
            bytes += state.len();
            pinned.push(Pinned::new(&runnable, params, state));
        }
        if bytes > limit {
            return Err(ServiceError::StateTooLarge { bytes, limit });
        }
        Ok(pinned)
    }

    /// What there is to know of a session.
    ///
    /// # Errors
    /// No such session, or it is lost, or it cannot be had.
    pub async fn session(&self, caller: &Caller, name: &str) -> Result<SessionInfo, ServiceError> {
        Ok(info(name.to_owned(), &self.open_session(caller, name).await?.state))
    }

    /// A session, to go on with.
    ///
    /// # Errors
    /// As [`Service::session`].
    pub async fn open_session(&self, caller: &Caller, name: &str) -> Result<Live, ServiceError> {
        self.load(caller, self.find_session(caller, name)?).await
    }

    /// Begins a session anew: its next bar is 0, its versions and params stay.
    ///
    /// # Errors
    /// As [`Service::session`].
    pub async fn reset_session(&self, caller: &Caller, name: &str, place: &Place) -> Result<SessionInfo, ServiceError> {
        let id = self.find_session(caller, name)?;
        for _ in 0..ATTEMPTS {
            let live = self.load(caller, id).await?;
            let runnables = live.state.runnables().ok_or(ServiceError::SessionLost)?;
            self.check_stopped(caller.tenant, &runnables).await?;
            let params = live.state.rules.iter().map(|pinned| pinned.params.clone());
            let rules = runnables.into_iter().zip(params).collect();
            let state = live.state.anew(self.begin(caller, rules, place).await?);
            if self.save(caller, id, live.revision, &state).await?.is_some() {
                return Ok(info(name.to_owned(), &state));
            }
        }
        Err(ServiceError::Busy)
    }

    /// Ends a session.
    ///
    /// # Errors
    /// As [`Service::session`].
    pub async fn delete_session(&self, caller: &Caller, name: &str) -> Result<(), ServiceError> {
        let id = self.find_session(caller, name)?;
        if self.shared.sessions.delete(id).await? { Ok(()) } else { Err(ServiceError::SessionLost) }
    }

    fn find_session(&self, caller: &Caller, name: &str) -> Result<SessionId, ServiceError> {
        self.session_keys.read_name(caller.tenant, name).ok_or(ServiceError::NoSession)
    }

    async fn load(&self, caller: &Caller, id: SessionId) -> Result<Live, ServiceError> {
        let stored = match self.shared.sessions.load(id).await {
            Ok(stored) => stored.ok_or(ServiceError::SessionLost)?,
            // Whoever put that there has the keys of what keeps the states, and not those of their seals.
            Err(SharedError::Malformed { .. }) => return Err(self.forged(caller, id).await?),
            Err(error) => return Err(error.into()),
        };
        let opened = self.session_keys.open(id, stored.revision, &stored.bytes);
        match opened.and_then(State::read) {
            Some(state) => Ok(Live { revision: stored.revision, state }),
            None => Err(self.forged(caller, id).await?),
        }
    }

    /// Saves a state over `before`. Nothing if somebody else has.
    async fn save(
        &self,
        caller: &Caller,
        id: SessionId,
        before: u64,
        state: &State,
    ) -> Result<Option<u64>, ServiceError> {
        let revision = before.saturating_add(1);
        let sealed = self.session_keys.seal(id, revision, &written(state)?);
        let saved = self.shared.sessions.save(id, before, revision, sealed, self.settings.sessions.idle()).await;
        match saved {
            Ok(Saved::Done) => Ok(Some(revision)),
            Ok(Saved::Conflict { .. }) => Ok(None),
            Ok(Saved::Gone) => Err(ServiceError::SessionLost),
            Err(SharedError::Malformed { .. }) => Err(self.forged(caller, id).await?),
            Err(error) => Err(error.into()),
        }
    }

    /// Records a state that nobody with our keys has made, and forgets it, so that it is recorded once.
    async fn forged(&self, caller: &Caller, id: SessionId) -> Result<ServiceError, ServiceError> {
        let record = NewViolation::new(Kind::StateForged, true, caller.marks.clone(), Some(caller.actor.id));
        self.record_violation(caller, &record).await?;
        if let Err(error) = self.shared.sessions.delete(id).await {
            tracing::warn!(error = crate::telemetry::chain(&error), "a forged state was not deleted");
        }
        Ok(ServiceError::SessionLost)
    }
}

fn written(state: &State) -> Result<Vec<u8>, ServiceError> {
    // Numbers, texts and JSON that was written here: it can be written.
    state.write().map_err(|_| ServiceError::SessionLost)
}

fn info(id: String, state: &State) -> SessionInfo {
    SessionInfo {
        id,
        rules: state.runnables().unwrap_or_default(),
        next_seq: state.next_seq,
        oldest_seq: state.oldest_seq(),
    }
}
