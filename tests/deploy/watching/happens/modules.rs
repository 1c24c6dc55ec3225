//! What modules do, and what somebody does who has the disk.

use std::fs;
use std::time::Instant;

use rulebox_tests::rule;
use rulebox_tests::servers::free_port;
use serde_json::json;

use super::super::upload;
use super::{Watch, answer, serve};

#[test]
fn what_modules_and_intruders_do_is_told() {
    let health = format!("127.0.0.1:{}", free_port());
    let watch = Watch::start(std::slice::from_ref(&health));
    let (directory, code) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let code = code.path().join("code");
    // Of two Alertmanagers one is away, and then the other too.
    let (nobody, team) = ("http://127.0.0.1:1", format!("http://{}", watch.team.alertmanager.address()));
    let both = format!("{team},{nobody}");
    let start = |told: &str| {
        let settings = [
            ("RULEBOX_CODE_CACHE__DIRECTORY", code.to_str().unwrap()),
            ("RULEBOX_ALERTMANAGER__URLS", told),
            ("RULEBOX_ALERTMANAGER__RESEND_SECONDS", "1"),
        ];
        serve(directory.path(), &health, &watch, &settings)
    };
    let mut server = start(&both);
    let key = server.key.clone().unwrap();
    let (status, said) = answer(server.post(&key, "/v1/rules", &json!({"source": rule(7)})));
    assert_eq!(status, 201, "{said}");
    upload(&server, &key, "trap", "unreachable");
    watch.scraped(&health);

    // A module that traps, until it is stopped.
    let began = Instant::now();
    let trap = || answer(server.post(&key, "/v1/rules/trap/evaluate", &json!({"inputs": {}})));
    let mut runs = 0;
    while trap().0 != 423 {
        runs += 1;
        assert!(runs < 20, "it is never stopped");
    }
    watch.told("RuleboxRuleQuarantined", "tenant: ", "a module traps until it is stopped", began, "security-chat");

    // A cursor that nobody was given.
    let began = Instant::now();
    let (status, said) = answer(server.get(&key, &format!("/v1/rules?cursor={}", "A".repeat(80))));
    assert_eq!(status, 400, "{said}");
    let forged = "kind: state_forged";
    watch.told("RuleboxViolation", forged, "a cursor is forged (pushed)", began, "security");
    watch.told("RuleboxViolation", forged, "a cursor is forged (pushed)", began, "on-call");
    for scraped in ["RuleboxCriticalViolation", "RuleboxTampering"] {
        watch.held_back(scraped, "a cursor is forged", "RuleboxViolation", began);
    }
    let away = "one of two Alertmanagers is away";
    watch.told("RuleboxAlertPushesFailed", "", away, began, "on-call-chat");

    // Compiled code is changed on the disk, while the service is away.
    server.signal("TERM");
    assert!(server.wait().0.success());
    let files: Vec<_> = fs::read_dir(&code).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty(), "no code is kept");
    for file in &files {
        let mut bytes = fs::read(file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x40;
        fs::write(file, bytes).unwrap();
    }
    let server = start(nobody);
    let began = Instant::now();
    let bar = json!({"inputs": {"equity": 100, "drawdown": 0}});
    // It is found, and the rule runs all the same: it is compiled anew.
    let (status, said) = answer(server.post(&key, "/v1/rules/probe/evaluate", &bar));
    assert_eq!(status, 200, "{said}");
    // It is not pushed, and told all the same.
    let (changed, how) = ("kind: cache_tampered", "compiled code is changed on the disk");
    watch.told("RuleboxCriticalViolation", changed, how, began, "security");
    watch.told("RuleboxTampering", changed, how, began, "security");
    watch.told("RuleboxTampering", changed, how, began, "on-call");
    watch.told("RuleboxAlertPushesLost", "", "no Alertmanager is there", began, "on-call");
}
