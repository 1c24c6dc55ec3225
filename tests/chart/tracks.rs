//! The second track: what a canary has, and that the first one is not touched by it.

use serde_json::{Value, json};

use crate::rendered::{containers, entries, list, of_kind, one, pods, text, title, with, workloads};

/// Titles of what belongs to the second track.
fn is_canary(object: &Value) -> bool {
    text(&object["metadata"]["labels"]["app.kubernetes.io/component"]).ends_with("-canary")
}

/// What differs between two objects, as pointers.
fn differences(at: &str, left: &Value, right: &Value, all: &mut Vec<String>) {
    match (left, right) {
        (Value::Object(a), Value::Object(b)) => {
            let names: std::collections::BTreeSet<_> = a.keys().chain(b.keys()).collect();
            for name in names {
                differences(&format!("{at}/{name}"), &left[name], &right[name], all);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (number, (left, right)) in a.iter().zip(b).enumerate() {
                differences(&format!("{at}/{number}"), left, right, all);
            }
        }
        _ if left != right => all.push(at.to_owned()),
        _ => {}
    }
}

/// An object of the second track as one of the first.
fn as_stable(object: &Value) -> Value {
    serde_json::from_str(&object.to_string().replace("-canary", "")).unwrap()
}

/// In what the second track differs from the first: `KIND NAME: pointer`.
fn apart(objects: &[Value]) -> (usize, Vec<String>) {
    let mut all = Vec::new();
    let (second, first): (Vec<_>, Vec<_>) = objects.iter().partition(|object| is_canary(object));
    let second: Vec<_> = second.into_iter().map(as_stable).collect();
    for object in &second {
        let Some(other) = first.iter().find(|other| title(other) == title(object)) else {
            all.push(format!("{}: only the canary has it", title(object)));
            continue;
        };
        let mut found = Vec::new();
        differences("", other, object, &mut found);
        all.extend(found.into_iter().map(|at| format!("{}: {at}", title(object))));
    }
    // And it has all that pods of the first one are served by.
    let components = ["api", "executor"].map(Value::from);
    let both = first.iter().filter(|it| components.contains(&it["metadata"]["labels"]["app.kubernetes.io/component"]));
    for object in both.filter(|it| !["Ingress", "HTTPRoute", "PriorityClass"].contains(&text(&it["kind"]))) {
        let client = object["kind"] == "Certificate" && object["metadata"]["name"] == "rulebox-api";
        if !client && second.iter().all(|other| title(other) != title(object)) {
            all.push(format!("{}: the canary has none", title(object)));
        }
    }
    (second.len(), all)
}

#[test]
fn a_canary_is_the_same_but_for_its_image_and_number() {
    let objects = &one("canary").objects;
    let (compared, mut apart) = apart(objects);
    apart.sort();
    let image = |name: &str| {
        let pods = "spec/template";
        [
            format!("Deployment {name}: /{pods}/metadata/annotations/checksum/config"),
            format!("Deployment {name}: /{pods}/metadata/labels/rulebox.dev/track"),
            format!("Deployment {name}: /{pods}/spec/containers/0/image"),
        ]
    };
    let mut expected = vec![
        // Limits are shared by Redis: until it has said so, by all pods.
        "ConfigMap rulebox-api: /data/RULEBOX_REDIS__REPLICAS".to_owned(),
        "HorizontalPodAutoscaler rulebox-api: /spec/minReplicas".to_owned(),
    ];
    expected.extend(image("rulebox-api"));
    // An executor's settings are the same.
    expected.extend(image("rulebox-executor").into_iter().skip(1));
    expected.sort();
    assert_eq!(apart, expected);
    println!("a canary: {compared} objects, apart in {} places", expected.len());
    assert!(compared >= 15, "{compared}");
}

#[test]
fn what_a_canary_lacks_is_found() {
    let objects = &one("canary").objects;
    let broken = |change: &dyn Fn(&mut Vec<Value>)| {
        let mut objects = objects.clone();
        change(&mut objects);
        apart(&objects).1
    };
    let without = broken(&|objects| objects.retain(|it| title(it) != "PodDisruptionBudget rulebox-api-canary"));
    assert!(without.contains(&"PodDisruptionBudget rulebox-api: the canary has none".to_owned()), "{without:?}");
    let open = broken(&|objects| {
        let policy = objects.iter_mut().find(|it| title(it) == "NetworkPolicy rulebox-executor-canary").unwrap();
        policy["spec"]["egress"] = json!([{}]);
    });
    assert!(open.contains(&"NetworkPolicy rulebox-executor: /spec/egress".to_owned()), "{open:?}");
}

#[test]
fn a_canary_and_its_weight_leave_the_first_track_alone() {
    const DIGEST: &str = "image.digest=sha256:1111111111111111111111111111111111111111111111111111111111111111";
    let before = with("production", &[DIGEST]);
    let pods_of = |objects: &[Value]| {
        let own = workloads(objects).filter(|(object, _)| !is_canary(object));
        own.map(|(object, template)| (title(object), template.clone())).collect::<Vec<_>>()
    };
    assert_eq!(pods_of(&before), pods_of(&one("canary").objects));
    // Nor does a weight start a pod of either track anew.
    let all = |objects: &[Value]| workloads(objects).map(|(_, template)| template.clone()).collect::<Vec<_>>();
    let heavier = with("canary", &["canary.weight=100"]);
    assert_eq!(all(&heavier), all(&one("canary").objects));
    // That this sees a change.
    let other = with("production", &[DIGEST, "settings.log.filter=debug"]);
    assert_ne!(pods_of(&before), pods_of(&other));
}

#[test]
fn each_track_runs_on_executors_of_its_own() {
    let objects = &one("canary").objects;
    for (track, other) in [("", "-canary"), ("-canary", "")] {
        let config = of_kind(objects, "ConfigMap").find(|it| it["metadata"]["name"] == format!("rulebox-api{track}"));
        let address = text(&config.unwrap()["data"]["RULEBOX_EXECUTORS__ADDRESSES"]);
        let host = format!("rulebox-executor{track}.rulebox.svc.cluster.local");
        assert_eq!(address, format!("https://{host}:7443"));
        let names = of_kind(objects, "Certificate")
            .filter(|it| it["metadata"]["name"] == format!("rulebox-executor{track}"))
            .map(|it| it["spec"]["dnsNames"].clone());
        assert_eq!(names.collect::<Vec<_>>(), [json!([host])]);
        let labels = pods(objects)
            .find(|(it, _)| it["metadata"]["name"] == format!("rulebox-executor{track}"))
            .map(|(_, template)| &template["metadata"]["labels"]);
        let service = |name: &str| {
            let service = of_kind(objects, "Service").find(|it| it["metadata"]["name"] == name).unwrap();
            entries(&service["spec"]["selector"]).all(|(name, value)| labels.unwrap()[name] == *value)
        };
        assert!(service(&format!("rulebox-executor{track}")));
        assert!(!service(&format!("rulebox-executor{other}")));
    }
}

/// Its tables are the newer ones, and they are there before its first pod.
#[test]
fn migrations_are_the_canary_s() {
    let image = |objects: &[Value], name: &str| {
        let (_, template) = pods(objects).find(|(it, _)| text(&it["metadata"]["name"]).starts_with(name)).unwrap();
        text(&containers(template).next().unwrap()["image"]).to_owned()
    };
    let canary = &one("canary").objects;
    assert_eq!(image(canary, "rulebox-migrate"), image(canary, "rulebox-api-canary"));
    assert_ne!(image(canary, "rulebox-migrate"), image(canary, "rulebox-executor"));
    // One of the same version as the release: nothing is asked of another image.
    let same = with("staging", &["canary.enabled=true", "pgbouncer.maxClientConnections=300"]);
    let mut images: Vec<_> = pods(&same)
        .flat_map(|(_, template)| containers(template))
        .map(|it| text(&it["image"]).to_owned())
        .filter(|image| image.starts_with("rulebox/rulebox:"))
        .collect();
    images.dedup();
    assert_eq!(images, ["rulebox/rulebox:0.1.0"]);
    // An image that is only tried has no part in what is kept for good.
    let off = with("production", &["canary.image.tag=9.8.7"]);
    let all = pods(&off).flat_map(|(_, template)| list(&template["spec"]["containers"]));
    assert!(all.into_iter().all(|it| !text(&it["image"]).contains("9.8.7")));
}
