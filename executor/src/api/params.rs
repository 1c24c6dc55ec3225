//! Arguments in the address, with problems instead of the framework's texts.

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path};
use axum::http::header::{HeaderMap, HeaderValue, LINK};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::problem::{Code, Problem};
use crate::domain::evaluation::SeriesWanted;
use crate::domain::rule::RuleName;

/// The rule of the address. A text that is no name names no rule.
#[derive(Clone, Debug)]
pub struct RulePath(pub RuleName);

/// The rule and the version of the address.
#[derive(Clone, Debug)]
pub struct VersionPath(pub RuleName, pub u32);

/// A rule that an address or a body names.
///
/// # Errors
/// If no rule can have that name.
pub fn rule_name(text: &str) -> Result<RuleName, Problem> {
    RuleName::new(text).map_err(|_| Problem::new(Code::RULE_NOT_FOUND, "there is no rule of that name"))
}

/// Which columns `?series=` asks for.
///
/// # Errors
/// If it names another.
pub fn series_wanted(text: Option<&str>) -> Result<SeriesWanted, Problem> {
    let mut wanted = SeriesWanted::default();
    for name in text.into_iter().flat_map(|text| text.split(',')) {
        match name.trim() {
            "verdict" => wanted.verdict = true,
            "out" => wanted.out = true,
            _ => return Err(Problem::new(Code::INVALID_QUERY, "`series` takes `verdict`, `out`, or `verdict,out`")),
        }
    }
    Ok(wanted)
}

fn unreadable(rejection: &PathRejection) -> Problem {
    Problem::new(Code::NOT_FOUND, rejection.body_text())
}

impl<S: Send + Sync> FromRequestParts<S> for RulePath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(name) = Path::<String>::from_request_parts(parts, state).await.map_err(|e| unreadable(&e))?;
        Ok(Self(rule_name(&name)?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for VersionPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        let Path((name, number)) = path.map_err(|e| unreadable(&e))?;
        let name = rule_name(&name)?;
        let unknown = || Problem::new(Code::VERSION_NOT_FOUND, format!("rule `{name}` has no such version"));
        let number = number.parse().map_err(|_| unknown())?;
        Ok(Self(name, number))
    }
}

/// The query of the address; an unknown parameter is refused.
#[derive(Clone, Debug)]
pub struct QueryArgs<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for QueryArgs<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = axum::extract::Query::<T>::try_from_uri(&parts.uri);
        query.map(|query| Self(query.0)).map_err(|error| Problem::new(Code::INVALID_QUERY, error.body_text()))
    }
}

/// How many entries a page has.
///
/// # Errors
/// If the caller asks for none, or for more than `most`.
pub fn page_limit(asked: Option<u32>, most: u32) -> Result<u32, Problem> {
    match asked {
        None => Ok(most),
        Some(limit) if (1..=most).contains(&limit) => Ok(limit),
        Some(_) => Err(Problem::new(Code::INVALID_QUERY, format!("`limit` is 1 to {most}"))),
    }
}

/// `Link: <...>; rel="next"`, if there is a next page.
pub fn next_page(link: Option<String>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let value = link.and_then(|link| HeaderValue::from_str(&format!("<{link}>; rel=\"next\"")).ok());
    if let Some(value) = value {
        headers.insert(LINK, value);
    }
    headers
}
