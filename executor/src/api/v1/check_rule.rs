//! `POST /v1/rules/check`

use axum::Json;
use axum::extract::State;
use rulebox_dsl::manifest::Manifest;
use serde::Serialize;
use utoipa::ToSchema;

use super::rule_view::RuleSource;
use crate::api::body::RuleText;
use crate::api::params::{NameQuery, QueryArgs};
use crate::api::problem::{Diagnostic, Problem};
use crate::api::tenant::Tenant;
use crate::auth::permission::RulesRead;
use crate::service::Service;

/// A text that compiles.
#[derive(Debug, Serialize, ToSchema)]
pub struct CheckedRule {
    /// What the module would take, give and cost.
    #[schema(value_type = Object)]
    pub manifest: Manifest,
    /// SHA-256 that the module would have.
    pub digest: String,
    /// Bytes that the module would have.
    pub module_bytes: usize,
    /// Tests in the text.
    pub tests: usize,
    /// What the author should look at.
    pub warnings: Vec<Diagnostic>,
}

/// Compiles a rule and stores nothing.
#[utoipa::path(
    post, path = "/v1/rules/check", tag = "rules", operation_id = "check_rule",
    params(NameQuery),
    request_body(content((RuleSource = "application/json"), (String = "text/plain"))),
    responses(
        (status = 200, description = "It compiles", body = CheckedRule),
        (status = 422, description = "`rule_invalid` with `diagnostics`, or `cost_limit`"),
    )
)]
pub async fn handle(
    tenant: Tenant<RulesRead>,
    State(service): State<Service>,
    QueryArgs(query): QueryArgs<NameQuery>,
    text: RuleText,
) -> Result<Json<CheckedRule>, Problem> {
    query.agrees(text.name.as_ref())?;
    let checked = service.check(tenant.id(), text.source).await?;
    Ok(Json(CheckedRule {
        manifest: checked.manifest,
        digest: checked.digest.to_string(),
        module_bytes: checked.module_bytes,
        tests: checked.tests,
        warnings: checked.warnings.into_iter().map(Into::into).collect(),
    }))
}
