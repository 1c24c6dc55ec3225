//! `ETag` and `If-Match` (RFC 9110): who changes a rule says which state of it he has seen.

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::{ETAG, HeaderValue, IF_MATCH};
use axum::http::request::Parts;
use utoipa::IntoParams;
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::problem::{Code, Problem};
use crate::domain::rule::Rule;
use crate::store::Precondition;

/// Tags that one header may have.
const MOST_TAGS: usize = 16;

/// The tag of a rule as it is, as a header.
pub fn etag(rule: &Rule) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Ok(tag) = HeaderValue::from_str(&format!("\"r{}\"", rule.revision)) {
        headers.insert(ETAG, tag);
    }
    headers
}

/// The states of a rule that a change is meant for; `*` is any.
#[derive(Clone, Debug)]
pub struct IfMatch(pub Precondition);

/// The same where a change may be made without having seen the rule.
#[derive(Clone, Debug)]
pub struct MaybeIfMatch(pub Precondition);

fn read(headers: &HeaderMap) -> Result<Option<Precondition>, Problem> {
    let mut revisions = Vec::new();
    let mut values = headers.get_all(IF_MATCH).iter().peekable();
    if values.peek().is_none() {
        return Ok(None);
    }
    let unreadable = || {
        let detail = format!("`If-Match` is `*`, or at most {MOST_TAGS} tags as `ETag` gave them: `\"r7\"`");
        Problem::new(Code::INVALID_HEADER, detail).at("If-Match")
    };
    let mut tags = 0;
    for value in values {
        let text = value.to_str().map_err(|_| unreadable())?.trim();
        if text == "*" {
            return Ok(Some(Precondition::None));
        }
        for tag in text.split(',').map(str::trim) {
            tags += 1;
            let strong = tag.strip_prefix("W/").unwrap_or(tag);
            let quoted = strong.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
            let inside = quoted.filter(|inside| !inside.contains('"')).ok_or_else(unreadable)?;
            if tags > MOST_TAGS {
                return Err(unreadable());
            }
            // A weak tag matches nothing, and neither does a tag of something else.
            let revision = inside.strip_prefix('r').and_then(|number| number.parse::<u64>().ok());
            let as_given = |revision: &u64| tag == format!("\"r{revision}\"");
            revisions.extend(revision.filter(as_given));
        }
    }
    Ok(Some(Precondition::Revisions(revisions)))
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let detail = "send `If-Match` with the `ETag` that `GET` on the rule gave, or `*` to change whatever is there";
        let missing = || Problem::new(Code::PRECONDITION_REQUIRED, detail).at("If-Match");
        read(&parts.headers)?.map(Self).ok_or_else(missing)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for MaybeIfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self(read(&parts.headers)?.unwrap_or(Precondition::None)))
    }
}

/// The header of both, for the description of the API. It is never marked as required there: a request without it has
/// an answer of its own.
impl IntoParams for IfMatch {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let schema = ObjectBuilder::new().schema_type(Type::String).build();
        let header = ParameterBuilder::new().name("If-Match").parameter_in(ParameterIn::Header);
        let text = "The `ETag` of the rule as the caller has seen it, or `*`";
        vec![header.required(Required::False).description(Some(text)).schema(Some(schema)).build()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&'static str]) -> Result<Option<Precondition>, ()> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IF_MATCH, HeaderValue::from_static(value));
        }
        read(&headers).map_err(|_| ())
    }

    #[test]
    fn tags_are_read_and_those_of_others_match_nothing() {
        let revisions = |list: &[u64]| Ok(Some(Precondition::Revisions(list.to_vec())));
        assert_eq!(of(&[]), Ok(None));
        assert_eq!(of(&["*"]), Ok(Some(Precondition::None)));
        assert_eq!(of(&["\"r7\""]), revisions(&[7]));
        assert_eq!(of(&["\"r7\", \"r8\"", "\"r9\""]), revisions(&[7, 8, 9]));
        assert_eq!(of(&["W/\"r7\""]), revisions(&[]));
        for other in ["\"abc\"", "\"r+7\"", "\"r07\"", "\"R7\"", "\"r\""] {
            assert_eq!(of(&[other]), revisions(&[]), "{other}");
        }
        for bad in ["", "r7", "\"r7", "\"a\"b\"", "\"r7\",", "*, \"r7\""] {
            assert_eq!(of(&[bad]), Err(()), "{bad}");
        }
        let many: &'static str = Box::leak(vec!["\"r1\""; 17].join(",").into_boxed_str());
        assert_eq!(of(&[many]), Err(()));
    }
}
