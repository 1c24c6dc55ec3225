//! The problems that any operation may answer, described once.
//!
//! An operation describes its successes, and the problems that mean something particular there (404, 409, 422). 405 is
//! in no list: what is described here is taken, and other methods of an address are not described.

use axum::http::StatusCode;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Content, HeaderBuilder, OpenApi, Ref, RefOr, Response};
use utoipa::{Modify, ToSchema};

use crate::api::problem::{Code, ProblemBody};

/// Of every operation: each reads the query, wants a key, and needs the store.
const ALWAYS: [StatusCode; 6] = [
    StatusCode::BAD_REQUEST,
    StatusCode::UNAUTHORIZED,
    StatusCode::FORBIDDEN,
    StatusCode::TOO_MANY_REQUESTS,
    StatusCode::INTERNAL_SERVER_ERROR,
    StatusCode::SERVICE_UNAVAILABLE,
];

/// Of operations that read a body, as well.
const WITH_BODY: [StatusCode; 4] = [
    StatusCode::REQUEST_TIMEOUT,
    StatusCode::PAYLOAD_TOO_LARGE,
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
    StatusCode::UNPROCESSABLE_ENTITY,
];

/// Adds to every operation the problems that it does not describe itself.
pub struct Problems;

impl Modify for Problems {
    fn modify(&self, openapi: &mut OpenApi) {
        let components = openapi.components.get_or_insert_default();
        for status in ALWAYS.into_iter().chain(WITH_BODY) {
            components.responses.insert(name(status), described(status).into());
        }
        for path in openapi.paths.paths.values_mut() {
            let methods = [&mut path.get, &mut path.put, &mut path.post, &mut path.patch, &mut path.delete];
            methods.into_iter().flatten().for_each(complete);
        }
    }
}

fn complete(operation: &mut Operation) {
    let responses = &mut operation.responses.responses;
    let with_body = WITH_BODY.iter().filter(|_| operation.request_body.is_some());
    for status in ALWAYS.iter().chain(with_body) {
        let shared = || RefOr::Ref(Ref::from_response_name(name(*status)));
        responses.entry(status.as_str().to_owned()).or_insert_with(shared);
    }
    for (status, response) in responses {
        let RefOr::T(response) = response else { continue };
        if status.starts_with(['4', '5']) && response.content.is_empty() {
            response.content.extend(problem());
        }
    }
}

/// `Payload Too Large` is `PayloadTooLarge`.
fn name(status: StatusCode) -> String {
    status.canonical_reason().unwrap_or(status.as_str()).replace(' ', "")
}

/// What the codes of a status say of themselves.
fn described(status: StatusCode) -> Response {
    let infos = Code::ALL.iter().map(|code| code.info()).filter(|info| info.status == status);
    let codes: Vec<_> = infos.map(|info| format!("`{}`: {}.", info.code, info.title)).collect();
    let mut response = Response::new(codes.join(" "));
    response.content.extend(problem());
    let header = |kind: Type, text: &str| {
        let schema = ObjectBuilder::new().schema_type(kind).build();
        HeaderBuilder::new().schema(Some(schema)).description(Some(text)).build()
    };
    let added = match status {
        StatusCode::UNAUTHORIZED => Some(("www-authenticate", header(Type::String, "`Bearer`"))),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            Some(("retry-after", header(Type::Integer, "Seconds until trying again makes sense")))
        }
        _ => None,
    };
    response.headers.extend(added.map(|(name, header)| (name.to_owned(), header.into())));
    response
}

fn problem() -> [(String, RefOr<Content>); 1] {
    let schema = Ref::from_schema_name(ProblemBody::name());
    [("application/problem+json".to_owned(), Content::new(Some(schema)).into())]
}
