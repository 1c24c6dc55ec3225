//! Settings of traces.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::error::variable;

/// Settings of traces. Without an endpoint, none are made.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Telemetry {
    /// Where they are sent, by OTLP over HTTP: the whole address, `http://collector:4318/v1/traces`.
    #[serde(default)]
    pub otlp_endpoint: Option<String>,
    /// Headers of the requests that send them, one a line: `authorization: Bearer …`.
    #[serde(default, skip_serializing)]
    pub otlp_headers: Option<SecretString>,
    /// Traces that are kept, of a thousand that begin here. One that a caller begins is kept if the caller keeps it.
    pub sample_per_thousand: u64,
    /// Spans that wait to be sent. More are dropped: traces never hold up requests.
    pub queue_spans: usize,
    /// Milliseconds between two requests that send them.
    pub export_ms: u64,
    /// Milliseconds that such a request may take, and so may the last at a stop.
    pub timeout_ms: u64,
    /// `service.name` of all of them.
    pub service_name: String,
    /// More of what they come from: `deployment.environment.name=prod,service.namespace=risk`.
    pub resource: String,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            otlp_endpoint: None,
            otlp_headers: None,
            sample_per_thousand: 1_000,
            queue_spans: 2_048,
            export_ms: 5_000,
            timeout_ms: 5_000,
            service_name: "rulebox".to_owned(),
            resource: String::new(),
        }
    }
}

impl Telemetry {
    /// Between two requests that send spans.
    pub const fn export(&self) -> Duration {
        Duration::from_millis(self.export_ms)
    }

    /// How long one may take.
    pub const fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    /// The headers, by name.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.header_lines().filter_map(|line| line.split_once(':')).map(|(name, value)| (name.trim(), value.trim()))
    }

    /// More of what traces come from, by name.
    pub fn resources(&self) -> impl Iterator<Item = (&str, &str)> {
        self.resource
            .split(',')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.trim(), value.trim()))
    }

    fn header_lines(&self) -> impl Iterator<Item = &str> {
        let text = self.otlp_headers.as_ref().map_or("", |headers| headers.expose_secret());
        text.lines().filter(|line| !line.trim().is_empty())
    }

    /// Refuses what is no address, no headers or no attributes.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let invalid = |name: &str, value: &str, reason: &str| ConfigError::Invalid {
            variable: variable(name),
            value: value.to_owned(),
            reason: reason.to_owned(),
        };
        if let Some(endpoint) = &self.otlp_endpoint {
            let rest = endpoint.strip_prefix("http://").or_else(|| endpoint.strip_prefix("https://"));
            let host = rest.and_then(|rest| rest.split(['/', '?']).next()).filter(|host| !host.is_empty());
            match host {
                None => {
                    let reason = "it must be a whole address, `http://collector:4318/v1/traces`";
                    return Err(invalid("telemetry.otlp_endpoint", endpoint, reason));
                }
                // An address is shown and logged.
                Some(host) if host.contains('@') => {
                    let reason = "it must hold no password: set RULEBOX_TELEMETRY__OTLP_HEADERS";
                    return Err(invalid("telemetry.otlp_endpoint", "not shown", reason));
                }
                Some(_) => {}
            }
        }
        if self.header_lines().any(|line| !is_header(line)) {
            let reason = "it must be one `name: value` a line";
            return Err(invalid("telemetry.otlp_headers", "not shown", reason));
        }
        let pair = |pair: &str| pair.split_once('=').is_some_and(|(name, _)| !name.trim().is_empty());
        if !self.resource.is_empty() && !self.resource.split(',').all(pair) {
            let reason = "it must be `name=value`, with commas between them";
            return Err(invalid("telemetry.resource", &self.resource, reason));
        }
        Ok(())
    }
}

fn is_header(line: &str) -> bool {
    let Some((name, value)) = line.split_once(':') else { return false };
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    let name = name.trim();
    !name.is_empty() && name.bytes().all(token) && value.trim().bytes().all(|b| (b' '..=b'~').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_used_is_refused_and_secrets_are_not_shown() {
        let good = Telemetry {
            otlp_endpoint: Some("https://collector:4318/v1/traces".to_owned()),
            otlp_headers: Some("authorization: Bearer a:b\n\nx-scope: c\n".into()),
            resource: "a=1,b=2=3".to_owned(),
            ..Telemetry::default()
        };
        good.check().unwrap();
        assert_eq!(good.headers().collect::<Vec<_>>(), [("authorization", "Bearer a:b"), ("x-scope", "c")]);
        assert_eq!(good.resources().collect::<Vec<_>>(), [("a", "1"), ("b", "2=3")]);
        for endpoint in ["", "collector:4318", "ftp://collector", "http://", "http://user:hidden@collector/"] {
            let bad = Telemetry { otlp_endpoint: Some(endpoint.to_owned()), ..good.clone() };
            let said = bad.check().unwrap_err().to_string();
            assert!(said.contains("RULEBOX_TELEMETRY__OTLP_ENDPOINT") && !said.contains("hidden"), "{said}");
        }
        for headers in ["hidden", "hid den: 1", ": hidden", "a: hidden\u{1}"] {
            let bad = Telemetry { otlp_headers: Some(headers.into()), ..good.clone() };
            let said = bad.check().unwrap_err().to_string();
            assert!(said.contains("RULEBOX_TELEMETRY__OTLP_HEADERS") && !said.contains("hid"), "{said}");
        }
        for resource in ["a", "=1", "a=1,"] {
            assert!(Telemetry { resource: resource.to_owned(), ..good.clone() }.check().is_err(), "{resource}");
        }
    }
}
