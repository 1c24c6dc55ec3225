//! Processes that start again and again, lack what they should have, or are away.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rulebox_tests::servers::free_port;
use rulebox_tests::tools::run;

use super::{Watch, serve};

/// A certificate that is over in three days, and its key.
fn short_lived(directory: &Path) -> [String; 2] {
    let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| directory.join(name).display().to_string());
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3"]);
    openssl.args(["-subj", "/CN=executor", "-addext", "subjectAltName=DNS:localhost"]);
    run(openssl.args(["-keyout", &key, "-out", &certificate]));
    [certificate, key]
}

#[test]
fn what_is_the_matter_with_processes_is_told() {
    let [first, second, nobody] = [(); 3].map(|()| format!("127.0.0.1:{}", free_port()));
    let began = Instant::now();
    let watch = Watch::start(&[first.clone(), second.clone(), nobody.clone()]);
    let (directory, other, certificates) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let start = || serve(directory.path(), &first, &watch, &[]);
    let mut server = start();
    let [certificate, key] = short_lived(certificates.path());
    let api = [
        ("RULEBOX_ROLE", "api"),
        ("RULEBOX_EXECUTORS__ADDRESSES", "https://localhost:1"),
        ("RULEBOX_EXECUTORS__CA_FILE", &certificate),
        ("RULEBOX_EXECUTORS__CERTIFICATE_FILE", &certificate),
        ("RULEBOX_EXECUTORS__KEY_FILE", &key),
    ];
    let lonely = serve(other.path(), &second, &watch, &api);
    watch.scraped(&first);
    watch.told("RuleboxWatchdog", "", "nothing: it always fires", began, "heartbeat");
    watch.told("RuleboxBackupTooOld", "", "there has been no backup", began, "on-call");
    watch.told("RuleboxCertificateExpiry", "certificate: ", "it is over in three days", began, "on-call-chat");
    watch.told("RuleboxTargetDown", &nobody, "nobody listens at the port", began, "on-call-chat");
    watch.told("RuleboxDependencyDown", "dependency: executors", "no executor is there", began, "on-call");

    // Somebody changes the audit log while the service is away; and then it starts again and again.
    let began = Instant::now();
    server.signal("TERM");
    assert!(server.wait().0.success());
    let change = "drop trigger audit_is_immutable; update audit set actor = 'nobody' where seq = 1;";
    let database = directory.path().join("rulebox.db");
    run(Command::new("sqlite3").arg("-bail").arg(&database).arg(change));
    // And as after a day on which receivers were away: deliveries that wait for their next try.
    let waiting = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 1001) \
                   insert into outbox (id, kind, endpoint_id, topic, payload, created_at, due_at) \
                   select randomblob(16), 'webhook', randomblob(16), 'violation.opened', '{}', 0, 9000000000000000 from n;";
    run(Command::new("sqlite3").arg("-bail").arg(&database).arg(waiting));
    for _ in 0..3 {
        let began = watch.started(&first);
        // It says in which second it started.
        std::thread::sleep(Duration::from_secs(1));
        server = start();
        super::until("the next start is seen", || watch.started(&first) > began);
        server.signal("TERM");
        assert!(server.wait().0.success());
    }
    let server = start();
    watch.told("RuleboxAuditChanged", "", "an entry of the audit log is changed", began, "security");
    watch.told("RuleboxAuditChanged", "", "an entry of the audit log is changed", began, "on-call");
    watch.told("RuleboxRestarts", &first, "the process is stopped and started", began, "on-call-chat");

    watch.told("RuleboxOutboxBacklog", "", "1001 deliveries wait", began, "on-call-chat");

    // All are away.
    drop((server, lonely));
    let began = Instant::now();
    watch.told("RuleboxDown", "", "all processes are killed", began, "on-call");
}
