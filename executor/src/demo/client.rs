//! The demonstration as a client of the service: what it does, anyone can do with `curl`.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::account::Account;

/// Why the service did not answer as it should.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No answer, or none that can be read.
    #[error("the service did not answer")]
    Http(#[from] reqwest::Error),
    /// An answer that says no.
    #[error("{path} answered {status}: {detail}")]
    Refused {
        /// The path of the request.
        path: String,
        /// The status of the answer.
        status: StatusCode,
        /// What the answer says.
        detail: String,
    },
}

pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    key: String,
}

/// A version that was stored.
#[derive(Debug, Deserialize)]
pub(super) struct Version {
    pub(super) rule: String,
    #[serde(rename = "version")]
    pub(super) number: u32,
    pub(super) digest: String,
    pub(super) manifest: rulebox_dsl::manifest::Manifest,
}

/// What a rule said of a series.
#[derive(Debug, Deserialize)]
pub(super) struct Evaluation {
    pub(super) rule: String,
    pub(super) bars: usize,
    pub(super) counts: Counts,
    pub(super) first: First,
    pub(super) series: Series,
    pub(super) fuel: u64,
    /// From the first byte of the request to the last of the answer.
    #[serde(skip)]
    pub(super) elapsed: Duration,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Counts {
    pub(super) ok: u64,
    pub(super) warn: u64,
    pub(super) breach: u64,
    pub(super) fault: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct First {
    pub(super) breach: Option<Event>,
    pub(super) fault: Option<Event>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Event {
    pub(super) bar: usize,
    pub(super) time: Option<String>,
    pub(super) action: Option<String>,
    pub(super) keep: Option<f64>,
    pub(super) reasons: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Series {
    pub(super) verdict: Vec<String>,
}

impl Client {
    pub(super) fn new(base: &str, key: &str) -> Result<Self, ClientError> {
        // The service is on this machine: a proxy of the environment is not meant.
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { http, base: base.to_owned(), key: key.to_owned() })
    }

    async fn post<T: serde::de::DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, ClientError> {
        let request = self.http.request(Method::POST, format!("{}{path}", self.base));
        let response = request.bearer_auth(&self.key).json(body).send().await?;
        let status = response.status();
        if !status.is_success() {
            let path = path.to_owned();
            return Err(ClientError::Refused { path, status, detail: response.text().await? });
        }
        Ok(response.json().await?)
    }

    pub(super) async fn upload(&self, name: &str, source: &str) -> Result<Version, ClientError> {
        self.post("/v1/rules", &json!({"name": name, "source": source})).await
    }

    pub(super) async fn evaluate(
        &self,
        version: &Version,
        account: &Account,
        params: Value,
    ) -> Result<Evaluation, ClientError> {
        let inputs: Vec<String> = version.manifest.inputs.iter().map(|input| input.name.clone()).collect();
        let body = json!({"columns": account.columns_for(&inputs), "params": params});
        let path = format!("/v1/rules/{}/evaluate?series=verdict", version.rule);
        let began = Instant::now();
        let mut evaluation: Evaluation = self.post(&path, &body).await?;
        evaluation.elapsed = began.elapsed();
        Ok(evaluation)
    }
}
