//! Who may talk to whom: certificates of one authority, and none else; and new ones while all goes on.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rcgen::ExtendedKeyUsagePurpose;
use rulebox_tests::servers::authority::{Authority, Identity};
use rulebox_tests::{Executor, Server};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::{Value, json};

use super::{Far, as_text, body, example, files, upload};

/// Speaks to an executor with these certificates, and gives what it showed, or why it would not speak.
fn knock(port: u16, trusted: &Authority, identity: Option<&Identity>) -> Result<Vec<u8>, String> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(trusted.certificate()).unwrap()).unwrap();
    let config = rustls::ClientConfig::builder().with_root_certificates(roots);
    let mut config = match identity {
        None => config.with_no_client_auth(),
        Some(Identity { certificate, key }) => {
            let own = CertificateDer::from_pem_file(certificate).unwrap();
            config.with_client_auth_cert(vec![own], PrivateKeyDer::from_pem_file(key).unwrap()).unwrap()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = ServerName::try_from("localhost").unwrap();
    let client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = rustls::StreamOwned::new(client, TcpStream::connect(("localhost", port)).unwrap());
    stream.sock.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    // The preface of HTTP/2 and empty settings; the server answers with its own.
    let said = stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .and_then(|()| stream.read(&mut [0; 9]));
    match said {
        Ok(9) => Ok(stream.conn.peer_certificates().unwrap()[0].to_vec()),
        other => Err(format!("{other:?}")),
    }
}

#[test]
fn nobody_talks_to_an_executor_without_a_certificate_of_its_authority() {
    let far = Far::start(1);
    let own = far.identities.last().unwrap();
    assert!(knock(far.ports[0], &far.authority, Some(own)).is_ok(), "the API may");
    let no_certificate = knock(far.ports[0], &far.authority, None).unwrap_err();
    let stranger = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let strange = knock(far.ports[0], &far.authority, Some(&stranger.identify(folder.path()))).unwrap_err();
    // An executor's own certificate is not an API's; and one that says nothing is nobody's.
    for purposes in [&[ExtendedKeyUsagePurpose::ServerAuth][..], &[]] {
        let folder = tempfile::tempdir().unwrap();
        let executors = far.authority.identify_for(folder.path(), &["localhost"], purposes);
        let refused = knock(far.ports[0], &far.authority, Some(&executors)).unwrap_err();
        assert!(refused.contains("ertificate"), "{refused}");
    }
    assert!(no_certificate.contains("CertificateRequired"), "{no_certificate}");
    assert!(
        strange.contains("UnknownCA") || strange.contains("BadCertificate") || strange.contains("DecryptError"),
        "{strange}"
    );

    // And an API takes no executor of another authority, or of another name.
    for (authority, names) in [(&stranger, ["localhost"]), (&far.authority, ["elsewhere.example"])] {
        let folder = tempfile::tempdir().unwrap();
        let identity = authority.identify_as(folder.path(), &names);
        let settings = files(&far.authority.certificate(), &identity);
        let executor = Executor::start("[::]:0", &as_text(&settings));
        let port = executor.listens.rsplit_once(':').unwrap().1.to_owned();
        let address = format!("https://localhost:{port}");
        let own = files(&far.authority.certificate(), own);
        let mut settings = as_text(&own);
        settings.extend([("RULEBOX_ROLE", "api"), ("RULEBOX_EXECUTORS__ADDRESSES", &address)]);
        let directory = tempfile::tempdir().unwrap();
        let mut api = Server::try_start(directory.path(), &settings).unwrap();
        let key = api.key.clone().unwrap();
        let refused = body(api.post(&key, "/v1/rules", &json!({"source": example("equity_drawdown")})), 503);
        assert_eq!(refused["code"], "executors_unavailable");
        api.signal("TERM");
        let (_, log) = api.wait();
        assert!(log.contains("cannot be connected") && log.contains("invalid peer certificate"), "{log}");
    }
}

#[test]
fn those_who_say_nothing_take_no_place_of_those_who_do() {
    let far = Far::start(1);
    let own = far.identities.last().unwrap();
    let port = far.ports[0];
    // More than there are connections for APIs, none of which says anything.
    let silent: Vec<_> = (0..600).map(|_| TcpStream::connect(("localhost", port)).unwrap()).collect();
    let began = Instant::now();
    knock(port, &far.authority, Some(own)).unwrap();
    println!("an API was let in beside {} silent connections in {:?}", silent.len(), began.elapsed());
    let rule = upload(&far.api, &far.key, &example("equity_drawdown"));
    let bar = json!({"inputs": {"balance": 1_000, "trades": 1}});
    body(far.api.post(&far.key, &format!("/v1/rules/{rule}/evaluate"), &bar), 200);
}

#[test]
fn certificates_are_changed_while_all_goes_on() {
    let mut far = Far::start(2);
    let rule = upload(&far.api, &far.key, &example("equity_drawdown"));
    let bar = json!({"inputs": {"balance": 1_000, "trades": 1}});
    let run = || body(far.api.post(&far.key, &format!("/v1/rules/{rule}/evaluate"), &bar), 200);
    let before: Value = run();
    // The same authority signs new ones; the old key of each is gone.
    let identities: Vec<_> = far.folders.iter().map(|folder| far.authority.identify(folder.path())).collect();
    assert_eq!(identities[0].certificate, far.identities[0].certificate);
    let shown = |n: usize| knock(far.ports[n], &far.authority, identities.last()).unwrap();
    let new = |n: usize| CertificateDer::from_pem_file(&identities[n].certificate).unwrap().to_vec();
    let began = Instant::now();
    for n in 0..2 {
        while shown(n) != new(n) {
            assert!(began.elapsed() < Duration::from_mins(1), "executor {n} shows the old certificate");
            assert_eq!(run(), before);
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    // Both sides say until when theirs are good.
    let metrics = far.api.client().get(format!("{}/metrics", far.api.health)).send().unwrap().text().unwrap();
    let until = metrics
        .lines()
        .find_map(|line| line.strip_prefix("rulebox_certificate_expiry_timestamp_seconds{certificate=\"executors\"} "));
    assert!(until.is_some_and(|until| until.parse::<i64>().unwrap() > 1_800_000_000), "{metrics}");
    println!("both executors showed new certificates {:?} after they were written", began.elapsed());
    assert_eq!(run(), before);
    // What was connected before is connected anew, by the new ones.
    far.api.signal("TERM");
    let (_, log) = far.api.wait();
    let connected = log.matches(r#""message":"connected""#).count();
    assert!(connected >= 4, "{connected} times\n{log}");
    // The API shows new ones too, those of its own.
    assert!(log.contains("new certificates are in use"), "{log}");
}
