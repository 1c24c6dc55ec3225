//! What a rule is uploaded as: a text, a module, or a module with its manifest beside it.

use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use bytes::Bytes;
use futures_util::stream;
use multer::{Constraints, Multipart};
use utoipa::ToSchema;

use super::body::{RuleText, essence, read, wrong_type};
use super::params::NameQuery;
use super::problem::{Code, Problem};
use super::state::ApiState;
use crate::domain::caller::TenantId;
use crate::domain::rule::RuleName;
use crate::execution::guest::manifest::MOST_BYTES;
use crate::service::modules::Upload;

/// What a form has beside its two parts: its boundaries, and what is said of each part.
const FORM_BYTES: usize = 4 << 10;

/// A rule as it was sent.
#[derive(Debug)]
pub struct RuleUpload {
    /// The name, in the JSON or as `?name=`.
    pub name: Option<RuleName>,
    /// The text or the module.
    pub upload: Upload,
}

// What follows describes bodies for the OpenAPI document; `RuleUpload` reads them.

/// WebAssembly.
#[derive(Debug, ToSchema)]
#[schema(value_type = String, format = Binary)]
pub struct ModuleBytes(pub Vec<u8>);

/// A module and its manifest.
#[derive(Debug, ToSchema)]
pub struct ModuleForm {
    /// WebAssembly.
    #[schema(value_type = String, format = Binary)]
    pub module: Vec<u8>,
    /// The manifest as JSON, for a module without a custom section `rulebox.manifest`: it is added to the module as its
    /// last section, and the digest is of both.
    #[schema(value_type = Option<Object>)]
    pub manifest: Option<String>,
}

impl RuleUpload {
    /// Reads the body of an upload. A tenant that may not upload modules is refused before any byte of one is read.
    ///
    /// # Errors
    /// A body of another type, too large, or not what its type says; [`Code::MODULES_FORBIDDEN`].
    pub async fn read(
        request: Request,
        state: &ApiState,
        tenant: TenantId,
        query: &NameQuery,
    ) -> Result<Self, Problem> {
        let kind = essence(request.headers());
        let is_form = match kind.as_str() {
            "application/json" | "text/plain" => {
                let RuleText { name, source } = RuleText::from_request(request, state).await?;
                return Ok(Self { name, upload: Upload::Text(source) });
            }
            "application/wasm" => false,
            "multipart/form-data" => true,
            _ => {
                let taken = "application/json`, `text/plain`, `application/wasm` or `multipart/form-data";
                return Err(wrong_type(request.headers(), taken));
            }
        };
        let name = query.rule_name()?;
        let limits = state.service.limits_of(tenant).await?;
        state.service.may_upload_modules(&limits)?;
        let most = limits.module_bytes() + if is_form { MOST_BYTES + FORM_BYTES } else { 0 };
        let headers = request.headers().clone();
        let bytes = read(request, state, most).await.map_err(too_large)?.bytes;
        let upload =
            if is_form { form(&headers, bytes).await? } else { Upload::Module { module: bytes, manifest: None } };
        Ok(Self { name, upload })
    }

    /// What tells this upload from another, beside its name.
    pub fn parts(&self) -> Vec<&[u8]> {
        match &self.upload {
            Upload::Text(source) => vec![source],
            Upload::Module { module, manifest: None } => vec![b"module", module],
            Upload::Module { module, manifest: Some(manifest) } => vec![b"module and manifest", module, manifest],
        }
    }
}

/// What is too large is most often a build that nobody meant to upload.
fn too_large(problem: Problem) -> Problem {
    if problem.code != Code::BODY_TOO_LARGE {
        return problem;
    }
    let advice =
        "build the module for release, and without names and debug sections (Rust: --release and `strip = true`)";
    Problem::new(problem.code, format!("{}: {advice}", problem.detail))
}

async fn form(headers: &HeaderMap, bytes: Vec<u8>) -> Result<Upload, Problem> {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let boundary = multer::parse_boundary(kind).map_err(|error| malformed(&error))?;
    let constraints = Constraints::new().allowed_fields(vec!["module", "manifest"]);
    let body = stream::once(async { Ok::<_, std::convert::Infallible>(Bytes::from(bytes)) });
    let mut parts = Multipart::with_constraints(body, boundary, constraints);
    let (mut module, mut manifest) = (None, None);
    while let Some(part) = parts.next_field().await.map_err(|error| malformed(&error))? {
        let (place, name) = match part.name() {
            Some("module") => (&mut module, "module"),
            _ => (&mut manifest, "manifest"),
        };
        if place.is_some() {
            return Err(Problem::new(Code::MALFORMED_FORM, format!("the part `{name}` is there twice")).at(name));
        }
        *place = Some(part.bytes().await.map_err(|error| malformed(&error))?.to_vec());
    }
    let module = module.ok_or_else(|| {
        Problem::new(Code::MALFORMED_FORM, "there is no part `module`: it has the WebAssembly").at("module")
    })?;
    Ok(Upload::Module { module, manifest })
}

/// The texts of the parser quote names of the request's; a problem is short and says what to do.
fn malformed(error: &multer::Error) -> Problem {
    let detail = match error {
        multer::Error::UnknownField { .. } => {
            "the form has a part of another name: there are `module` and `manifest`".to_owned()
        }
        multer::Error::NoBoundary => "`Content-Type: multipart/form-data` has no `boundary`".to_owned(),
        multer::Error::IncompleteStream | multer::Error::IncompleteFieldData { .. } => {
            "the form ends before its last boundary".to_owned()
        }
        _ => "the form cannot be read: send what `curl --form module=@rule.wasm --form manifest=@rule.json` sends"
            .to_owned(),
    };
    Problem::new(Code::MALFORMED_FORM, detail)
}
