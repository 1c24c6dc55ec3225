//! Bodies of evaluations, for the `OpenAPI` document; [`crate::api::bars_json`] reads them.

#![expect(dead_code, reason = "describes what is read elsewhere")]

use serde::Deserialize;
use serde_json::Value;
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, ObjectBuilder, OneOfBuilder, Schema, SchemaType, Type,
};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use crate::api::params::{rule_name_schema, version_schema};

/// One bar or a series.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub enum BarsRequest {
    Bar(BarRequest),
    Series(SeriesRequest),
}

/// One bar.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BarRequest {
    #[schema(value_type = Inputs)]
    inputs: Value,
    #[schema(value_type = Time, required = false)]
    time: Value,
    #[schema(value_type = Params, required = false)]
    params: Value,
}

/// A series of bars.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SeriesRequest {
    #[schema(value_type = Columns)]
    columns: Value,
    #[schema(value_type = Params, required = false)]
    params: Value,
}

/// One bar or a series, and the rules to run over it.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub enum JointRequest {
    Bar(JointBarRequest),
    Series(JointSeriesRequest),
}

/// One bar, and the rules to run over it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JointBarRequest {
    #[schema(value_type = RuleSelection)]
    rules: Value,
    #[schema(value_type = VersionsByRule, required = false)]
    versions: Value,
    #[schema(value_type = Inputs)]
    inputs: Value,
    #[schema(value_type = Time, required = false)]
    time: Value,
    #[schema(value_type = ParamsByRule, required = false)]
    params: Value,
}

/// A series of bars, and the rules to run over it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JointSeriesRequest {
    #[schema(value_type = RuleSelection)]
    rules: Value,
    #[schema(value_type = VersionsByRule, required = false)]
    versions: Value,
    #[schema(value_type = Columns)]
    columns: Value,
    #[schema(value_type = ParamsByRule, required = false)]
    params: Value,
}

/// The rules of a session.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionRequest {
    #[schema(value_type = RuleSelection)]
    rules: Value,
    #[schema(value_type = VersionsByRule, required = false)]
    versions: Value,
    #[schema(value_type = ParamsByRule, required = false)]
    params: Value,
}

/// The next bar of a session, or several.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub enum SessionBarsRequest {
    Bar(SessionBarRequest),
    Series(SessionSeriesRequest),
}

/// The next bar of a session.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionBarRequest {
    /// Its number; 0 for the first of the session.
    seq: u64,
    #[schema(value_type = Inputs)]
    inputs: Value,
    #[schema(value_type = Time, required = false)]
    time: Value,
}

/// The next bars of a session.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionSeriesRequest {
    /// The number of the first; 0 for the first of the session.
    seq: u64,
    #[schema(value_type = Columns)]
    columns: Value,
}

/// Declares types that are nothing but their schema.
macro_rules! schemas {
    ($($name:ident = $schema:expr, needs [$($needed:ident),*];)*) => {
        $(
            pub(super) struct $name;

            impl PartialSchema for $name {
                fn schema() -> RefOr<Schema> {
                    $schema.into()
                }
            }

            impl ToSchema for $name {
                fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
                    $(
                        schemas.push(($needed::name().into_owned(), $needed::schema()));
                        $needed::schemas(schemas);
                    )*
                    // Most need none.
                    let _ = schemas;
                }
            }
        )*
    };
}

schemas! {
    InputValue = of_types(
        &[Type::Number, Type::Boolean, Type::Null],
        "A value of an input; null is missing. An input of numbers takes no truth values",
    ), needs [];

    Time = of_types(
        &[Type::String, Type::Number, Type::Null],
        "RFC 3339, seconds optional, or whole milliseconds since 1970. What cannot be read is missing, as null is",
    ).examples(["2026-01-05T15:00Z"]), needs [];

    ParamValue = of_types(&[Type::Number, Type::Boolean], "The value of a param"), needs [];

    Inputs = map_of::<InputValue>("One value an input; `time` stands beside them")
        .property_names(Some(ObjectBuilder::new().schema_type(Type::String).pattern(Some("^(?!time$)"))))
        .examples([serde_json::json!({"equity": 92000, "drawdown": 0.08})]), needs [InputValue];

    Columns = ObjectBuilder::new()
        .description(Some("One array an input, and `time`; all of the same length"))
        .property("time", ArrayBuilder::new().items(reference::<Time>()))
        .additional_properties(Some(ArrayBuilder::new().items(reference::<InputValue>())))
        .examples([serde_json::json!({
            "time": ["2026-01-05T15:00Z", "2026-01-05T15:01Z"], "equity": [92000, 91000], "drawdown": [0.08, null],
        })]), needs [Time, InputValue];

    Params = map_of::<ParamValue>("Params by name; the others take their defaults")
        .examples([serde_json::json!({"limit": 0.1})]), needs [ParamValue];

    RuleSelection = OneOfBuilder::new()
        .description(Some("Names of rules, or `*` for all that are active"))
        .item(ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["*"])))
        .item(ArrayBuilder::new().items(rule_name_schema()).min_items(Some(1)).unique_items(true)), needs [];

    VersionsByRule = ObjectBuilder::new()
        .description(Some("Versions of those rules that shall not run their active one"))
        .additional_properties(Some(Schema::from(version_schema()))), needs [];

    ParamsByRule = map_of::<Params>("Params by rule"), needs [Params];
}

fn of_types(types: &[Type], description: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(types.iter().cloned().collect::<SchemaType>()).description(Some(description))
}

fn reference<T: ToSchema>() -> Ref {
    Ref::from_schema_name(T::name())
}

fn map_of<T: ToSchema>(description: &str) -> ObjectBuilder {
    let values = AdditionalProperties::from(reference::<T>());
    ObjectBuilder::new().description(Some(description)).additional_properties(Some(values))
}
