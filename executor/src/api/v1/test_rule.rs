//! `POST /v1/rules/{name}/test`

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::api::context::Marks;
use crate::api::params::{QueryArgs, RulePath};
use crate::api::problem::Problem;
use crate::api::tenant::Tenant;
use crate::auth::permission::RulesRead;
use crate::service::Service;

/// Which version.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TestQuery {
    /// Its number; without one, the active version.
    version: Option<u32>,
}

/// How a rule's own tests went.
#[derive(Debug, Serialize, ToSchema)]
pub struct TestReport {
    /// The rule.
    pub rule: String,
    /// The version.
    pub version: u32,
    /// Tests that went as expected.
    pub passed: usize,
    /// Tests that did not.
    pub failed: usize,
    /// In the order of the text.
    pub tests: Vec<TestView>,
}

/// How one test went.
#[derive(Debug, Serialize, ToSchema)]
pub struct TestView {
    /// Its name.
    pub name: String,
    /// Its line in the text, from 1.
    pub line: u32,
    /// Its bars.
    pub bars: usize,
    /// Whether all went as expected.
    pub passed: bool,
    /// The first thing that did not.
    pub failure: Option<String>,
}

/// Runs the `test` blocks of a rule, in the sandbox. Needs no body.
#[utoipa::path(
    post, path = "/v1/rules/{name}/test", tag = "rules", operation_id = "test_rule",
    params(RulePath, TestQuery),
    responses(
        (status = 200, description = "The tests were run; they may have failed", body = TestReport),
        (status = 404, description = "`rule_not_found` or `version_not_found`"),
        (status = 409, description = "`rule_archived` or `rule_not_active`, without `version`"),
        (status = 422, description = "`rule_invalid`: the text no longer compiles"),
        (status = 423, description = "`rule_quarantined`"),
    )
)]
pub async fn handle(
    tenant: Tenant<RulesRead>,
    State(service): State<Service>,
    RulePath(name): RulePath,
    QueryArgs(query): QueryArgs<TestQuery>,
    marks: Marks,
) -> Result<Json<TestReport>, Problem> {
    let (version, outcomes) = service.test(&tenant.caller(marks), &name, query.version).await?;
    let passed = outcomes.iter().filter(|test| test.failure.is_none()).count();
    let failed = outcomes.len() - passed;
    let view = |test: crate::service::rules::TestOutcome| TestView {
        name: test.name,
        line: test.line,
        bars: test.bars,
        passed: test.failure.is_none(),
        failure: test.failure,
    };
    let tests = outcomes.into_iter().map(view).collect();
    Ok(Json(TestReport { rule: name.as_str().to_owned(), version, passed, failed, tests }))
}
