//! Holds requests and answers against the description of the API: every request of these tests passes through here.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use jsonschema::Validator;
use reqwest::{Method, Request};
use serde_json::{Map, Value, json};

use crate::harness::Answer;

static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::to_value(rulebox::api::v1::router().get_openapi()).unwrap());

/// Bodies from here on are not parsed a second time.
const LARGE: usize = 1 << 20;

/// The description of an address that is asked with a method.
struct Operation {
    name: String,
    description: &'static Value,
}

impl Operation {
    /// An address without parameters goes before one with.
    fn find(method: &Method, path: &str) -> Option<Self> {
        let fits = |template: &str| {
            let (mut template, mut path) = (template.split('/'), path.split('/'));
            template.by_ref().zip(path.by_ref()).all(|(t, p)| t == p || t.starts_with('{'))
        };
        let same_length = |template: &str| template.split('/').count() == path.split('/').count();
        let paths = DOCUMENT["paths"].as_object().unwrap();
        let matching = paths.iter().filter(|(template, _)| same_length(template) && fits(template));
        let (template, methods) = matching.min_by_key(|(template, _)| template.matches('{').count())?;
        let description = methods.get(method.as_str().to_lowercase())?;
        Some(Self { name: format!("{method} {template}"), description })
    }

    /// The schema of a JSON body.
    fn takes(&self, body: &Value) -> Result<(), String> {
        let schema = &self.description["requestBody"]["content"]["application/json"]["schema"];
        validate(&format!("{} body", self.name), schema, body)
    }
}

/// Validates against a schema of the document, which is compiled once.
fn validate(name: &str, schema: &Value, value: &Value) -> Result<(), String> {
    static COMPILED: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);
    let compile = || {
        assert!(schema.is_object(), "{name} has no schema");
        let whole = json!({"allOf": [schema], "components": DOCUMENT["components"]});
        Arc::new(jsonschema::draft202012::options().build(&whole).unwrap())
    };
    let validator = Arc::clone(COMPILED.lock().unwrap().entry(name.to_owned()).or_insert_with(compile));
    let errors: Vec<_> = validator.iter_errors(value).map(|e| format!("{}: {e}", e.instance_path())).collect();
    if errors.is_empty() { Ok(()) } else { Err(format!("{name}: {errors:#?}\n{value:#}")) }
}

/// Whether the document takes this body.
pub fn takes(method: &Method, path: &str, body: &Value) -> Result<(), String> {
    Operation::find(method, path).unwrap().takes(body)
}

/// A request, kept until its answer is there.
pub struct Sent {
    method: Method,
    path: String,
    query: Vec<String>,
    json: Option<Value>,
}

impl Sent {
    pub fn of(request: &Request) -> Self {
        let is_json = request.headers().get("content-type").is_some_and(|value| value == "application/json");
        let bytes = request.body().and_then(|body| body.as_bytes()).filter(|bytes| is_json && bytes.len() < LARGE);
        Self {
            method: request.method().clone(),
            path: request.url().path().to_owned(),
            query: request.url().query_pairs().map(|(name, _)| name.into_owned()).collect(),
            json: bytes.and_then(|bytes| serde_json::from_slice(bytes).ok()),
        }
    }

    /// Asserts that this answer to this request is described.
    pub fn check(&self, answer: &Answer) {
        let Some(operation) = Operation::find(&self.method, &self.path) else {
            let undescribed = !self.path.starts_with("/v1/") || matches!(answer.status, 404 | 405);
            return assert!(undescribed, "{} {} is not described: {answer:#?}", self.method, self.path);
        };
        let name = format!("{} answers {}", operation.name, answer.status);
        let mut response = &operation.description["responses"][answer.status.to_string()];
        if let Some(shared) = response["$ref"].as_str() {
            response = DOCUMENT.pointer(shared.trim_start_matches('#')).unwrap();
        }
        if answer.status == 204 {
            return assert!(response.is_object() && answer.json == "", "{name}: {answer:#?}");
        }
        let kind = answer.headers["content-type"].to_str().unwrap().split(';').next().unwrap();
        let content = &response["content"][kind];
        assert!(content.is_object(), "{name} as {kind}, which is not described: {response:#}");
        let as_kind = format!("{name} as {kind}");
        if kind == "application/x-ndjson" {
            let lines: Vec<_> = answer.json.as_str().unwrap().lines().collect();
            // Of a long answer, both ends.
            for line in lines.iter().take(100).chain(lines.iter().rev().take(100)) {
                validate(&as_kind, &content["schema"], &serde_json::from_str(line).unwrap()).unwrap();
            }
        } else if kind.ends_with("json") {
            validate(&as_kind, &content["schema"], &answer.json).unwrap();
        }
        if answer.status < 300 {
            self.check_taken(&operation);
        }
    }

    /// What the service takes, the document takes; and nothing beside it.
    fn check_taken(&self, operation: &Operation) {
        let none = Vec::new();
        let parameters = operation.description["parameters"].as_array().unwrap_or(&none);
        for name in &self.query {
            let described = parameters.iter().any(|p| p["in"] == "query" && p["name"] == *name);
            assert!(described, "{} takes `?{name}=`, which is not described", operation.name);
        }
        let Some(body) = self.json.as_ref().filter(|_| operation.description["requestBody"].is_object()) else {
            return;
        };
        operation.takes(body).unwrap();
        let mut more: Map<_, _> = body.as_object().unwrap().clone();
        more.insert("bogus".to_owned(), json!(1));
        assert!(operation.takes(&Value::Object(more)).is_err(), "{} is described to take any field", operation.name);
    }
}
