//! Version 1 of the API, one file for each operation.

#![expect(unused_qualifications, reason = "utoipa writes `super::` before the types of parameters")]

mod activate_rule;
mod add_version;
pub(super) mod answer_parts;
mod archive_rule;
mod audit;
mod bars_request;
mod break_glass;
mod check_rule;
mod combined_view;
mod create_key;
mod create_rule;
mod create_session;
mod create_tenant;
mod create_webhook;
mod delete_session;
mod deliveries;
mod evaluate_rule;
mod evaluate_rules;
mod get_limits;
mod get_module;
mod get_rule;
mod get_session;
mod get_source;
mod get_tenant;
mod get_version;
mod get_violation;
mod key_view;
mod list_keys;
mod list_quarantines;
mod list_rules;
mod list_tenants;
mod list_versions;
mod list_violations;
mod list_webhooks;
mod named_rules;
mod quarantine;
mod reset_session;
mod responses;
mod review_violation;
mod revoke_key;
mod rotate_webhook;
mod rule_view;
pub(super) mod run_view;
mod session_bars;
mod session_socket;
mod session_stream;
mod session_view;
mod stream_request;
mod stream_violations;
mod tenant_keys;
mod tenant_view;
mod test_rule;
mod update_tenant;
mod usage;
mod violation_view;
mod webhook;
mod webhook_view;

use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::problem::ProblemBody;
use super::state::ApiState;
use responses::Problems;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Rulebox",
        description = "Compiles trading rules to WebAssembly, keeps them as immutable versions, and runs them over \
                       account bars in a sandbox. Errors are RFC 9457 problems with a stable `code`; `/problems/{code}` \
                       explains each."
    ),
    components(schemas(ProblemBody)),
    modifiers(&ApiKey),
    security(("api_key" = [])),
    tags(
        (name = "rules", description = "Rules and their immutable, numbered versions"),
        (name = "evaluation", description = "Running rules over bars"),
        (name = "limits", description = "Limits in force"),
        (name = "keys", description = "API keys of the caller's tenant, or of the platform"),
        (name = "audit", description = "Who did what"),
        (name = "usage", description = "What a tenant used"),
        (name = "tenants", description = "Administration of tenants, for `admin`"),
        (name = "security", description = "Review of what modules did, for `security`"),
        (name = "webhooks", description = "Where a tenant is told of what its modules did, signed as Standard Webhooks say"),
        (name = "sessions", description = "Live runs, bar by bar, each bar counted once")
    )
)]
struct Description;

struct ApiKey;

impl Modify for ApiKey {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let mut scheme = Http::new(HttpAuthScheme::Bearer);
        scheme.description = Some("An API key, `rbx_live_...`".to_owned());
        openapi.components.get_or_insert_default().add_security_scheme("api_key", SecurityScheme::Http(scheme));
    }
}

/// Every operation.
pub fn router() -> OpenApiRouter<ApiState> {
    let mut router = OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(check_rule::handle))
        .routes(routes!(create_rule::handle, list_rules::handle))
        .routes(routes!(get_rule::handle, archive_rule::handle))
        .routes(routes!(add_version::handle, list_versions::handle))
        .routes(routes!(get_version::handle))
        .routes(routes!(get_source::handle))
        .routes(routes!(get_module::handle))
        .routes(routes!(activate_rule::handle))
        .routes(routes!(test_rule::handle))
        .routes(routes!(evaluate_rule::handle))
        .routes(routes!(evaluate_rules::handle))
        .routes(routes!(get_limits::handle))
        .routes(routes!(create_key::handle, list_keys::handle))
        .routes(routes!(revoke_key::handle))
        .routes(routes!(audit::own))
        .routes(routes!(usage::own))
        .routes(routes!(create_tenant::handle, list_tenants::handle))
        .routes(routes!(get_tenant::handle, update_tenant::handle))
        .routes(routes!(tenant_keys::create, tenant_keys::list))
        .routes(routes!(tenant_keys::revoke))
        .routes(routes!(audit::of_tenant))
        .routes(routes!(usage::of_tenant))
        .routes(routes!(list_quarantines::handle))
        .routes(routes!(quarantine::add))
        .routes(routes!(quarantine::release))
        .routes(routes!(break_glass::handle))
        .routes(routes!(list_violations::handle))
        .routes(routes!(get_violation::handle))
        .routes(routes!(review_violation::acknowledge))
        .routes(routes!(review_violation::resolve))
        .routes(routes!(stream_violations::handle))
        .routes(routes!(create_webhook::handle, list_webhooks::handle))
        .routes(routes!(webhook::get, webhook::change, webhook::delete))
        .routes(routes!(rotate_webhook::handle))
        .routes(routes!(deliveries::test))
        .routes(routes!(deliveries::list))
        .routes(routes!(deliveries::replay))
        .routes(routes!(create_session::handle))
        .routes(routes!(get_session::handle, delete_session::handle))
        .routes(routes!(session_bars::handle))
        .routes(routes!(reset_session::handle))
        .routes(routes!(session_stream::handle));
    Problems.modify(router.get_openapi_mut());
    router
}
