//! Traces: spans of this program, sent by OTLP over HTTP by a thread of their own.
//!
//! Only spans are sent, with what [`super::spans`] puts on them. Log lines are not: what they say is for the log.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tracing_subscriber::filter::{FilterFn, LevelFilter};
use tracing_subscriber::{Layer, Registry};

use super::spans;
use crate::config::Telemetry;

/// Spans of one request to the collector, unless fewer may wait.
const BATCH: usize = 512;

/// Why no traces can be sent.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// A header that is none.
    #[error("RULEBOX_TELEMETRY__OTLP_HEADERS: `{0}` cannot be a header")]
    Header(String),
    /// There is no client for it.
    #[error("there is no HTTP client for traces")]
    Client(#[from] reqwest::Error),
    /// The exporter says no to its settings.
    #[error("RULEBOX_TELEMETRY__OTLP_ENDPOINT: {0}")]
    Exporter(#[from] ExporterBuildError),
}

/// What sends the spans of the process.
#[derive(Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
    last_words: Duration,
}

impl Traces {
    /// Begins to send, if there is somewhere to send to. Not on a thread of an async runtime.
    ///
    /// # Errors
    /// If the settings cannot be used. A collector that is away is none: spans wait for it, and are then dropped.
    pub fn start(settings: &Telemetry) -> Result<Option<Self>, TraceError> {
        let Some(endpoint) = &settings.otlp_endpoint else { return Ok(None) };
        // For all TLS of the process. It fails if that has been said before, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client(settings)?)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(endpoint.as_str())
            .with_timeout(settings.timeout())
            .build()?;
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(settings.queue_spans)
            .with_max_export_batch_size(BATCH.min(settings.queue_spans))
            .with_scheduled_delay(settings.export())
            .build();
        let provider = SdkTracerProvider::builder()
            // What is not sampled makes no span for traces at all: see `spans`.
            .with_sampler(Sampler::AlwaysOn)
            .with_resource(resource(settings))
            .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(batches).build())
            .build();
        Ok(Some(Self { provider, last_words: settings.timeout() }))
    }

    /// What hands it the spans of this program, whatever is logged.
    pub(super) fn layer(&self) -> Box<dyn Layer<Registry> + Send + Sync> {
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("rulebox"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(FilterFn::new(spans::is_traced).with_max_level_hint(LevelFilter::INFO))
            .boxed()
    }

    /// Sends what waits, within the time of one request, and ends. Not on a thread of an async runtime.
    pub fn stop(self) {
        if let Err(error) = self.provider.shutdown_with_timeout(self.last_words) {
            tracing::warn!(%error, "not all traces were sent");
        }
    }
}

/// It follows no one elsewhere, and its headers are secret: they are in no `Debug`.
fn client(settings: &Telemetry) -> Result<reqwest::blocking::Client, TraceError> {
    let mut headers = HeaderMap::new();
    for (name, value) in settings.headers() {
        let wrong = || TraceError::Header(name.to_owned());
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        let mut value = HeaderValue::from_str(value).map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.append(key, value);
    }
    Ok(reqwest::blocking::Client::builder()
        .default_headers(headers)
        .redirect(reqwest::redirect::Policy::none())
        .timeout(settings.timeout())
        .build()?)
}

fn resource(settings: &Telemetry) -> Resource {
    let more = settings.resources().map(|(name, value)| KeyValue::new(name.to_owned(), value.to_owned()));
    Resource::builder()
        .with_attributes(more)
        .with_service_name(settings.service_name.clone())
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new("service.instance.id", uuid::Uuid::now_v7().to_string()))
        .build()
}
