//! Arguments in the address, with problems instead of the framework's texts.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::Uri;
use axum::http::header::{HeaderMap, HeaderValue, LINK};
use axum::http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};
use uuid::Uuid;

use super::problem::{Code, Problem};
use crate::domain::caller::KeyId;
use crate::domain::evaluation::SeriesWanted;
use crate::domain::rule::RuleName;
use crate::domain::tenant::TenantName;

/// The rule of the address. A text that is no name names no rule.
#[derive(Clone, Debug)]
pub struct RulePath(pub RuleName);

/// The rule and the version of the address.
#[derive(Clone, Debug)]
pub struct VersionPath(pub RuleName, pub u32);

/// The tenant of the address. A text that is no name names no tenant.
#[derive(Clone, Debug)]
pub struct TenantPath(pub TenantName);

/// The key of the address.
#[derive(Clone, Copy, Debug)]
pub struct KeyPath(pub KeyId);

/// The tenant and the key of the address.
#[derive(Clone, Debug)]
pub struct TenantKeyPath(pub TenantName, pub KeyId);

/// The name of a tenant.
///
/// # Errors
/// If no tenant can have that name.
pub fn tenant_name(text: &str) -> Result<TenantName, Problem> {
    let unknown = |_| Problem::new(Code::TENANT_NOT_FOUND, format!("there is no tenant `{}`", shorten(text)));
    TenantName::new(text).map_err(unknown)
}

/// The id that a text is, in the one form in which it is written.
fn id(text: &str) -> Option<Uuid> {
    // `{...}` and capitals would be further addresses of the same thing.
    Uuid::try_parse(text).ok().filter(|id| id.to_string() == text)
}

fn key_id(text: &str) -> Result<KeyId, Problem> {
    let unknown = || Problem::new(Code::KEY_NOT_FOUND, "there is no such key");
    Ok(KeyId(id(text).ok_or_else(unknown)?))
}

/// The violation of the address.
#[derive(Clone, Copy, Debug)]
pub struct ViolationPath(pub Uuid);

impl IntoParams for ViolationPath {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let schema = ObjectBuilder::new().schema_type(Type::String).build();
        vec![path_parameter("id", "Id of the violation", schema)]
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ViolationPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(text) = Path::<String>::from_request_parts(parts, state).await.map_err(|e| unreadable(&e))?;
        let unknown = || Problem::new(Code::VIOLATION_NOT_FOUND, "there is no such violation");
        Ok(Self(id(&text).ok_or_else(unknown)?))
    }
}

/// The webhook of the address.
#[derive(Clone, Copy, Debug)]
pub struct WebhookPath(pub Uuid);

/// The webhook and the delivery of the address.
#[derive(Clone, Copy, Debug)]
pub struct DeliveryPath(pub Uuid, pub Uuid);

fn webhook_id(text: &str) -> Result<Uuid, Problem> {
    id(text).ok_or_else(|| Problem::new(Code::WEBHOOK_NOT_FOUND, "there is no such webhook"))
}

impl IntoParams for WebhookPath {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let schema = ObjectBuilder::new().schema_type(Type::String).build();
        vec![path_parameter("id", "Id of the webhook", schema)]
    }
}

impl IntoParams for DeliveryPath {
    fn into_params(place: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let schema = ObjectBuilder::new().schema_type(Type::String).build();
        let mut parameters = WebhookPath::into_params(place);
        parameters.push(path_parameter("delivery", "Id of the delivery", schema));
        parameters
    }
}

impl<S: Send + Sync> FromRequestParts<S> for WebhookPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(text) = Path::<String>::from_request_parts(parts, state).await.map_err(|e| unreadable(&e))?;
        Ok(Self(webhook_id(&text)?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for DeliveryPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        let Path((webhook, delivery)) = path.map_err(|e| unreadable(&e))?;
        let unknown = || Problem::new(Code::DELIVERY_NOT_FOUND, "there is no such delivery");
        Ok(Self(webhook_id(&webhook)?, id(&delivery).ok_or_else(unknown)?))
    }
}

/// A rule that a body names at a path.
///
/// # Errors
/// If no rule can have that name.
pub fn rule_at(text: &str, path: impl FnOnce() -> String) -> Result<RuleName, Problem> {
    rule_name(text).map_err(|problem| problem.at(path()))
}

/// A text of the caller's, short enough for a message.
pub fn shorten(text: &str) -> String {
    if text.chars().count() <= 64 { text.to_owned() } else { text.chars().take(61).chain("...".chars()).collect() }
}

/// What the name of a rule is, for the description of the API.
pub fn rule_name_schema() -> Object {
    let name = ObjectBuilder::new().schema_type(Type::String).pattern(Some(RuleName::PATTERN));
    name.examples(["daily_loss"]).build()
}

/// What the number of a version is, for the description of the API.
pub fn version_schema() -> Object {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(u32::MAX)).build()
}

/// The session of the address: opaque text.
#[derive(Clone, Debug)]
pub struct SessionPath(pub String);

impl IntoParams for SessionPath {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let id = ObjectBuilder::new().schema_type(Type::String).build();
        vec![path_parameter("id", "The session", id)]
    }
}

impl<S: Send + Sync> FromRequestParts<S> for SessionPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(id) = Path::<String>::from_request_parts(parts, state).await.map_err(|e| unreadable(&e))?;
        Ok(Self(id))
    }
}

fn path_parameter(name: &str, description: &str, schema: Object) -> Parameter {
    let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path).required(Required::True);
    parameter.description(Some(description)).schema(Some(schema)).build()
}

impl IntoParams for RulePath {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![path_parameter("name", "The rule", rule_name_schema())]
    }
}

impl IntoParams for VersionPath {
    fn into_params(place: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let mut parameters = RulePath::into_params(place);
        parameters.push(path_parameter("version", "Its number", version_schema()));
        parameters
    }
}

impl IntoParams for TenantPath {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let schema = ObjectBuilder::new().schema_type(Type::String).pattern(Some(TenantName::PATTERN)).build();
        vec![path_parameter("tenant", "Name of the tenant", schema)]
    }
}

impl IntoParams for KeyPath {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let schema = ObjectBuilder::new().schema_type(Type::String).build();
        vec![path_parameter("id", "Id of the key", schema)]
    }
}

impl IntoParams for TenantKeyPath {
    fn into_params(place: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let mut parameters = TenantPath::into_params(|| None);
        parameters.extend(KeyPath::into_params(place));
        parameters
    }
}

impl<S: Send + Sync> FromRequestParts<S> for TenantPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(name) = Path::<String>::from_request_parts(parts, state).await.map_err(|e| unreadable(&e))?;
        Ok(Self(tenant_name(&name)?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for KeyPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(id) = Path::<String>::from_request_parts(parts, state).await.map_err(|e| unreadable(&e))?;
        Ok(Self(key_id(&id)?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for TenantKeyPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        let Path((name, id)) = path.map_err(|e| unreadable(&e))?;
        Ok(Self(tenant_name(&name)?, key_id(&id)?))
    }
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

fn rule_name(text: &str) -> Result<RuleName, Problem> {
    let unknown = |_| Problem::new(Code::RULE_NOT_FOUND, format!("there is no rule `{}`", shorten(text)));
    RuleName::new(text).map_err(unknown)
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
        let parsed: u32 = number.parse().map_err(|_| unknown())?;
        // `+1` and `01` would be further addresses of version 1.
        if parsed.to_string() == number { Ok(Self(name, parsed)) } else { Err(unknown()) }
    }
}

/// The query of the address; an unknown parameter is refused.
#[derive(Clone, Debug)]
pub struct QueryArgs<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + IntoParams> FromRequestParts<S> for QueryArgs<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        if parts.uri.query().is_some() {
            check_names(&parts.uri, &T::into_params(|| None))?;
        }
        Ok(Self(Query::try_from_uri(&parts.uri).map_err(|error| unreadable_query(&error))?.0))
    }
}

/// Refuses parameters that are not described, or are there twice.
fn check_names(uri: &Uri, described: &[Parameter]) -> Result<(), Problem> {
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri).map_err(|error| unreadable_query(&error))?;
    let mut seen = Vec::new();
    for (name, _) in &pairs {
        if !described.iter().any(|parameter| parameter.name == *name) {
            let names: Vec<_> = described.iter().map(|parameter| format!("`{}`", parameter.name)).collect();
            let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            let detail = format!("there is no query parameter `{}` here; there are: {known}", shorten(name));
            return Err(Problem::new(Code::INVALID_QUERY, detail));
        }
        if seen.contains(&name) {
            return Err(Problem::new(Code::INVALID_QUERY, format!("the query parameter `{name}` is there twice")));
        }
        seen.push(name);
    }
    Ok(())
}

fn unreadable_query(rejection: &QueryRejection) -> Problem {
    let cause = std::error::Error::source(rejection).map_or_else(|| rejection.body_text(), ToString::to_string);
    Problem::new(Code::INVALID_QUERY, format!("the query cannot be read: {cause}"))
}

/// Of an operation that takes no query.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct NoQuery {}

impl IntoParams for NoQuery {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        Vec::new()
    }
}

/// The name of a rule that is sent.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct NameQuery {
    /// Name of the rule, for a body that is no JSON; without one, the name in the text or the manifest. Beside a `name`
    /// in a JSON body, it must be the same.
    name: Option<String>,
}

impl NameQuery {
    /// The name, of a body that has none.
    ///
    /// # Errors
    /// If no rule can have that name.
    pub fn rule_name(&self) -> Result<Option<RuleName>, Problem> {
        let name = self.name.as_deref().map(RuleName::new).transpose();
        name.map_err(|error| Problem::new(Code::INVALID_NAME, error.to_string()).at("name"))
    }

    /// Compares it with the name that was read, which is the body's if that has one.
    ///
    /// # Errors
    /// If they are not the same.
    pub fn agrees(&self, read: Option<&RuleName>) -> Result<(), Problem> {
        let Some(name) = &self.name else { return Ok(()) };
        if read.is_some_and(|read| read.as_str() == name) {
            return Ok(());
        }
        let detail = format!("`?name={}` contradicts the `name` of the body", shorten(name));
        Err(Problem::new(Code::INVALID_QUERY, detail))
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
