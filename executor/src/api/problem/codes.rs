//! The stable codes of problems. A code never changes its meaning; clients branch on it, not on texts.

use axum::http::StatusCode;

/// What there is to know of a code.
#[derive(Debug)]
pub struct CodeInfo {
    /// What clients branch on.
    pub code: &'static str,
    /// Of the answer.
    pub status: StatusCode,
    /// A few words, the same for every problem of this code.
    pub title: &'static str,
    /// Why it happens and what to do.
    pub explanation: &'static str,
}

/// The code of a problem.
#[derive(Clone, Copy, Debug)]
pub struct Code(&'static CodeInfo);

impl PartialEq for Code {
    fn eq(&self, other: &Self) -> bool {
        self.0.code == other.0.code
    }
}

impl Code {
    /// What there is to know of it.
    pub const fn info(self) -> &'static CodeInfo {
        self.0
    }

    /// The code of a name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.0.code == name)
    }
}

macro_rules! codes {
    ($($constant:ident = $code:literal, $status:ident, $title:literal, $explanation:literal;)*) => {
        impl Code {
            $(
                #[doc = concat!("`", $code, "`: ", $title, ".")]
                pub const $constant: Self = Self(&CodeInfo {
                    code: $code,
                    status: StatusCode::$status,
                    title: $title,
                    explanation: $explanation,
                });
            )*
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$constant),*];
        }
    };
}

codes! {
    MALFORMED_JSON = "malformed_json", BAD_REQUEST, "The body is not JSON",
        "The text breaks the grammar of JSON, ends too early, nests too deeply, or has a number that no double can \
         hold. `line`, `column` and, where known, `path` say where. JSON has no NaN or Infinity: write null for a \
         missing value.";
    MALFORMED_ENCODING = "malformed_encoding", BAD_REQUEST, "The body's compression is broken",
        "The body is not what `Content-Encoding` says, has something behind its end, or ends too early. The window of a \
         zstd frame may have 8 MiB, which is what every level up to 19 keeps to without `--long`.";
    BODY_INCOMPLETE = "body_incomplete", BAD_REQUEST, "The body is not all there",
        "The connection ended before the body did.";
    MALFORMED_ARROW = "malformed_arrow", BAD_REQUEST, "The body is no Arrow stream",
        "It breaks the IPC streaming format of Arrow, or ends too early. A file of Arrow (`.arrow`, Feather) is not a \
         stream.";
    MALFORMED_FORM = "malformed_form", BAD_REQUEST, "The body is no form of a module",
        "`multipart/form-data` with a part `module`, the WebAssembly, and a part `manifest`, its JSON, if the module \
         does not carry it: `curl --form module=@rule.wasm --form manifest=@rule.json`.";
    INVALID_QUERY = "invalid_query", BAD_REQUEST, "A query parameter is unknown or cannot be read",
        "See the operation in /docs for the parameters that it takes.";
    INVALID_HEADER = "invalid_header", BAD_REQUEST, "A header cannot be read",
        "`path` names the header, and `detail` says what it may be.";
    UNAUTHENTICATED = "unauthenticated", UNAUTHORIZED, "A valid key is needed",
        "Send `Authorization: Bearer rbx_live_...`. Keys that are mistyped, unknown, expired or revoked are not told \
         apart.";
    FORBIDDEN = "forbidden", FORBIDDEN, "The key does not permit this",
        "The key is valid, and its roles do not have the permission that `detail` names.";
    TENANT_SUSPENDED = "tenant_suspended", FORBIDDEN, "The tenant is suspended",
        "The operator of the service refuses this tenant's requests. Ask them.";
    MODULES_FORBIDDEN = "modules_forbidden", FORBIDDEN, "The tenant may not upload modules",
        "Whoever has the role `admin` can permit it: the tenant's limit `modules` (`PATCH /v1/tenants/{tenant}`, or \
         `rulebox tenant limits NAME --limit modules=true` beside a service that does not run); for all tenants, the \
         setting `RULEBOX_TENANT__MODULES`. Versions that are there run in any case.";
    NOT_FOUND = "not_found", NOT_FOUND, "There is no such address",
        "See /docs for the operations.";
    RULE_NOT_FOUND = "rule_not_found", NOT_FOUND, "There is no such rule",
        "The tenant of this key has no rule of that name.";
    VERSION_NOT_FOUND = "version_not_found", NOT_FOUND, "There is no such version",
        "Versions are numbered from 1. `GET /v1/rules/{name}/versions` lists them.";
    KEY_NOT_FOUND = "key_not_found", NOT_FOUND, "There is no such key",
        "`GET` on the keys lists them with their ids.";
    TENANT_NOT_FOUND = "tenant_not_found", NOT_FOUND, "There is no such tenant",
        "`GET /v1/tenants` lists them by name.";
    NOT_QUARANTINED = "not_quarantined", NOT_FOUND, "That module is not in quarantine",
        "It was let go already, or never stopped for this tenant.";
    VIOLATION_NOT_FOUND = "violation_not_found", NOT_FOUND, "There is no such violation",
        "Another tenant's is not there either; those that are old are removed after a while.";
    WEBHOOK_NOT_FOUND = "webhook_not_found", NOT_FOUND, "There is no such webhook",
        "`GET /v1/webhooks` lists those of the tenant with their ids.";
    WEBHOOKS_LIMIT = "webhooks_limit", CONFLICT, "The tenant has as many webhooks as it may have",
        "Delete one that is not needed. The setting `RULEBOX_WEBHOOKS__PER_TENANT` is the limit.";
    WEBHOOK_BACKLOG = "webhook_backlog", CONFLICT, "As much waits for the webhook as may wait",
        "Its receiver takes less than it is sent. See its deliveries for why, have the receiver mended, and try again \
         when it has taken what waits.";
    INVALID_URL = "invalid_url", UNPROCESSABLE_ENTITY, "That cannot be the address of a webhook",
        "A webhook has an https address on the internet, without a name or a password in it. Addresses that are          private, of this machine or reserved are refused, also where a name stands for one when something is          delivered.";
    DELIVERY_NOT_FOUND = "delivery_not_found", NOT_FOUND, "There is no such delivery",
        "`GET` on the webhook's deliveries lists them; those that are old are removed after a while.";
    VIOLATION_RESOLVED = "violation_resolved", CONFLICT, "The violation is resolved",
        "A reviewer is done with it. Should it happen again, that is another violation.";
    SESSION_NOT_FOUND = "session_not_found", NOT_FOUND, "There is no such session",
        "The tenant of this key has never had a session of that id.";
    METHOD_NOT_ALLOWED = "method_not_allowed", METHOD_NOT_ALLOWED, "The address does not take this method",
        "The header `Allow` says which methods it takes.";
    NOT_ACCEPTABLE = "not_acceptable", NOT_ACCEPTABLE, "No answer can be what `Accept` wants",
        "A stream is answered as `application/x-ndjson`, `application/vnd.apache.arrow.stream` or `application/json` \
         (a summary); anything else with `application/json`.";
    BODY_TIMEOUT = "body_timeout", REQUEST_TIMEOUT, "The body took too long",
        "The body did not arrive in time, or nothing of it came for a while. Nothing was done.";
    NAME_TAKEN = "name_taken", CONFLICT, "There is a rule of that name",
        "Add a version to it (`POST /v1/rules/{name}/versions`), or take another name. Names of archived rules stay taken, so that old backtests do not \
         change their meaning.";
    RULE_ARCHIVED = "rule_archived", CONFLICT, "The rule is archived",
        "It takes no new versions and cannot be activated. It still runs with `?version=`.";
    RULE_NOT_ACTIVE = "rule_not_active", CONFLICT, "The rule has no active version",
        "Activate a version, or name one with `?version=`.";
    RULES_LIMIT = "rules_limit", CONFLICT, "The tenant has as many rules as it may have",
        "Archive one that is not needed, or ask for a higher limit.";
    STORAGE_LIMIT = "storage_limit", CONFLICT, "The tenant keeps as much as it may keep",
        "Versions are never deleted, so that old backtests can be run again. Ask for a higher limit of `versions` or \
         `stored_bytes`.";
    SESSIONS_LIMIT = "sessions_limit", CONFLICT, "The sessions of the tenant fill their room",
        "End some with `DELETE /v1/sessions/{id}`; those that are idle end by themselves. The bars were not counted.";
    TENANT_TAKEN = "tenant_taken", CONFLICT, "There is a tenant of that name",
        "Take another name. Names of tenants are never given again.";
    REQUEST_IN_FLIGHT = "request_in_flight", CONFLICT, "The same request is not over yet",
        "Another request with this `Idempotency-Key` is being done. Send it again after `Retry-After` seconds: it is \
         answered as the first one was.";
    PRECONDITION_FAILED = "precondition_failed", PRECONDITION_FAILED, "The rule has been changed",
        "It is not what `If-Match` says any more. Read it again, and decide whether the change is still meant.";
    PRECONDITION_REQUIRED = "precondition_required", PRECONDITION_REQUIRED, "`If-Match` is needed",
        "A change of a rule says which state of it the caller has seen, so that two people do not undo each other's.";
    SEQ_GAP = "seq_gap", CONFLICT, "Bars are missing before these",
        "`expected_seq` is the number of the session's next bar. Nothing was counted: send the bars from there on.";
    SEQ_CONFLICT = "seq_conflict", CONFLICT, "A bar was sent before with other inputs",
        "A bar that was answered does not change. Nothing was counted. To run other bars, reset the session or make \
         another.";
    SEQ_TOO_OLD = "seq_too_old", CONFLICT, "The answers to these bars are not kept any more",
        "Answers to the last bars are kept, for a client that did not get them; `GET /v1/sessions/{id}` says from \
         which on. `expected_seq` is the number of the session's next bar.";
    SESSION_LOST = "session_lost", GONE, "The session is not there any more",
        "It was ended, was idle for too long, or its state was lost. Replay its bars into a new session: the answers \
         are the same.";
    BODY_TOO_LARGE = "body_too_large", PAYLOAD_TOO_LARGE, "The body is too large",
        "`GET /v1/limits` shows the limits. Split the bars into several requests, or send fewer columns.";
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "The body's type is not taken here",
        "Send `Content-Type: application/json` (where a rule's text is taken, also `text/plain`; where a rule is \
         uploaded, also `application/wasm` and `multipart/form-data`; where a stream is taken, also \
         `application/x-ndjson` and `application/vnd.apache.arrow.stream`); the body as it is, or with \
         `Content-Encoding: gzip` or `zstd`.";
    INVALID_REQUEST = "invalid_request", UNPROCESSABLE_ENTITY, "The body is JSON, but not the JSON that is taken here",
        "A field is unknown, missing, given twice or of the wrong type. `path`, `line` and `column` say where.";
    UNSUPPORTED_ARROW = "unsupported_arrow", UNPROCESSABLE_ENTITY, "Arrow of a kind that is not taken",
        "Buffers compressed within the format, dictionaries and big-endian streams are not taken. Send plain columns, \
         and compress the whole body with `Content-Encoding` if that helps.";
    RULE_INVALID = "rule_invalid", UNPROCESSABLE_ENTITY, "The rule does not compile",
        "`diagnostics` has everything that is wrong with the text, each with a stable code, its place, and usually \
         what to write instead.";
    MODULE_REFUSED = "module_refused", UNPROCESSABLE_ENTITY, "The module is refused",
        "It is not WebAssembly that Rulebox runs, does not keep to the rule ABI, or is too large: `kind` says which \
         of these, `detail` what, and `violation_id` is the record of it. `rulebox guest check FILE.wasm` says the \
         same before an upload.";
    MANIFEST_INVALID = "manifest_invalid", UNPROCESSABLE_ENTITY, "The module's manifest is wrong",
        "The JSON that says what the module takes and gives is missing, malformed, or not what the module has. `path` \
         names the field.";
    COMPILE_KILLED = "compile_killed", UNPROCESSABLE_ENTITY, "Compiling the module took too much",
        "A module is compiled in a process with limits on time and memory, and this one met a limit: `detail` says \
         which. Common modules take a hundredth of them. Split long functions, unroll less, or optimise for size. \
         Unless it was the clock, the same bytes are not tried again.";
    INVALID_NAME = "invalid_name", UNPROCESSABLE_ENTITY, "That cannot be the name of a rule",
        "A name is a small letter or `_`, then at most 63 small letters, digits, `_` or `-`.";
    NO_ROWS = "no_rows", UNPROCESSABLE_ENTITY, "There are no bars",
        "A run needs at least one bar: every column is empty, or there is no column.";
    TOO_MANY_VALUES = "too_many_values", UNPROCESSABLE_ENTITY, "Too many rows, columns or values",
        "`GET /v1/limits` shows the limits. Split the request, or leave out columns that no rule reads.";
    COLUMN_LENGTHS = "column_lengths", UNPROCESSABLE_ENTITY, "The columns have different lengths",
        "Every column has one value a bar. Write null where there is none.";
    COLUMN_TYPE = "column_type", UNPROCESSABLE_ENTITY, "A value is of the wrong type",
        "Values are numbers, true, false or null; an input of numbers takes no truth values. `path` says which value.";
    UNKNOWN_COLUMN = "unknown_column", UNPROCESSABLE_ENTITY, "No rule has such an input",
        "A column's name is that of an input. With several rules, one of them has to know it.";
    MISSING_COLUMN = "missing_column", UNPROCESSABLE_ENTITY, "A required input is not there",
        "Send the column; where single values are missing, write null (a required input then faults on that bar).";
    UNKNOWN_PARAM = "unknown_param", UNPROCESSABLE_ENTITY, "The rule has no such param",
        "`detail` names the params that there are.";
    PARAM_TYPE = "param_type", UNPROCESSABLE_ENTITY, "A param is of the wrong type",
        "A num takes a number, an int a whole one, a bool true or false.";
    PARAM_OUT_OF_RANGE = "param_out_of_range", UNPROCESSABLE_ENTITY, "A param is outside its range",
        "The rule's author gave the range; both ends belong to it.";
    PARAMS_REFUSED = "params_refused", UNPROCESSABLE_ENTITY, "The module refused its params",
        "A guest module may refuse params that its manifest admits. Ask its author.";
    TOO_MANY_RULES = "too_many_rules", UNPROCESSABLE_ENTITY, "Too many rules in one request",
        "`GET /v1/limits` shows the limit. Split the request.";
    MODULE_WITHOUT_STATE = "module_without_state", UNPROCESSABLE_ENTITY, "The module cannot run in a session",
        "A guest module has to export `rulebox_state`, so that its state can be kept between calls.";
    MODULE_WITHOUT_TESTS = "module_without_tests", UNPROCESSABLE_ENTITY, "The module has no tests",
        "`test` blocks are part of a rule's text, and this version was uploaded as a module. Test it where it is \
         made, and evaluate it over bars whose verdicts are known.";
    STATE_TOO_LARGE = "state_too_large", UNPROCESSABLE_ENTITY, "The rules keep too much state for a session",
        "`GET /v1/limits` shows the limit. Run fewer rules in the session, or use smaller windows.";
    COST_LIMIT = "cost_limit", UNPROCESSABLE_ENTITY, "The worst case costs too much",
        "The compiler proves how much fuel a rule may need. Send fewer bars, use smaller windows, or ask for a higher \
         limit. Nothing was run.";
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused", UNPROCESSABLE_ENTITY, "The key was used for another request",
        "An `Idempotency-Key` stands for one request for 24 hours. Take a new one for another request.";
    INVALID_TEXT = "invalid_text", UNPROCESSABLE_ENTITY, "A text or time cannot be kept as it is",
        "`detail` says what it may be.";
    INVALID_ROLES = "invalid_roles", UNPROCESSABLE_ENTITY, "The key cannot have these roles",
        "Keys of a tenant have roles of a tenant; keys of the platform have roles of the platform.";
    RULE_QUARANTINED = "rule_quarantined", LOCKED, "The module is in quarantine",
        "It was stopped for this tenant, under whatever name or version, after what it did in the sandbox or by a \
         reviewer. A reviewer can let it go. There is no verdict: treat it as a breach.";
    SANDBOX_VIOLATION = "sandbox_violation", UNPROCESSABLE_ENTITY, "The module was stopped",
        "It reached for more than it was given. `kind` says for what, and `violation_id` is the record of it. There \
         is no verdict: treat it as a breach.";
    RATE_LIMITED = "rate_limited", TOO_MANY_REQUESTS, "The tenant has taken what it may take",
        "`RateLimit-Policy` says how many requests and how much fuel a tenant may take a second, over all its callers. \
         Fuel is taken at its proved maximum before a run, and what was not used is given back. Nothing was done; try \
         again after `Retry-After` seconds.";
    TOO_MANY_OPEN = "too_many_open", TOO_MANY_REQUESTS, "The tenant has too many open at a time",
        "Streams and WebSockets are counted for each tenant, so that none takes the places of the others. Close one, or \
         send the bars in larger requests.";
    OVERLOADED = "overloaded", SERVICE_UNAVAILABLE, "Too busy",
        "A queue is full, or too many bytes are being read, of all requests or of this tenant's. Nothing was done; try again after `Retry-After` seconds.";
    WEBSOCKET_REQUIRED = "websocket_required", UPGRADE_REQUIRED, "This address takes WebSockets",
        "Connect with a WebSocket of version 13 over HTTP/1.1, and offer the subprotocol `rulebox.session.v1`.";
    SESSIONS_UNAVAILABLE = "sessions_unavailable", SERVICE_UNAVAILABLE, "Sessions cannot be had now",
        "What keeps them does not answer. The bars may have been counted or not: send them again with the same `seq` \
         after `Retry-After` seconds, and none is lost or counted twice.";
    EXECUTORS_UNAVAILABLE = "executors_unavailable", SERVICE_UNAVAILABLE, "Rules cannot be run now",
        "What runs them does not answer, or was lost twice while it ran this. Nothing was counted; try again after \
         `Retry-After` seconds.";
    UNAVAILABLE = "unavailable", SERVICE_UNAVAILABLE, "The store cannot be used now",
        "Nothing was stored. Try again after `Retry-After` seconds.";
    INTERNAL = "internal", INTERNAL_SERVER_ERROR, "A fault of the service",
        "Not yours. The log has more under the `request_id`.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_explained() {
        let mut names: Vec<_> = Code::ALL.iter().map(|code| code.info().code).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
        for code in Code::ALL {
            let info = code.info();
            assert!(info.status.is_client_error() || info.status.is_server_error(), "{}", info.code);
            assert!(!info.title.ends_with('.') && info.explanation.ends_with('.'), "{}", info.code);
            assert_eq!(Code::find(info.code), Some(*code));
        }
    }
}
