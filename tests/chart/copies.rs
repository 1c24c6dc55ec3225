//! What is in the chart and elsewhere too is the same.

use serde_json::Value;

use crate::rendered::{all, chart, containers, entries, list, of_kind, one, pods, read, text};

/// A folder of the chart, or a file, and what it is a copy of.
const COPIES: [(&str, &str); 11] = [
    ("alerts.yaml", "deploy/monitoring/alerts.yaml"),
    ("recording.yaml", "deploy/monitoring/recording.yaml"),
    ("backup.yaml", "deploy/monitoring/backup.yaml"),
    ("redis-backup.yaml", "deploy/monitoring/redis-backup.yaml"),
    ("cost.yaml", "deploy/monitoring/cost.yaml"),
    ("exporters.yaml", "deploy/monitoring/exporters.yaml"),
    ("watchers.yaml", "deploy/monitoring/watchers.yaml"),
    ("dashboards/", "deploy/monitoring/dashboards/"),
    ("queries.yaml", "deploy/monitoring/exporters/queries.yaml"),
    ("roles.sql", "deploy/postgres/roles.sql"),
    ("backup/", "deploy/backup/"),
];

/// All files below a folder, by their path in it.
fn files(folder: &std::path::Path, below: &str) -> Vec<String> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{below}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            files.extend(self::files(&entry.path(), &format!("{name}/")));
        } else {
            files.push(name);
        }
    }
    files
}

/// The file that a file of the chart is a copy of.
fn original(file: &str) -> Option<String> {
    COPIES.iter().find_map(|(copy, original)| Some(format!("{original}{}", file.strip_prefix(copy)?)))
}

#[test]
fn copies_are_the_same() {
    let folder = chart().join("files");
    let files = files(&folder, "");
    for file in &files {
        let original = original(file).unwrap_or_else(|| panic!("files/{file} is a copy of nothing"));
        let there = std::fs::read_to_string(rulebox_tests::root().join(&original)).unwrap();
        assert!(
            std::fs::read_to_string(folder.join(file)).unwrap() == there,
            "copy {original} to deploy/chart/files/{file}"
        );
    }
    assert!(files.len() >= 6, "{files:?}");
    println!("{} copies are the same", files.len());
}

#[test]
fn scripts_are_mounted_as_they_are() {
    let mut checks = 0;
    for rendered in all() {
        for config in of_kind(&rendered.objects, "ConfigMap") {
            for (name, value) in entries(&config["data"]) {
                let places = [name.to_owned(), format!("backup/{name}"), format!("dashboards/{name}")];
                let Some(file) =
                    places.iter().map(|place| chart().join("files").join(place)).find(|file| file.is_file())
                else {
                    continue;
                };
                let whole = std::fs::read_to_string(&file).unwrap();
                assert!(text(value) == whole, "{}: {name} is not {}", rendered.name, file.display());
                checks += 1;
            }
        }
    }
    println!("{checks} files in ConfigMaps are the same");
    assert!(checks >= 15, "{checks}");
}

#[test]
fn the_chart_is_of_this_version() {
    let manifest = std::fs::read_to_string(rulebox_tests::root().join("Cargo.toml")).unwrap();
    let version = manifest
        .split("[workspace.package]")
        .nth(1)
        .unwrap()
        .lines()
        .find_map(|line| line.strip_prefix("version = "))
        .unwrap();
    let chart = read(&chart().join("Chart.yaml"));
    assert_eq!(text(&chart["appVersion"]), version.trim_matches('"'));
    // Scanners pass over a chart with one in silence.
    assert_eq!(chart["kubeVersion"], Value::Null);
}

#[test]
fn pods_are_what_the_image_is() {
    let image = std::fs::read_to_string(rulebox_tests::root().join("deploy/image/Dockerfile")).unwrap();
    let last = |word: &str| image.lines().rev().find_map(|line| line.strip_prefix(word)).unwrap().trim().to_owned();
    let (user, open) = (last("USER "), last("EXPOSE "));
    let (mut checks, mut ports) = (0, Vec::new());
    for (_, template) in pods(&one("default").objects) {
        for container in containers(template) {
            if text(&container["image"]).starts_with("rulebox/rulebox:") {
                let context = &container["securityContext"];
                assert_eq!(format!("{}:{}", context["runAsUser"], context["runAsGroup"]), user);
                ports.extend(list(&container["ports"]).iter().map(|port| port["containerPort"].to_string()));
                checks += 1;
            }
        }
    }
    ports.sort();
    ports.dedup();
    let mut open: Vec<_> = open.split(' ').collect();
    open.sort_unstable();
    assert_eq!(ports, open);
    println!("{checks} containers have the image's user, and its ports");
}
