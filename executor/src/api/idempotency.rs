//! `Idempotency-Key`: a request that creates something, and may be sent again.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use sha2::{Digest, Sha256};
use utoipa::IntoParams;
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::problem::{Code, Problem};
use crate::domain::idempotency::IdempotentRequest;

const HEADER: &str = "idempotency-key";
/// Characters of the longest key.
const MOST: usize = 255;

/// The caller's key, if he sent one.
#[derive(Clone, Copy, Debug)]
pub struct IdempotencyKey(Option<[u8; 32]>);

impl IdempotencyKey {
    /// The request of this key: the operation, and everything that tells one call of it from another.
    pub fn of(self, operation: &str, parts: &[&[u8]]) -> Option<IdempotentRequest> {
        let mut hash = Sha256::new();
        for part in std::iter::once(&operation.as_bytes()).chain(parts) {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Some(IdempotentRequest { key: self.0?, request: hash.finalize().into() })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all(HEADER).iter();
        let Some(value) = values.next() else { return Ok(Self(None)) };
        let text = value.as_bytes();
        let fits = (1..=MOST).contains(&text.len()) && text.iter().all(|b| matches!(b, 0x20..=0x7e));
        if !fits || values.next().is_some() {
            let detail = format!("`Idempotency-Key` is there once, with 1 to {MOST} printable ASCII characters");
            return Err(Problem::new(Code::INVALID_HEADER, detail).at("Idempotency-Key"));
        }
        Ok(Self(Some(Sha256::digest(text).into())))
    }
}

impl IntoParams for IdempotencyKey {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let schema = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(MOST)).build();
        let header = ParameterBuilder::new().name("Idempotency-Key").parameter_in(ParameterIn::Header);
        let text =
            "Makes the request safe to send again: for 24 hours (a session: for as long as it lives) it is done once";
        vec![header.required(Required::False).description(Some(text)).schema(Some(schema)).build()]
    }
}
