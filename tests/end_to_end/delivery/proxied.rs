//! Webhooks by way of a proxy, where nothing else reaches the internet.

use std::time::{Duration, Instant};

use rulebox_tests::Server;
use rulebox_tests::receiver::{Answering, Receiver};
use rulebox_tests::servers::authority::Authority;
use rulebox_tests::servers::nginx::Nginx;
use rulebox_tests::servers::tinyproxy::Tinyproxy;
use serde_json::{Value, json};

use super::{LOOPBACK, delivery, test_event};
use crate::replicas::body;

/// TLS in front of a receiver, by a certificate for this name.
fn with_tls(receiver: &Receiver, authority: &Authority, name: &str, folder: &std::path::Path) -> (Nginx, u16) {
    let identity = authority.identify_as(folder, &[name]);
    let mut taken = 0;
    let nginx = Nginx::start(|port| {
        taken = port;
        format!(
            "server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {}; ssl_certificate_key {}; \
             location / {{ proxy_pass {}; }} }}",
            identity.certificate.display(),
            identity.key.display(),
            receiver.url
        )
    });
    (nginx, taken)
}

fn hook(server: &Server, key: &str, url: &str) -> String {
    let made = body(server.post(key, "/v1/webhooks", &json!({"url": url})), 201);
    made["id"].as_str().unwrap().to_owned()
}

#[test]
fn webhooks_go_through_the_proxy_to_addresses_that_were_checked_and_tls_goes_to_the_receiver() {
    let (directory, certificates) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let others = tempfile::tempdir().unwrap();
    let (authority, mut proxy) = (Authority::new(), Tinyproxy::start());
    let (url, trusted) = (proxy.url(), authority.certificate().display().to_string());
    let settings = [
        LOOPBACK,
        ("RULEBOX_WEBHOOKS__PROXY", url.as_str()),
        ("SSL_CERT_FILE", trusted.as_str()),
        ("RULEBOX_WEBHOOKS__TIMEOUT_MS", "5000"),
    ];
    let mut server = Server::try_start(directory.path(), &settings).unwrap();
    let key = server.key.clone().unwrap();
    let receiver = Receiver::start(Answering::Status(200));
    let (_nginx, port) = with_tls(&receiver, &authority, "localhost", certificates.path());
    let id = hook(&server, &key, &format!("https://localhost:{port}/hook?of=us"));
    let sent = test_event(&server, &key, &id);
    delivery(&server, &key, &id, &sent, |one| one["state"] == "delivered");
    let came = receiver.received();
    assert_eq!(came.len(), 1, "{came:?}");
    assert_eq!(came[0].path, "/hook?of=us");
    assert!(came[0].header("webhook-signature").starts_with("v1,"));
    let asked = proxy.requests();
    assert!(
        asked.iter().all(|asked| asked == &format!("CONNECT 127.0.0.1:{port} HTTP/1.1")) && !asked.is_empty(),
        "an address and not a name: {asked:?}"
    );

    // A certificate for another name.
    let (_other, port) = with_tls(&receiver, &authority, "elsewhere.example.com", others.path());
    let id = hook(&server, &key, &format!("https://localhost:{port}/hook"));
    let sent = test_event(&server, &key, &id);
    let tried = |one: &Value| one["tries"] != 0;
    let refused = delivery(&server, &key, &id, &sent, tried);
    assert_eq!(
        (&refused["state"], &refused["last_error"]),
        (&json!("pending"), &json!("no connection to a public address"))
    );
    assert_eq!(receiver.received().len(), 1);

    // Without the proxy there is no other way, and no try is lost by that.
    proxy.kill();
    let plain = hook(&server, &key, &format!("{}/hook", receiver.url));
    let sent = test_event(&server, &key, &plain);
    std::thread::sleep(Duration::from_secs(2));
    let waits = delivery(&server, &key, &plain, &sent, |_| true);
    assert_eq!((&waits["state"], &waits["tries"]), (&json!("pending"), &json!(0)), "{waits}");
    assert_eq!(receiver.received().len(), 1);
    proxy.start_again();
    let began = Instant::now();
    delivery(&server, &key, &plain, &sent, |one| one["state"] == "delivered");
    println!("delivered {:.1?} after the proxy was back", began.elapsed());
    server.signal("TERM");
    let (_, log) = server.wait();
    for told in ["webhooks do not get out by the proxy", "cannot be reached", "get out by the proxy again"] {
        assert!(log.contains(told), "operators are told what tenants are not: {log}");
    }
}

#[test]
fn the_machine_of_the_proxy_is_none_that_tenants_may_reach() {
    let directory = tempfile::tempdir().unwrap();
    let settings = [LOOPBACK, ("RULEBOX_WEBHOOKS__PROXY", "http://egress.example.com:3128")];
    let refused = Server::try_start(directory.path(), &settings).unwrap_err();
    assert!(refused.stderr.contains("RULEBOX_WEBHOOKS__ALLOW_LOOPBACK"), "{refused:?}");
    let settings = [("RULEBOX_WEBHOOKS__PROXY", "https://egress.example.com:3128")];
    let refused = Server::try_start(directory.path(), &settings).unwrap_err();
    assert!(refused.stderr.contains("a proxy is at `http://host:port`"), "{refused:?}");
}
