//! Ingresses for ingress-nginx and routes of the Gateway API: what each address of the API gets, and the canary's twins.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::found::{Found, broken, finds, holds_everywhere};
use crate::rendered::{entries, list, of_kind, one, text, with};

const NGINX: &str = "nginx.ingress.kubernetes.io/";

/// What a value of an annotation may be.
#[derive(Clone, Copy, Debug)]
enum Form {
    Flag,
    Number,
    Size,
    Switch,
    Word(&'static [&'static str]),
    /// Names of headers or methods, with commas between them.
    Names,
    Origins,
}

/// Annotations of the controller that the chart uses, as its documentation and its validators have them (v1.15).
const KNOWN: [(&str, Form); 29] = [
    ("backend-protocol", Form::Word(&["GRPC"])),
    ("canary", Form::Flag),
    ("canary-by-header", Form::Word(&["x-rulebox-track"])),
    ("canary-by-header-value", Form::Word(&["canary"])),
    ("canary-weight", Form::Number),
    ("cors-allow-credentials", Form::Word(&["false"])),
    ("cors-allow-headers", Form::Names),
    ("cors-allow-methods", Form::Names),
    ("cors-allow-origin", Form::Origins),
    ("cors-expose-headers", Form::Names),
    ("cors-max-age", Form::Number),
    ("enable-cors", Form::Flag),
    ("force-ssl-redirect", Form::Word(&["true"])),
    ("limit-burst-multiplier", Form::Number),
    ("limit-connections", Form::Number),
    ("limit-rps", Form::Number),
    ("proxy-body-size", Form::Size),
    ("proxy-buffering", Form::Switch),
    ("proxy-connect-timeout", Form::Number),
    ("proxy-max-temp-file-size", Form::Size),
    ("proxy-next-upstream", Form::Word(&["error timeout"])),
    ("proxy-next-upstream-timeout", Form::Number),
    ("proxy-next-upstream-tries", Form::Number),
    ("proxy-read-timeout", Form::Number),
    ("proxy-request-buffering", Form::Switch),
    ("proxy-send-timeout", Form::Number),
    ("service-upstream", Form::Flag),
    ("ssl-redirect", Form::Word(&["true"])),
    ("use-regex", Form::Word(&["true"])),
];

impl Form {
    fn takes(self, value: &str) -> bool {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let name =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        match self {
            Self::Flag => ["true", "false"].contains(&value),
            Self::Number => digits(value),
            Self::Size => digits(value.trim_end_matches(['k', 'm'])),
            Self::Switch => ["on", "off"].contains(&value),
            Self::Word(words) => words.contains(&value),
            Self::Names => value.split(", ").all(name),
            Self::Origins => value
                .split(',')
                .all(|origin| origin.strip_prefix("https://").is_some_and(|host| host.split(['.', ':']).all(name))),
        }
    }
}

fn annotation<'a>(ingress: &'a Value, name: &str) -> Option<&'a str> {
    ingress["metadata"]["annotations"][format!("{NGINX}{name}")].as_str()
}

fn is_twin(ingress: &Value) -> bool {
    annotation(ingress, "canary") == Some("true")
}

/// Annotations are ones that the controller knows, with values that it takes.
pub(crate) fn annotated(objects: &[Value], found: &mut Found) {
    for ingress in of_kind(objects, "Ingress") {
        for (name, value) in entries(&ingress["metadata"]["annotations"]) {
            let Some(name) = name.strip_prefix(NGINX) else {
                let known = ["cert-manager.io/cluster-issuer", "cert-manager.io/issuer"].contains(&name);
                found.of(ingress, known, &format!("{name} is unknown"));
                continue;
            };
            let form = KNOWN.iter().find(|(known, _)| *known == name).map(|(_, form)| *form);
            found.of(ingress, form.is_some(), &format!("{name} is unknown"));
            let takes = form.is_some_and(|form| value.as_str().is_some_and(|value| form.takes(value)));
            found.of(ingress, takes, &format!("{name}: {value} is none of its values"));
        }
        if !is_twin(ingress) {
            for name in ["ssl-redirect", "force-ssl-redirect", "use-regex", "limit-rps", "limit-connections"] {
                found.of(ingress, annotation(ingress, name).is_some(), &format!("{name} is missing"));
            }
            // The controller allows credentials unless it is told not to.
            let cors = annotation(ingress, "enable-cors").is_some();
            let safe = annotation(ingress, "cors-allow-credentials") == Some("false")
                && annotation(ingress, "cors-allow-origin").is_some();
            found.of(ingress, !cors || safe, "CORS for anybody, or with credentials");
        }
    }
    let issuers = of_kind(objects, "Ingress").filter(|ingress| {
        entries(&ingress["metadata"]["annotations"]).any(|(name, _)| name.starts_with("cert-manager.io/"))
    });
    found.hold(issuers.count() <= 1, || "two Ingresses ask for one certificate".to_owned());
}

/// Whether a path of an Ingress, an expression with `[^/]+` for any segment and perhaps `$` at its end, has an address.
fn has(path: &str, address: &str) -> bool {
    let (path, whole) = path.strip_suffix('$').map_or((path, false), |path| (path, true));
    if path == "/" {
        return !whole;
    }
    let (wanted, given): (Vec<_>, Vec<_>) = (path.split('/').collect(), address.split('/').collect());
    // `[^/]+` has a `/` in it, and no address has.
    let mut segments = Vec::new();
    let mut parts = wanted.into_iter();
    while let Some(part) = parts.next() {
        if part == "[^" {
            parts.next();
            segments.push(None);
        } else {
            segments.push(Some(part));
        }
    }
    let fits = segments
        .iter()
        .zip(&given)
        .all(|(want, have)| want.is_none_or(|want| want == *have) && !(want.is_none() && have.is_empty()));
    fits && (segments.len() == given.len() || !whole && segments.len() < given.len())
}

/// The Ingress that the controller takes for an address: expressions are tried by their length, the longest first.
fn takes<'a>(objects: &'a [Value], address: &str) -> Option<&'a Value> {
    let mut all: Vec<_> = of_kind(objects, "Ingress")
        .filter(|ingress| !is_twin(ingress))
        .flat_map(|ingress| list(&ingress["spec"]["rules"]).iter().map(move |rule| (ingress, rule)))
        .flat_map(|(ingress, rule)| list(&rule["http"]["paths"]).iter().map(move |path| (ingress, text(&path["path"]))))
        .collect();
    all.sort_by_key(|(_, path)| std::cmp::Reverse(path.len()));
    all.into_iter().find(|(_, path)| has(path, address)).map(|(ingress, _)| ingress)
}

/// Operations of the API: path, method, and the operation.
pub(crate) fn operations() -> Vec<(String, String, Value)> {
    let file = rulebox_tests::root().join("executor/tests/service/snapshots/service__openapi__openapi.snap");
    let snapshot = std::fs::read_to_string(file).unwrap();
    let document: Value = serde_json::from_str(snapshot.splitn(3, "---\n").nth(2).unwrap()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let all =
        paths.iter().flat_map(|(path, operations)| entries(operations).map(move |(method, it)| (path, method, it)));
    all.map(|(path, method, operation)| (path.clone(), method.to_owned(), operation.clone())).collect()
}

/// What an operation needs, by what the document says of it: the least of each annotation's number, and switches.
fn needs(path: &str, operation: &Value) -> Vec<(&'static str, &'static str)> {
    let content = |of: &Value, kind: &str| of["content"][kind].is_object();
    let body = &operation["requestBody"];
    let ok = &operation["responses"]["200"];
    if content(body, "application/x-ndjson") {
        return vec![
            ("proxy-body-size", "0"),
            ("proxy-read-timeout", "3600"),
            ("proxy-send-timeout", "3600"),
            ("proxy-request-buffering", "off"),
            ("proxy-buffering", "off"),
            ("backend-protocol", "GRPC"),
            ("service-upstream", "true"),
        ];
    }
    if content(ok, "text/event-stream") {
        return vec![("proxy-buffering", "off"), ("proxy-read-timeout", "600")];
    }
    if operation["responses"]["101"].is_object() {
        return vec![("proxy-buffering", "off"), ("proxy-read-timeout", "3600"), ("proxy-send-timeout", "3600")];
    }
    let schema = text(&body["content"]["application/json"]["schema"]["$ref"]);
    // Of these the service takes body_bytes.
    if ["EvaluateRequest", "SessionBarsRequest", "CombinedRequest"].iter().any(|name| schema.ends_with(name))
        || path.ends_with("/bars")
        || path == "/v1/evaluate"
    {
        return vec![("proxy-body-size", "65m"), ("proxy-request-buffering", "off"), ("proxy-read-timeout", "600")];
    }
    vec![
        ("proxy-body-size", "2m"),
        ("proxy-request-buffering", "on"),
        ("proxy-read-timeout", "60"),
        ("proxy-buffering", "on"),
    ]
}

/// Each operation lands on an Ingress with what it needs.
pub(crate) fn routed(objects: &[Value], found: &mut Found) {
    if of_kind(objects, "Ingress").next().is_none() {
        return;
    }
    for (path, method, operation) in operations() {
        let address = path.replace("{version}", "1").replace(['{', '}'], "");
        let Some(ingress) = takes(objects, &address) else {
            found.hold(false, || format!("{method} {path} lands nowhere"));
            continue;
        };
        for (name, value) in needs(&path, &operation) {
            let has = annotation(ingress, name);
            found.of(ingress, has == Some(value), &format!("{method} {path}: {name} is {has:?}, not {value}"));
        }
    }
    for other in [
        "/docs/",
        "/openapi.json",
        "/problems/not_found",
        "/v1/rules/evaluate",
        "/v1/evaluate/x",
        "/v1/sessions/a/b/stream",
    ] {
        let name = takes(objects, other).map(|ingress| text(&ingress["metadata"]["name"]).to_owned());
        found.hold(name.is_some_and(|name| name.ends_with("-api")), || {
            format!("{other} does not land on the plain Ingress")
        });
    }
}

/// With a canary, each Ingress has a twin for it; and the route has both, by weight.
pub(crate) fn twinned(objects: &[Value], found: &mut Found) {
    let canary = of_kind(objects, "Service").any(|service| text(&service["metadata"]["name"]).ends_with("-api-canary"));
    let paths = |ingress: &Value, suffix: &str| {
        let rules = list(&ingress["spec"]["rules"]).iter();
        let all =
            rules.flat_map(|rule| list(&rule["http"]["paths"]).iter().map(move |path| (rule["host"].clone(), path)));
        all.map(|(host, path)| {
            let service = text(&path["backend"]["service"]["name"]).replacen("-api", &format!("-api{suffix}"), 1);
            (host.to_string(), path["path"].to_string(), path["pathType"].to_string(), service)
        })
        .collect::<BTreeSet<_>>()
    };
    let (twins, first): (Vec<_>, Vec<_>) = of_kind(objects, "Ingress").partition(|ingress| is_twin(ingress));
    found.hold(twins.len() == if canary { first.len() } else { 0 }, || {
        format!("{} twins of {} Ingresses", twins.len(), first.len())
    });
    for twin in &twins {
        let own = paths(twin, "");
        let pair = first.iter().filter(|ingress| paths(ingress, "-canary") == own).count();
        found.of(twin, pair == 1, &format!("{pair} Ingresses have its hosts, paths and Services"));
        let weight = annotation(twin, "canary-weight").and_then(|weight| weight.parse::<u32>().ok());
        found.of(twin, weight.is_some_and(|weight| weight <= 100), "its weight");
        for name in ["canary-by-header", "canary-by-header-value"] {
            found.of(twin, annotation(twin, name).is_some(), &format!("{name} is missing"));
        }
        let same = twin["spec"]["tls"] == first[0]["spec"]["tls"]
            && twin["spec"]["ingressClassName"] == first[0]["spec"]["ingressClassName"];
        found.of(twin, same, "its certificate or its class");
    }
    for route in of_kind(objects, "HTTPRoute") {
        for rule in list(&route["spec"]["rules"]) {
            let backends = list(&rule["backendRefs"]);
            let redirects = list(&rule["filters"]).iter().any(|filter| filter["type"] == "RequestRedirect");
            let asked = list(&rule["matches"]).iter().filter(|it| it["headers"][0]["value"] == "canary").count();
            let all = list(&rule["matches"]).len();
            let right = match backends {
                [] => redirects,
                [one] => {
                    text(&one["name"]).ends_with("-api-canary") == (asked == all && all > 0) && (asked > 0 || !canary)
                }
                [stable, tried] => {
                    let sum = stable["weight"].as_u64().unwrap_or(1000) + tried["weight"].as_u64().unwrap_or(1000);
                    canary && asked == 0 && sum == 100 && text(&tried["name"]).ends_with("-api-canary")
                }
                _ => false,
            };
            found.of(route, right, &format!("its backends {backends:?}"));
        }
    }
}

#[test]
fn annotations_are_known_and_well_formed() {
    holds_everywhere("annotations", annotated, 200);
}

#[test]
fn every_operation_lands_where_its_limits_are() {
    holds_everywhere("operations on Ingresses", routed, 500);
    println!("{} operations", operations().len());
}

#[test]
fn a_canary_has_a_twin_of_each_ingress() {
    holds_everywhere("twins", twinned, 10);
    assert_eq!(of_kind(&one("canary").objects, "Ingress").filter(|it| is_twin(it)).count(), 5);
    let objects = with(
        "canary",
        &[
            "ingress.enabled=false",
            "httpRoute.enabled=true",
            "httpRoute.parentRefs[0].name=a",
            "networkPolicy.ingress.from[0].podSelector.matchLabels.app=gateway",
            "canary.weight=25",
        ],
    );
    let mut found = Found::default();
    twinned(&objects, &mut found);
    assert_eq!(found.faults, Vec::<String>::new());
    let route = of_kind(&objects, "HTTPRoute").next().unwrap().to_string();
    assert!(route.contains("\"weight\":75") && route.contains("\"weight\":25"), "{route}");
}

#[test]
fn choices_of_the_values_are_rendered() {
    let objects = with(
        "default",
        &[
            "ingress.enabled=true",
            "ingress.certManager.enabled=true",
            "ingress.certManager.issuer=letsencrypt",
            "ingress.certManager.kind=Issuer",
            "ingress.cors.origins={https://app.example.com,https://b.example.com:8443}",
            "ingress.limits.requestsPerSecond=100000",
        ],
    );
    for property in [annotated, routed, twinned] {
        let mut found = Found::default();
        property(&objects, &mut found);
        assert_eq!(found.faults, Vec::<String>::new());
    }
    let main = of_kind(&objects, "Ingress").find(|it| it["metadata"]["name"] == "rulebox-api").unwrap();
    let all = &main["metadata"]["annotations"];
    assert_eq!(
        (&all["cert-manager.io/issuer"], &main["spec"]["tls"][0]["secretName"]),
        (&json!("letsencrypt"), &json!("rulebox-tls"))
    );
    assert_eq!(annotation(main, "cors-allow-origin"), Some("https://app.example.com,https://b.example.com:8443"));
    assert_eq!(annotation(main, "limit-rps"), Some("100000"));
}

#[test]
fn what_is_wrong_with_an_ingress_is_found() {
    let at = |name: &str| format!("/metadata/annotations/nginx.ingress.kubernetes.io~1{name}");
    let (api, bars, evaluate) = ("Ingress rulebox-api", "Ingress rulebox-api-bars", "Ingress rulebox-api-evaluate");
    finds(
        annotated,
        &[
            broken("staging", api, at("limit-rsp"), json!("1"), "limit-rsp is unknown"),
            broken("staging", api, at("configuration-snippet"), json!("x"), "configuration-snippet is unknown"),
            broken("staging", api, at("limit-rps"), json!("many"), "none of its values"),
            broken("staging", api, at("limit-rps"), json!(5), "none of its values"),
            broken("staging", api, at("proxy-body-size"), json!("2 MB"), "none of its values"),
            broken("staging", api, at("force-ssl-redirect"), None, "force-ssl-redirect is missing"),
            broken("staging", api, at("enable-cors"), json!("true"), "CORS for anybody"),
            broken("staging", api, at("cors-allow-origin"), json!("*"), "none of its values"),
        ],
    );
    finds(
        routed,
        &[
            broken("staging", evaluate, "", None, "proxy-body-size is Some(\"2m\"), not 0"),
            broken("staging", evaluate, at("backend-protocol"), None, "backend-protocol is None"),
            broken("staging", bars, at("proxy-body-size"), json!("1m"), "post /v1/evaluate: proxy-body-size"),
            broken(
                "staging",
                bars,
                "/spec/rules/0/http/paths/1/path",
                json!("/v1/sessions/[^/]+/bar$"),
                "post /v1/sessions/{id}/bars",
            ),
            broken(
                "staging",
                evaluate,
                "/spec/rules/0/http/paths/0/path",
                json!("/v1/rules/[^/]+"),
                "/v1/rules/evaluate does not land",
            ),
            broken("staging", api, "/spec/rules/0/http/paths/0/path", json!("/v2"), "lands nowhere"),
        ],
    );
    finds(
        twinned,
        &[
            broken("canary", "Ingress rulebox-api-bars-canary", "", None, "4 twins of 5"),
            broken(
                "canary",
                "Ingress rulebox-api-bars-canary",
                "/spec/rules/0/http/paths/0/path",
                json!("/v1/evaluate"),
                "0 Ingresses have",
            ),
            broken("canary", "Ingress rulebox-api-canary", at("canary-weight"), json!("101"), "its weight"),
            broken("canary", "Ingress rulebox-api-canary", at("canary-by-header"), None, "canary-by-header is missing"),
            broken("canary", "Ingress rulebox-api-canary", "/spec/tls/0/secretName", json!("x"), "its certificate"),
            broken("canary", "Ingress rulebox-api-feed-canary", at("canary"), None, "4 twins of 6"),
            broken(
                "options",
                "HTTPRoute rb-api",
                "/spec/rules/0/backendRefs/0/name",
                json!("rb-api-canary"),
                "its backends",
            ),
        ],
    );
}
