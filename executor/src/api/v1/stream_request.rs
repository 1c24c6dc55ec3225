//! Streams, for the `OpenAPI` document; [`crate::api::streams`] reads and writes them.

use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::bars_request::{InputValue, Time};
use super::run_view::EventView;
use crate::api::streams::output::TrailerLine;

/// A line of a stream of bars.
#[derive(Debug, Deserialize)]
pub struct StreamBar;

impl PartialSchema for StreamBar {
    fn schema() -> RefOr<Schema> {
        let text = "A line: one value an input, and `time`. An optional input may be left out";
        let value = Ref::from_schema_name(InputValue::name());
        ObjectBuilder::new()
            .description(Some(text))
            .property("time", Ref::from_schema_name(Time::name()))
            .additional_properties(Some(value))
            .examples([serde_json::json!({"time": "2026-01-05T15:00Z", "equity": 92000, "drawdown": 0.08})])
            .into()
    }
}

impl ToSchema for StreamBar {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((InputValue::name().into_owned(), InputValue::schema()));
        schemas.push((Time::name().into_owned(), Time::schema()));
    }
}

/// A line of the answer to a stream.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes what is written elsewhere")]
pub enum StreamAnswer {
    /// A bar.
    Bar(Box<EventView>),
    /// The last line.
    Trailer(Box<TrailerLine>),
}

/// A stream of record batches.
#[derive(Debug, Deserialize, Serialize)]
pub struct ArrowStream;

impl PartialSchema for ArrowStream {
    fn schema() -> RefOr<Schema> {
        let text = "The IPC streaming format of Arrow. Bars: a column an input (floats, integers that a double holds, or \
                    bool; null is missing) and `time` (a timestamp of any unit and zone, a date, whole milliseconds since \
                    1970, or text). The answer: `bar` (uint64), `time` (timestamp in ms, UTC), `verdict` and `action` \
                    (dictionaries of utf8), `keep` (float64), `reasons` (list of utf8), `fault` (utf8), and for each out \
                    `out.NAME` (float64 or bool); at its end a batch without rows, whose custom metadata has under \
                    `rulebox.trailer` a `Trailer` as JSON";
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)))
            .description(Some(text))
            .into()
    }
}

impl ToSchema for ArrowStream {}
