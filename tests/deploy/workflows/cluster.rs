//! How a job logs in to its cluster: by tokens that GitHub gives it for minutes, or by a kubeconfig if a cluster takes none.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use rulebox_tests::root;
use rulebox_tests::tools::{from_pypi, run, tried};
use serde_json::Value;

#[test]
fn a_cluster_is_reached_by_tokens_that_end() {
    let python = from_pypi("kubernetes-client", &["kubernetes==37.0.2"], false).join("bin/python");
    let directory = tempfile::tempdir().unwrap();
    let mut login = Command::new(python);
    login.arg(root().join("tests/deploy/workflows/login.py")).arg(root().join("deploy/ci")).arg(directory.path());
    let said = run(&mut login);
    let seen: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    let asked = seen["asked"].as_array().unwrap();
    assert!(
        asked
            .iter()
            .all(|one| one[0] == "/token?api-version=2.0&audience=rulebox" && one[1] == "bearer word of the run")
    );
    // Three clients, three tokens, each as it was given.
    let tokens: Vec<_> = seen["tokens"].as_array().unwrap().iter().map(|token| token.as_str().unwrap()).collect();
    assert!(
        tokens.len() == 3
            && tokens
                .iter()
                .all(|token| token.starts_with("Bearer ey") && token.split('.').next_back() == Some("sign")),
        "{tokens:?}"
    );
    assert!(tokens[0] != tokens[1] && tokens[1] != tokens[2], "{tokens:?}");
    assert_eq!(seen["credential"]["kind"], "ExecCredential");
    let ends = seen["credential"]["status"]["expirationTimestamp"].as_str().unwrap();
    let ends: i64 = run(Command::new("date").args(["--date", ends, "+%s"])).trim().parse().unwrap();
    assert!((800..=901).contains(&(ends - seen["now"].as_i64().unwrap())), "{seen}");
    // Nothing that lasts is kept.
    assert_eq!((seen["name"].as_str(), seen["mode"].as_str()), (Some("KUBECONFIG"), Some("0o600")));
    let file = seen["file"].as_str().unwrap();
    assert!(
        file.contains("cluster-token") && !file.contains("word of the run") && !file.contains("\"token\""),
        "{file}"
    );
    println!("cluster-login: {} tokens, each of minutes", asked.len());
}

#[test]
fn a_kubeconfig_serves_where_tokens_do_not_and_nothing_is_refused_aloud() {
    let directory = tempfile::tempdir().unwrap();
    let login = |settings: &[(&str, &str)]| {
        let mut command = Command::new(root().join("deploy/ci/cluster-login"));
        command.env("RUNNER_TEMP", directory.path()).env("GITHUB_ENV", directory.path().join("env"));
        let (output, said) = tried(command.envs(settings.iter().copied()));
        (output.status.success(), said)
    };
    let (done, said) = login(&[("KUBECONFIG_TEXT", "apiVersion: v1")]);
    assert!(done && said.starts_with("::warning::by a kubeconfig that lasts"), "{said}");
    let file = directory.path().join("kubeconfig");
    assert_eq!(fs::read_to_string(&file).unwrap(), "apiVersion: v1\n");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let server = ("CLUSTER_SERVER", "https://10.0.0.1:6443");
    for (settings, why) in [
        (&[][..], "neither CLUSTER_SERVER nor KUBECONFIG"),
        (&[("CLUSTER_SERVER", "http://10.0.0.1")], "is no https address"),
        (&[server], "CLUSTER_CA has no certificate"),
        (&[server, ("CLUSTER_CA", "-----BEGIN CERTIFICATE-----")], "no permission id-token: write"),
    ] {
        let (done, said) = login(settings);
        assert!(!done && said.contains(why), "{why}: {said}");
    }
}
