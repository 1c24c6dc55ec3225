//! The collector's configuration against spans that the real service sends. No collector is run here.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use rulebox_tests::receiver::{Answering, Receiver};
use rulebox_tests::{Server, rule};
use serde_json::{Value, json};

use super::upload;
use crate::{changed, read, yaml};

const MAIN: &str = "deploy/monitoring/collector/otel-collector.yaml";
const BALANCER: &str = "deploy/monitoring/collector/balancer.yaml";

/// An object with these keys and no others.
fn object(keys: impl Into<Value>) -> Value {
    let keys = keys.into();
    json!({"type": "object", "additionalProperties": false, "properties": keys})
}

/// Keys that the documentation of each component has: those that are used, and no others.
fn schema() -> Value {
    let text = json!({"type": "string"});
    let number = json!({"type": "integer", "minimum": 0});
    let flag = json!({"type": "boolean"});
    let tls = object(json!({
        "cert_file": text, "key_file": text, "ca_file": text, "client_ca_file": text, "min_version": {"enum": ["1.2", "1.3"]},
        "server_name_override": text,
    }));
    let served = object(json!({"endpoint": text, "tls": tls}));
    let texts = json!({"type": "array", "items": text, "minItems": 1});
    let mut policy = json!({
        "name": text,
        "type": {"enum": ["ottl_condition", "string_attribute", "status_code", "latency", "probabilistic", "and"]},
        "ottl_condition": object(json!({"error_mode": {"enum": ["ignore", "propagate", "silent"]}, "span": texts, "spanevent": texts})),
        "string_attribute": object(json!({"key": text, "values": texts})),
        "status_code": object(json!({"status_codes": {"type": "array", "items": {"enum": ["ERROR", "OK", "UNSET"]}}})),
        "latency": object(json!({"threshold_ms": number, "upper_threshold_ms": number})),
        "probabilistic": object(json!({"sampling_percentage": {"type": "number", "minimum": 0, "maximum": 100}})),
    });
    let sub = object(policy.clone());
    policy["and"] = object(json!({"and_sub_policy": {"type": "array", "items": sub, "minItems": 2}}));
    let sending = json!({
        "endpoint": text, "timeout": text, "tls": tls,
        "retry_on_failure": object(json!({"enabled": flag, "max_elapsed_time": text})),
        "sending_queue": object(json!({"enabled": flag, "queue_size": number})),
    });
    // The resolver's port is a text, and a number is not taken for one: the collector would not start.
    let dns = object(json!({"hostname": text, "port": text, "interval": text, "timeout": text}));
    object(json!({
        "receivers": object(json!({"otlp": object(json!({"protocols": object(json!({"grpc": served, "http": served}))}))})),
        "processors": object(json!({
            "memory_limiter": object(json!({"check_interval": text, "limit_percentage": number, "spike_limit_percentage": number})),
            "tail_sampling": object(json!({
                "decision_wait": text, "num_traces": number, "expected_new_traces_per_sec": number,
                "decision_cache": object(json!({"sampled_cache_size": number, "non_sampled_cache_size": number})),
                "policies": {"type": "array", "items": object(policy)},
            })),
            "batch": object(json!({"timeout": text, "send_batch_size": number, "send_batch_max_size": number})),
        })),
        "exporters": object(json!({
            "otlp": object(sending.clone()),
            "loadbalancing": object(json!({
                "routing_key": {"enum": ["traceID", "service"]}, "protocol": object(json!({"otlp": object(sending)})),
                "resolver": object(json!({"dns": dns})),
            })),
        })),
        "extensions": object(json!({"health_check": object(json!({"endpoint": text}))})),
        "service": object(json!({
            "extensions": texts,
            "pipelines": object(json!({"traces": object(json!({"receivers": texts, "processors": texts, "exporters": texts}))})),
            "telemetry": {"type": "object"},
        })),
    }))
}

/// What is wrong with a configuration by itself.
fn faults(text: &str) -> Vec<String> {
    let settings = yaml(text);
    let schema = jsonschema::draft7::new(&schema()).unwrap();
    let mut faults: Vec<_> = schema.iter_errors(&settings).map(|it| format!("{}: {it}", it.instance_path())).collect();
    let pipeline = &settings["service"]["pipelines"]["traces"];
    for kind in ["receivers", "processors", "exporters"] {
        let used: Vec<_> = pipeline[kind].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
        let there: Vec<_> = settings[kind].as_object().unwrap().keys().map(String::as_str).collect();
        let same = used.len() == there.len() && used.iter().all(|name| there.contains(name));
        if !same {
            faults.push(format!("{kind}: {used:?} are used, {there:?} are there"));
        }
    }
    if pipeline["processors"][0] != "memory_limiter" {
        faults.push("memory is not limited first".to_owned());
    }
    let last = pipeline["processors"].as_array().unwrap().last().unwrap();
    if settings["processors"].get("tail_sampling").is_some() && last != "batch" {
        faults.push("what is kept is not batched last".to_owned());
    }
    faults
}

#[test]
fn the_configurations_hold_together() {
    for file in [MAIN, BALANCER] {
        assert_eq!(faults(&read(file)), Vec::<String>::new(), "{file}");
    }
    for (file, from, to) in [
        (MAIN, "decision_wait", "decision_waits"),
        (MAIN, "type: latency", "type: slow"),
        (MAIN, "[memory_limiter, tail_sampling, batch]", "[tail_sampling, memory_limiter, batch]"),
        (MAIN, "[memory_limiter, tail_sampling, batch]", "[memory_limiter, batch]"),
        (MAIN, "[memory_limiter, tail_sampling, batch]", "[memory_limiter, batch, tail_sampling]"),
        (MAIN, "exporters: [otlp]", "exporters: [tempo]"),
        (BALANCER, "traceID", "traceid"),
        (BALANCER, "port: \"4317\"", "port: 4317"),
    ] {
        assert!(!faults(&changed(&read(file), from, to)).is_empty(), "{to} is not found");
    }
    // The second layer takes what the first one sends.
    let (main, balancer) = (yaml(&read(MAIN)), yaml(&read(BALANCER)));
    let port = balancer["exporters"]["loadbalancing"]["resolver"]["dns"]["port"].as_str().unwrap();
    assert_eq!(main["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"], format!("0.0.0.0:{port}"));
}

/// The text of an attribute.
fn attribute<'a>(span: &'a Span, key: &str) -> Option<&'a str> {
    let found = span.attributes.iter().find(|pair| pair.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Any::StringValue(text) => Some(text),
        _ => None,
    }
}

/// Whether a policy that goes by what spans say keeps a trace; `None` of those that go by its length or by chance.
fn keeps(policy: &Value, trace: &[&Span]) -> Option<bool> {
    match policy["type"].as_str().unwrap() {
        "ottl_condition" => {
            let condition = policy["ottl_condition"]["spanevent"][0].as_str().unwrap();
            let name = condition.strip_prefix("name == \"").unwrap().trim_end_matches('"');
            Some(trace.iter().flat_map(|span| &span.events).any(|event| event.name == name))
        }
        "string_attribute" => {
            let (key, values) =
                (policy["string_attribute"]["key"].as_str().unwrap(), &policy["string_attribute"]["values"]);
            let values: Vec<_> = values.as_array().unwrap().iter().filter_map(Value::as_str).collect();
            Some(trace.iter().any(|span| attribute(span, key).is_some_and(|value| values.contains(&value))))
        }
        "status_code" => Some(trace.iter().any(|span| span.status.as_ref().is_some_and(|status| status.code == 2))),
        _ => None,
    }
}

/// The policies that keep a trace for what it says.
fn kept_by(settings: &Value, trace: &[&Span]) -> Vec<String> {
    let policies = settings["processors"]["tail_sampling"]["policies"].as_array().unwrap();
    let keeping = policies.iter().filter(|policy| keeps(policy, trace) == Some(true));
    keeping.map(|policy| policy["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_policies_go_by_is_in_spans_of_the_service() {
    let (directory, receiver) = (tempfile::tempdir().unwrap(), Receiver::start(Answering::Status(200)));
    let endpoint = format!("{}/v1/traces", receiver.url);
    let settings = [
        ("RULEBOX_TELEMETRY__OTLP_ENDPOINT", endpoint.as_str()),
        ("RULEBOX_TENANT__MODULES", "true"),
        ("RULEBOX_EVALUATION__DEADLINE_MS", "250"),
        // Nobody is there: sessions answer 503.
        ("REDIS_URL", "redis://127.0.0.1:1"),
    ];
    let mut server = Server::try_start(directory.path(), &settings).unwrap();
    let key = server.key.clone().unwrap();
    upload(&server, &key, "endless", "(loop $again (br $again)) (i32.const 0)");
    let send = |trace: char, path: &str, body: &Value| {
        let trace = trace.to_string().repeat(32);
        let request = server.client().post(format!("{}{path}", server.api)).bearer_auth(&key);
        let request = request.header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"));
        request.json(body).send().unwrap().status().as_u16()
    };
    assert_eq!(send('1', "/v1/rules", &json!({"source": rule(7)})), 201);
    assert_eq!(send('2', "/v1/rules/endless/evaluate", &json!({"inputs": {}})), 422);
    assert_eq!(send('3', "/v1/sessions", &json!({"rules": ["probe"]})), 503);
    assert_eq!(send('4', "/v1/rules/absent/evaluate", &json!({"inputs": {}})), 404);
    server.signal("TERM");
    assert!(server.wait().0.success());
    let requests = receiver.received();
    let spans: Vec<Span> = requests
        .iter()
        .flat_map(|sent| ExportTraceServiceRequest::decode(sent.bytes.as_slice()).unwrap().resource_spans)
        .flat_map(|of| of.scope_spans)
        .flat_map(|of| of.spans)
        .collect();
    let kept = |settings: &Value, trace: u8| {
        let of: Vec<_> = spans.iter().filter(|span| span.trace_id == [trace * 0x11; 16]).collect();
        assert!(!of.is_empty(), "no span of trace {trace}");
        kept_by(settings, &of)
    };
    let text = read(MAIN);
    let settings = yaml(&text);
    let none: [&str; 0] = [];
    assert_eq!(kept(&settings, 1), none, "what is right is of the share");
    assert_eq!(kept(&settings, 2), ["violations", "stopped-runs"]);
    assert_eq!(kept(&settings, 3), ["errors"]);
    assert_eq!(kept(&settings, 4), none, "a caller's mistake is no error of the service");
    println!("{} spans; a violation and a 503 are kept, 201 and 404 are of the share", spans.len());
    // A word that no span says.
    let broken = yaml(&changed(&text, "name == \"violation\"", "name == \"violated\""));
    assert_eq!(kept(&broken, 2), ["stopped-runs"]);
    let broken = yaml(&changed(&text, "key: outcome", "key: result"));
    assert_eq!(kept(&broken, 2), ["violations"]);
}
