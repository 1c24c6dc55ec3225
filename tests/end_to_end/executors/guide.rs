//! The operators' guide to executors: its commands run, as they are written there.

use std::process::{Command, Stdio};

use rulebox_tests::servers::free_port;
use rulebox_tests::{binary, root};

/// What the blocks with servers in them do here besides: wait until both serve, look, and stop them.
const LOOK: &str = r#"
trap 'kill $(jobs -p); wait' EXIT
for _ in $(seq 600); do
  said=$(curl --silent "http://$HEALTH/readyz?verbose" || true)
  case "$said" in *"executors: 1 of 1 connected"*) break;; esac
  sleep 0.1
done
echo "$said"
curl --silent "http://127.0.0.1:$EXECUTOR_HEALTH/readyz?verbose"
"#;

#[test]
fn every_command_of_the_guide_runs() {
    let guide = std::fs::read_to_string(root().join("deploy/executors/README.md")).unwrap();
    let blocks: Vec<_> = guide.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(blocks.len(), 3, "{blocks:?}");
    let directory = tempfile::tempdir().unwrap();
    let path = format!("{}:{}", binary().parent().unwrap().display(), std::env::var("PATH").unwrap());
    for (n, block) in blocks.into_iter().enumerate() {
        let [health, executor_health, port] = std::array::from_fn(|_| free_port());
        let serves = block.contains("rulebox serve");
        let ports = block.replace(":9091", &format!(":{executor_health}")).replace(":7443", &format!(":{port}"));
        // The API's own ports are those of its defaults, which may be somebody's here.
        let api = format!(
            "RULEBOX_API__LISTEN=127.0.0.1:0 RULEBOX_HEALTH__LISTEN=127.0.0.1:{health} rulebox serve --role api"
        );
        let script = ports.replace("rulebox serve --role api", &api) + if serves { LOOK } else { "" };
        let mut bash = Command::new("bash");
        bash.args(["-e", "-c", &script]).current_dir(directory.path()).stdin(Stdio::null()).env("PATH", &path);
        bash.env("EXECUTORS", "localhost").env("RULEBOX_DATA_DIR", directory.path().join(format!("data-{n}")));
        bash.env("HEALTH", format!("127.0.0.1:{health}")).env("EXECUTOR_HEALTH", executor_health.to_string());
        let output = bash.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        if !serves {
            assert!(output.status.success(), "{script}\n{said}");
            continue;
        }
        assert!(said.contains("[+] executors: 1 of 1 connected"), "{script}\n{said}");
        for layer in ["no_new_privs", "no_capabilities", "core", "landlock", "seccomp"] {
            assert!(said.contains(&format!("[+] {layer}: holds")), "{script}\n{said}");
        }
    }
}
