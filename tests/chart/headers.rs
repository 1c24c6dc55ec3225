//! Headers of answers, which the plain nginx has, on routes and Ingresses: the same, or named among the differences.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};

use crate::rendered::{entries, list, of_kind, one, parse, read, text, with};

/// Headers by their names.
type Headers = BTreeMap<String, String>;

fn gateway(file: &str) -> String {
    fs::read_to_string(rulebox_tests::root().join("deploy/gateway").join(file)).unwrap()
}

/// Of `headers.conf`, those that hang on nothing: a value that is one, or the one for answers of which the service says none.
fn plain() -> Headers {
    let conf = gateway("headers.conf");
    let word = |text: &str| text.trim().trim_end_matches(';').trim_matches('"').to_owned();
    let mut headers = Headers::new();
    for line in conf.lines().filter_map(|line| line.strip_prefix("add_header ")) {
        let (name, value) = line.trim_end_matches(" always;").split_once(' ').unwrap();
        let value = match value.strip_prefix('$') {
            None => word(value),
            Some(variable) if ["content_security_policy", "cache_control"].contains(&variable) => {
                let map = conf.split_once(&format!(" ${variable} {{\n")).unwrap().1.split_once('}').unwrap().0;
                word(map.lines().find_map(|row| row.trim().strip_prefix("\"\" ")).unwrap())
            }
            Some(_) => continue,
        };
        headers.insert(name.to_owned(), value);
    }
    // Of CORS, which routes and Ingresses do by themselves.
    assert_eq!(headers.remove("Vary").as_deref(), Some("Origin"));
    headers
}

/// What is wrong with the headers of a route: those of the nginx on all rules, but for the policy of the service's own page.
fn faults(objects: &[Value]) -> Vec<String> {
    let mut faults = Vec::new();
    let rules = of_kind(objects, "HTTPRoute").flat_map(|route| list(&route["spec"]["rules"]));
    for rule in rules.filter(|rule| !list(&rule["backendRefs"]).is_empty()) {
        let paths: Vec<_> = list(&rule["matches"]).iter().map(|it| text(&it["path"]["value"])).collect();
        let set = list(&rule["filters"]).iter().flat_map(|filter| list(&filter["responseHeaderModifier"]["set"]));
        let set: Headers = set.map(|it| (text(&it["name"]).to_owned(), text(&it["value"]).to_owned())).collect();
        let mut expected = plain();
        if paths == ["/docs"] {
            expected.remove("Content-Security-Policy");
        }
        if set != expected {
            faults.push(format!("{paths:?}: {set:?}"));
        }
        if paths.contains(&"/docs") && paths.len() > 1 {
            faults.push(format!("{paths:?}: the page has no rule of its own"));
        }
    }
    let page = of_kind(objects, "HTTPRoute").any(|route| route.to_string().contains("\"/docs\""));
    faults.extend((!page).then(|| "the page has no rule".to_owned()));
    faults
}

#[test]
fn a_route_sets_the_headers_of_the_gateway() {
    let objects = &one("options").objects;
    assert_eq!(faults(objects), Vec::<String>::new());
    let tried = with(
        "canary",
        &[
            "httpRoute.enabled=true",
            "httpRoute.parentRefs[0].name=a",
            "networkPolicy.ingress.from[0].podSelector.matchLabels.app=gateway",
        ],
    );
    assert_eq!(faults(&tried), Vec::<String>::new());
    let place = objects.iter().position(|it| it["kind"] == "HTTPRoute").unwrap();
    let rules = list(&objects[place]["spec"]["rules"]).len();
    for number in 0..rules {
        let mut broken = objects.clone();
        let set = broken[place].pointer_mut(&format!("/spec/rules/{number}/filters/0/responseHeaderModifier/set"));
        set.unwrap().as_array_mut().unwrap().retain(|header| header["name"] != "Cross-Origin-Resource-Policy");
        assert_eq!(faults(&broken).len(), 1, "rule {number}");
    }
    // The service's own policy would be replaced.
    let mut broken = objects.clone();
    let last = broken[place]["spec"]["rules"][rules - 1]["filters"].clone();
    broken[place]["spec"]["rules"][rules - 2]["filters"] = last;
    assert_eq!(faults(&broken).len(), 1);
    println!("{} headers on {rules} rules", plain().len());
}

#[test]
fn an_ingress_has_them_by_its_controller_or_readme_says_so() {
    let values = parse(&gateway("ingress-nginx-values.yaml")).remove(0);
    let config = &values["controller"]["config"];
    let readme = gateway("README.md");
    let section = readme.split("\n## ").find(|part| part.starts_with("ingress-nginx\n")).unwrap();
    // What the ConfigMap of the README adds, which the controller lets an Ingress name.
    let example = section.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let own: Headers = entries(&parse(example)[0]["data"]).map(|(name, it)| (name.into(), text(it).into())).collect();
    let may: Vec<_> = text(&config["global-allowed-response-headers"]).split(',').collect();
    assert_eq!(own.keys().collect::<Vec<_>>(), may);
    let mut all: Headers =
        entries(&values["controller"]["addHeaders"]).map(|(name, it)| (name.into(), text(it).into())).collect();
    assert_eq!(all.remove("Vary").as_deref(), Some("Origin"));
    all.extend(own);
    let hsts = format!("max-age={}; includeSubDomains", text(&config["hsts-max-age"]));
    assert_eq!((&config["hsts"], &config["hsts-include-subdomains"]), (&json!("true"), &json!("true")));
    all.insert("Strict-Transport-Security".to_owned(), hsts);
    let mut expected = plain();
    // The one that it cannot say.
    expected.remove("Content-Security-Policy");
    assert!(section.contains("There is no Content-Security-Policy"), "{section}");
    assert_eq!(all, expected);
    // The annotation is one that the chart takes, for all of its Ingresses.
    let name = "nginx.ingress.kubernetes.io/custom-headers";
    assert!(section.contains(&format!("`{name}: rulebox/rulebox-headers`")), "{section}");
    let change = format!("ingress.annotations.{}=rulebox/rulebox-headers", name.replace('.', "\\."));
    let objects = with("staging", &[&change]);
    let ingresses: Vec<_> = of_kind(&objects, "Ingress").collect();
    assert_eq!(ingresses.len(), 5);
    assert!(ingresses.iter().all(|it| it["metadata"]["annotations"][name] == "rulebox/rulebox-headers"));
}

#[test]
fn the_controller_lets_streams_be_silent_and_certificates_be_made() {
    let text_of = gateway("ingress-nginx-values.yaml");
    let config = parse(&text_of).remove(0)["controller"]["config"].clone();
    let seconds = |value: &Value| value.as_str().unwrap().parse::<u64>().unwrap();
    let stream = read(&crate::rendered::chart().join("values.yaml"))["ingress"]["seconds"]["stream"].as_u64().unwrap();
    assert!(gateway("routes.conf").contains("client_body_timeout 1h;") && stream == 3600, "{stream}");
    assert!(seconds(&config["client-body-timeout"]) >= stream, "a stream that is silent is ended: {config}");
    // Strict paths refuse how cert-manager answers, before these versions.
    assert_eq!(config["strict-validate-path-type"], "true");
    for word in ["1.12.6", "1.13.2", "ACMEHTTP01IngressPathTypeExact=false"] {
        assert!(text_of.contains(word), "{word}");
    }
}
