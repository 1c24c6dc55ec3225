//! Runs a job of a workflow here: its steps in order, with the words of its YAML, over a copy of what they call. Programs that
//! reach for a cluster, a registry or GitHub write down what they are told, and fail or hang where a test says so.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rulebox_tests::tools::run;
use rulebox_tests::{Server, root};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::expressions::{Context, Step};
use super::{steps, workflow, write};
use crate::read;
use crate::rollout::{HELM, helm, made};

/// The digest that images of the release have here.
pub const DIGEST: &str = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// A program that writes down its call. `trouble` has a line `fails 2 WORDS`: the second call with these words fails, each if
/// it is `0`; or `hangs 2 WORDS`: it waits for its end.
const RECORDER: &str = r#"#!/usr/bin/env bash
call="${0##*/} $*"
printf '%s\n' "$call" >>"$WORLD/calls"
while read -r how which words; do
  [[ $call == *"$words"* ]] || continue
  [ "$which" = 0 ] || [ "$which" = "$(grep -cF -- "$words" "$WORLD/calls")" ] || continue
  case $how in fails) echo "it fails: $call"; exit 1 ;; hangs) touch "$WORLD/hanging"; sleep 60 ;; esac
done <"$WORLD/trouble"
case $call in
  'gh release download '*) to=${call##*--dir }; mkdir -p "${to%% *}"; cp "$WORLD/images.txt" "${to%% *}/" ;;
  'helm '*' list '*) echo '[{"name": "rulebox", "revision": "9", "status": "failed"}]' ;;
  'helm '*' history '*) cat "$WORLD/history" ;;
  'helm '*' get values '*) cat "$WORLD/held" ;;
  'gh issue list '*) cat "$WORLD/issues" ;;
  'gh release list '*) cat "$WORLD/latest" ;;
  'gh release view '*) exit 1 ;;
  # Else what writes the password would find nobody who reads.
  'docker login '*) cat >/dev/null ;;
  'trivy '*cyclonedx*) to=${call##*--output }; echo '{"bomFormat": "CycloneDX"}' >"${to%% *}" ;;
  'trivy '*sarif*) to=${call##*--output }; echo '{}' >"${to%% *}" ;;
  'docker buildx build '*--metadata-file*)
    to=${call##*--metadata-file }; printf '{"containerimage.digest": "%s"}' "$DIGEST" >"${to%% *}" ;;
esac
"#;

/// `curl` for `tools`: what it fetches is made here, and has the sums of the list that is made here.
const CURL: &str = r#"#!/usr/bin/env bash
while [ $# -gt 1 ]; do [ "$1" != --output ] || to=$2; shift; done
cp "$WORLD/fetched/${1##*/}" "$to"
"#;

/// The same, and for the real scripts a Prometheus in which all is well; any other address is really asked.
const CURL_OF_SCRIPTS: &str = r#"#!/usr/bin/env bash
case $* in
  *https://prometheus.example.com/*)
    printf '%s\n' "curl $*" >>"$WORLD/calls"
    value=0
    case $* in *query=ALERTS*) echo '{"status": "success", "data": {"result": []}}'; exit ;; *'query=sum(increase(http'*) value=100 ;; esac
    printf '{"status": "success", "data": {"result": [{"metric": {}, "value": [0, "%s"]}]}}' "$value" ;;
  *--proto*) while [ $# -gt 1 ]; do [ "$1" != --output ] || to=$2; shift; done; cp "$WORLD/fetched/${1##*/}" "$to" ;;
  *) exec "$(PATH=${PATH#*"$WORLD/bin:"} command -v curl)" --noproxy '*' "$@" ;;
esac
"#;

/// A copy of what workflows call, and the programs that they find there.
#[derive(Debug)]
pub struct World {
    directory: TempDir,
    /// The real Helm, where there are the real `deploy/scripts`.
    helm: Option<PathBuf>,
    /// What expressions find.
    pub context: Context,
    /// For how many milliseconds a runner that cancels waits behind its first signal, and behind its second one.
    pub patience: [u64; 2],
}

/// What a job has done.
#[derive(Debug)]
pub struct Done {
    /// The steps with a command, by their names: `success`, `failure`, `cancelled`, `skipped`.
    pub outcomes: Vec<(String, String)>,
    /// What was called, in order.
    pub calls: Vec<String>,
    /// The summary of the run.
    pub summary: String,
    /// All that was said.
    pub said: String,
}

impl Done {
    /// The outcome of a step.
    pub fn outcome(&self, step: &str) -> &str {
        &self.outcomes.iter().find(|(name, _)| name == step).unwrap_or_else(|| panic!("there is no step {step}")).1
    }

    /// The calls that begin so.
    pub fn calls_of(&self, program: &str) -> Vec<&str> {
        self.calls.iter().filter_map(|call| call.strip_prefix(program)).map(str::trim).collect()
    }
}

impl World {
    /// With recorders in the place of `deploy/scripts`, and a release whose three images are in the registry.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let here = directory.path();
        for name in fs::read_dir(root().join("deploy/ci")).unwrap().map(|entry| entry.unwrap().file_name()) {
            let file = Path::new("deploy/ci").join(name);
            write(&here.join(&file), &read(file.to_str().unwrap()));
            fs::set_permissions(here.join(&file), fs::metadata(root().join(&file)).unwrap().permissions()).unwrap();
        }
        for file in
            ["Cargo.toml", "deploy/chart/Chart.yaml", "deploy/image/Dockerfile", "deploy/image/pgbouncer.Dockerfile"]
        {
            write(&here.join(file), &read(file));
        }
        let bases = read("deploy/image/bases").replace("_DIGEST=\n", &format!("_DIGEST={DIGEST}\n"));
        write(&here.join("deploy/image/bases"), &bases);
        for name in
            ["calls", "trouble", "issues", "latest", "runner/summary", "runner/output", "runner/env", "runner/path"]
        {
            write(&here.join(name), "");
        }
        for name in ["deploy", "canary", "rollback", "smoke"] {
            program(&here.join("deploy/scripts").join(name), RECORDER);
        }
        for name in ["docker", "gh", "cargo", "rustup"] {
            program(&here.join("bin").join(name), RECORDER);
        }
        program(&here.join("bin/curl"), CURL);
        let of =
            |name: &str| json!({"registry": "registry.example.com", "repository": name, "digest": "sha256:before"});
        let held = json!({"image": of("team/rulebox"), "pgbouncer": {"image": of("team/rulebox-pgbouncer"), "replicas": 3},
                "redisBackup": {"image": of("team/redis-age"), "keep": 6}, "upload": {"image": of("mirror/rclone")}, "redis": {}});
        write(&here.join("held"), &held.to_string());
        let revision = |number: u8, status: &str| json!({"revision": number, "status": status, "app_version": "0.1.0"});
        let history =
            [revision(6, "superseded"), revision(7, "superseded"), revision(8, "failed"), revision(9, "failed")];
        write(&here.join("history"), &json!(history).to_string());
        let images: String = ["rulebox", "rulebox-backup", "rulebox-pgbouncer"]
            .map(|name| format!("{name} registry.example.com/team/{name}@{DIGEST}\n"))
            .concat();
        write(&here.join("images.txt"), &images);
        let mut world = Self { directory, helm: None, context: Context::default(), patience: [7500, 2500] };
        world.publish_tools();
        for (name, value) in [
            ("vars.IMAGE_REGISTRY", "registry.example.com"),
            ("vars.IMAGE_REPOSITORY", "team"),
            ("vars.URL", "https://rulebox.example.com"),
            ("vars.PROMETHEUS_URL", "https://prometheus.example.com"),
            ("vars.WATCH_SECONDS", "7"),
            ("secrets.REGISTRY_USERNAME", "robot"),
            ("secrets.REGISTRY_PASSWORD", "word of the registry"),
            ("secrets.SMOKE_KEY", "key of the smoke test"),
            ("secrets.KUBECONFIG", "apiVersion: v1"),
            ("github.token", "token of the run"),
            ("github.repository", "team/rulebox"),
            ("github.server_url", "https://github.com"),
            ("github.run_id", "42"),
        ] {
            world.context.names.insert(name.to_owned(), value.to_owned());
        }
        world
    }

    /// With the real scripts and the chart, over a release that a `helm` keeps, and a service that answers the smoke test. It has
    /// the old version, deployed by the files of that release.
    pub fn real(service: &Server) -> Self {
        let mut world = Self::new();
        for name in fs::read_dir(root().join("deploy/scripts")).unwrap().map(|entry| entry.unwrap().file_name()) {
            let file = Path::new("deploy/scripts").join(name);
            write(&world.path(file.to_str().unwrap()), &read(file.to_str().unwrap()));
            fs::set_permissions(
                world.path(file.to_str().unwrap()),
                fs::metadata(root().join(&file)).unwrap().permissions(),
            )
            .unwrap();
        }
        fs::remove_dir_all(world.path("deploy/chart")).unwrap();
        symlink(root().join("deploy/chart"), world.path("deploy/chart")).unwrap();
        world.helm = Some(helm());
        program(&world.path("made/helm"), HELM);
        program(&world.path("bin/curl"), CURL_OF_SCRIPTS);
        world.publish_tools();
        fs::create_dir(world.path("revisions")).unwrap();
        write(&world.path("room.yaml"), "postgresql: {maxConnections: 120}\n");
        for (name, value) in [
            ("vars.VALUES", "deploy/chart/values-small.yaml room.yaml"),
            ("vars.URL", &service.api),
            ("vars.WATCH_SECONDS", "0"),
            ("secrets.SMOKE_KEY", service.key.as_ref().unwrap()),
        ] {
            world.context.names.insert(name.to_owned(), value.to_owned());
        }
        world
    }

    /// The release that a `helm` keeps: the number of the newest revision, how it has ended, and its values.
    pub fn release(&self) -> (usize, String, Value) {
        let number = fs::read_dir(self.path("revisions")).unwrap().count();
        let read = |name: &str| fs::read_to_string(self.path(&format!("revisions/{number}/{name}"))).unwrap();
        (number, read("status"), serde_json::from_str(&read("values.json")).unwrap())
    }

    /// Begins another job, on another runner: nothing is called yet, and no step has ended.
    pub fn again(&mut self) {
        let names = std::mem::take(&mut self.context.names);
        self.context = Context { names, ..Context::default() };
        fs::remove_dir_all(self.path("runner")).unwrap();
        for name in ["calls", "trouble", "runner/summary", "runner/output", "runner/env", "runner/path"] {
            write(&self.path(name), "");
        }
    }

    /// A path of this world.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Calls with these words fail.
    pub fn fail(&self, words: &str) {
        write(&self.path("trouble"), &format!("fails 0 {words}\n"));
    }

    /// This one of the calls with these words, from 1, fails, or somebody cancels the run while it lasts.
    pub fn trouble_at(&self, number: usize, words: &str, cancels: bool) {
        let how = if cancels { "hangs" } else { "fails" };
        write(&self.path("trouble"), &format!("{how} {number} {words}\n"));
    }

    /// The programs of `tools.list`, as archives where they are that, with their sums.
    fn publish_tools(&self) {
        let mut list = String::new();
        for line in read("deploy/ci/tools.list").lines().filter(|line| !line.starts_with('#')) {
            let [name, version, _, url] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
            let file = self.path("fetched").join(url.rsplit('/').next().unwrap());
            if self.helm.is_none() || name != "helm" {
                program(&self.path("made").join(name), RECORDER);
            }
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            if url.ends_with(".tar.gz") {
                run(Command::new("tar").arg("-czf").arg(&file).arg("-C").arg(self.path("made")).arg(name));
            } else {
                fs::copy(self.path("made").join(name), &file).unwrap();
            }
            let sum = run(Command::new("sha256sum").arg(&file));
            list += &format!("{name} {version} {} {url}\n", &sum[..64]);
        }
        write(&self.path("deploy/ci/tools.list"), &list);
    }

    /// Runs the job to its end. What is an action of others is taken to succeed.
    pub fn run(&mut self, workflow_name: &str, job: &str) -> Done {
        let workflow = workflow(workflow_name);
        assert_eq!(workflow["defaults"]["run"]["shell"], "bash", "it is run as GitHub does for this word");
        let job = &workflow["jobs"][job];
        let mut env = BTreeMap::new();
        for of in [&workflow["env"], &job["env"]] {
            self.add(&mut env, of);
        }
        let (mut outcomes, mut all_said) = (Vec::new(), String::new());
        for step in steps(job) {
            let mut outcome = Step { outcome: "skipped".to_owned(), outputs: BTreeMap::new() };
            if self.context.runs(step["if"].as_str()) {
                "success".clone_into(&mut outcome.outcome);
                if let Some(text) = step["run"].as_str() {
                    let mut env = env.clone();
                    self.add(&mut env, &step["env"]);
                    let (word, said) = self.step(text, &env);
                    outcome = Step { outcome: word.to_owned(), outputs: self.outputs() };
                    self.context.failure |= word == "failure";
                    self.context.cancelled |= word == "cancelled";
                    all_said += &said;
                }
            }
            if step["run"].is_string() {
                outcomes.push((step["name"].as_str().unwrap().to_owned(), outcome.outcome.clone()));
            }
            if let Some(id) = step["id"].as_str() {
                self.context.steps.insert(id.to_owned(), outcome);
            }
        }
        let calls = fs::read_to_string(self.path("calls")).unwrap().lines().map(str::to_owned).collect();
        Done { outcomes, calls, summary: fs::read_to_string(self.path("runner/summary")).unwrap(), said: all_said }
    }

    fn add(&self, to: &mut BTreeMap<String, String>, env: &Value) {
        for (name, value) in env.as_object().into_iter().flatten() {
            to.insert(name.clone(), self.context.fill(value.as_str().unwrap()));
        }
    }

    /// Runs one command: what became of it, and what it said.
    fn step(&self, text: &str, env: &BTreeMap<String, String>) -> (&'static str, String) {
        let (script, log) = (self.path("runner/step.sh"), self.path("runner/log"));
        write(&script, text);
        let paths = fs::read_to_string(self.path("runner/path")).unwrap();
        let path = paths
            .lines()
            .map(str::to_owned)
            .chain([self.path("bin").display().to_string(), std::env::var("PATH").unwrap()]);
        let mut command = Command::new("bash");
        command
            .args(["--noprofile", "--norc", "-eo", "pipefail"])
            .arg(&script)
            .current_dir(self.directory.path())
            .env_clear();
        command
            .env("PATH", path.collect::<Vec<_>>().join(":"))
            .env("WORLD", self.directory.path())
            .env("PLACE", self.directory.path())
            .env("HELM", self.helm.as_deref().unwrap_or(Path::new("")))
            .env("MADE", made())
            .env("DIGEST", DIGEST);
        command.env("RUNNER_TEMP", self.path("runner")).env("GITHUB_REF_NAME", "v0.1.0").env("GITHUB_SHA", "HEAD");
        command
            .env("GITHUB_REPOSITORY", "team/rulebox")
            .env("GITHUB_ACTOR", "somebody")
            .env("HOME", self.directory.path());
        for (name, file) in [("OUTPUT", "output"), ("ENV", "env"), ("PATH", "path"), ("STEP_SUMMARY", "summary")] {
            command.env(format!("GITHUB_{name}"), self.path("runner").join(file));
        }
        let written = fs::read_to_string(self.path("runner/env")).unwrap();
        command.envs(written.lines().filter_map(|line| line.split_once('='))).envs(env);
        let output = fs::File::create(&log).unwrap();
        command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output).process_group(0);
        let mut child = command.spawn().unwrap();
        let began = Instant::now();
        let hanging = self.path("hanging");
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if hanging.exists() {
                cancel(&mut child, self.patience);
                fs::remove_file(&hanging).unwrap();
                return ("cancelled", fs::read_to_string(&log).unwrap());
            }
            assert!(began.elapsed() < Duration::from_mins(2), "a step does not end: {text}");
            sleep(Duration::from_millis(10));
        };
        (if status.success() { "success" } else { "failure" }, fs::read_to_string(&log).unwrap())
    }

    /// What the last step has written for others.
    fn outputs(&self) -> BTreeMap<String, String> {
        let file = self.path("runner/output");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(file, "").unwrap();
        text.lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }
}

/// As the runner does when a run is cancelled: it signals the process that it has started, and no other, and waits for that one.
fn cancel(child: &mut Child, patience: [u64; 2]) {
    for (signal, waits) in ["-INT", "-TERM"].into_iter().zip(patience) {
        run(Command::new("kill").arg(signal).arg(child.id().to_string()));
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(waits) {
            if child.try_wait().unwrap().is_some() {
                return;
            }
            sleep(Duration::from_millis(10));
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Writes a program.
pub fn program(path: &Path, text: &str) {
    write(path, text);
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}
