//! `GET /v1/limits`

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::tenant_view::LimitsInForce;
use crate::api::params::{NoQuery, QueryArgs};
use crate::api::problem::Problem;
use crate::api::tenant::Tenant;
use crate::auth::permission::LimitsRead;
use crate::service::Service;

/// Limits in force for the caller's tenant.
#[derive(Debug, Serialize, ToSchema)]
pub struct LimitsView {
    /// Of requests.
    pub request: RequestLimits,
    /// Of a rule's text.
    pub rule: RuleLimits,
    /// Of a run.
    pub run: RunLimits,
    /// What the tenant may use, all its requests together.
    pub tenant: LimitsInForce,
    /// Of sessions.
    pub session: SessionLimits,
}

/// Limits of requests.
#[derive(Debug, Serialize, ToSchema)]
pub struct RequestLimits {
    /// Bytes of a body with bars.
    pub body_bytes: usize,
    /// Bytes of any other body.
    pub small_body_bytes: usize,
    /// Bars.
    pub rows: usize,
    /// Columns.
    pub columns: usize,
    /// Rows times columns.
    pub values: usize,
    /// Rules of one evaluation.
    pub rules: usize,
    /// Changes of verdict in an answer.
    pub events: usize,
    /// Entries of a page of a list.
    pub page_entries: u32,
    /// Bars of a stream.
    pub stream_rows: usize,
    /// Bytes of a record batch of a stream.
    pub stream_batch_bytes: usize,
    /// Bytes of a line of a stream.
    pub stream_line_bytes: usize,
    /// Streams at a time.
    pub streams: usize,
}

/// Limits of a rule's text.
#[derive(Debug, Serialize, ToSchema)]
pub struct RuleLimits {
    /// Bytes of text.
    pub source_bytes: usize,
    /// Bytes of a module with its manifest; 0: the tenant may not upload modules.
    pub module_bytes: usize,
    /// Depth of nested brackets, calls, conditions and blocks.
    pub nesting: usize,
    /// Levels of an expression's tree: a chain of operators may be one shorter.
    pub depth: usize,
    /// Inputs, params, lets, vars and outs together.
    pub names: usize,
    /// Expressions and statements.
    pub nodes: usize,
    /// The largest window.
    pub window: u32,
    /// Bytes of state.
    pub state_bytes: usize,
    /// Worst-case fuel of one bar.
    pub bar_fuel: u64,
}

/// Limits of a run.
#[derive(Debug, Serialize, ToSchema)]
pub struct RunLimits {
    /// Units of fuel of a request, all its rules together.
    pub fuel: u64,
    /// Milliseconds of one call into a module.
    pub deadline_ms: u64,
    /// Bytes of a module's memory.
    pub memory_bytes: usize,
    /// Bars of one call into a module.
    pub chunk_rows: u32,
}

/// Limits of sessions.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionLimits {
    /// Bars of one call.
    pub bars: usize,
    /// Bytes of the states of a session's rules.
    pub state_bytes: usize,
    /// Bars whose answers are kept to be given again; those of the last call are, whatever their number.
    pub answers: usize,
    /// Bytes of these answers, and of the answers of one call.
    pub answer_bytes: usize,
    /// Seconds without a bar after which a session ends.
    pub idle_seconds: u64,
}

/// Shows the limits in force.
#[utoipa::path(
    get, path = "/v1/limits", tag = "limits", operation_id = "get_limits",
    responses(
        (status = 200, description = "The limits", body = LimitsView),
    )
)]
pub async fn handle(
    tenant: Tenant<LimitsRead>,
    State(service): State<Service>,
    _: QueryArgs<NoQuery>,
) -> Result<Json<LimitsView>, Problem> {
    let (settings, rule, run) = (service.settings(), service.compiler_limits(), service.run_limits());
    let in_force = service.limits_of(tenant.id()).await?;
    Ok(Json(LimitsView {
        tenant: in_force.into(),
        request: RequestLimits {
            body_bytes: settings.api.body_bytes,
            small_body_bytes: settings.api.small_body_bytes,
            rows: in_force.rows_per_call,
            columns: settings.evaluation.columns,
            values: settings.evaluation.cells,
            rules: settings.evaluation.rules,
            events: settings.evaluation.events,
            page_entries: settings.api.page_entries,
            stream_rows: settings.evaluation.stream_rows,
            stream_batch_bytes: settings.evaluation.stream_batch_bytes,
            stream_line_bytes: settings.api.small_body_bytes,
            streams: settings.evaluation.streams,
        },
        rule: RuleLimits {
            source_bytes: in_force.source_bytes(rule),
            module_bytes: if in_force.modules { in_force.module_bytes() } else { 0 },
            nesting: rule.nesting,
            depth: rule.depth,
            names: rule.names,
            nodes: rule.nodes,
            window: rule.window,
            state_bytes: in_force.state_bytes,
            bar_fuel: settings.compile.bar_fuel,
        },
        run: RunLimits {
            fuel: in_force.fuel_per_call,
            deadline_ms: settings.evaluation.deadline_ms,
            memory_bytes: in_force.memory_bytes,
            chunk_rows: run.chunk_rows,
        },
        session: SessionLimits {
            bars: settings.sessions.bars,
            state_bytes: settings.sessions.state_bytes,
            answers: settings.sessions.answers,
            answer_bytes: settings.sessions.answer_bytes,
            idle_seconds: settings.sessions.idle_seconds,
        },
    }))
}
