//! Against an issuer on loopback.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rulebox_tests::servers::idp::{Idp, Key, now};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;
use crate::domain::tenant::TenantLimits;
use crate::store::contract::change;
use crate::store::sqlite::{OpenOptions, SqliteStore};

/// What is said of an issuer in the settings.
fn settings(idp: &Idp) -> config::Issuer {
    config::Issuer {
        issuer: idp.issuer.clone(),
        audience: vec!["rulebox".to_owned()],
        algorithms: vec!["EdDSA".to_owned(), "ES256".to_owned(), "RS256".to_owned()],
        tenants: vec!["acme".to_owned()],
        ..config::Issuer::default()
    }
}

async fn store(directory: &std::path::Path) -> Arc<SqliteStore> {
    // Whatever of TLS the client brings wants to know with what.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let options = OpenOptions {
        directory: directory.to_path_buf(),
        connections: 1,
        busy: std::time::Duration::from_secs(1),
        survives_power_loss: false,
    };
    let store = SqliteStore::open(&options).await.unwrap();
    for name in ["acme", "other"] {
        store.create_tenant(&TenantName::new(name).unwrap(), &TenantLimits::default(), &change()).await.unwrap();
    }
    Arc::new(store)
}

#[tokio::test]
async fn tokens_that_hold_are_taken_and_all_others_are_not() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path()).await;
    let (ed, ec, stranger) = (Key::ed25519("one"), Key::p256("two"), Key::ed25519("one"));
    let idp = Idp::start(&[&ed, &ec]).await;
    let issuers = Issuers::new(&[settings(&idp)], store.clone(), Arc::default()).unwrap();
    let acme = store.tenant_named(&TenantName::new("acme").unwrap()).await.unwrap();

    for key in [&ed, &ec] {
        let let_in = issuers.authenticate(&key.sign(&idp.claims(&json!({}))), At::now()).await.unwrap();
        assert_eq!((let_in.chain, let_in.roles), (Chain(Some(acme.id)), vec![Role::Author, Role::Engine]));
        assert_eq!(let_in.actor, Actor::user(&idp.issuer, "alice"));
    }
    let as_text = idp.claims(&json!({"roles": "engine  unknown admin", "aud": ["x", "rulebox"]}));
    assert_eq!(issuers.authenticate(&ed.sign(&as_text), At::now()).await.unwrap().roles, [Role::Engine]);

    let refused = [
        ("expired", json!({"exp": now() - 120})),
        ("an end that is a text", json!({"exp": (now() + 600).to_string()})),
        ("without an end", json!({"exp": "absent"})),
        ("not yet", json!({"nbf": now() + 120})),
        ("another audience", json!({"aud": "somebody-else"})),
        ("no audience", json!({"aud": "absent"})),
        ("another issuer", json!({"iss": "https://login.example.com"})),
        ("no issuer", json!({"iss": "absent"})),
        ("nobody", json!({"sub": "absent"})),
        ("an empty name", json!({"sub": ""})),
        ("a tenant that it may not speak for", json!({"tenant": "other"})),
        ("every tenant", json!({"tenant": "*"})),
        ("no tenant, which is the platform", json!({"tenant": "absent", "roles": ["admin"]})),
        ("a tenant that is a number", json!({"tenant": 7})),
    ];
    for (what, changes) in refused {
        let denied = issuers.authenticate(&ed.sign(&idp.claims(&changes)), At::now()).await;
        assert!(matches!(denied, Err(Denied::Invalid)), "{what}: {denied:?}");
    }
    let typed = |typ: Option<&str>, crit: Option<&str>| {
        let (typ, crit) = (typ.map(str::to_owned), crit.map(|name| vec![name.to_owned()]));
        let header = Header { kid: Some("one".to_owned()), typ, crit, ..Header::new(Algorithm::EdDSA) };
        encode(&header, &idp.claims(&json!({})), &ed.signing).unwrap()
    };
    for typ in [None, Some("jwt"), Some("at+jwt"), Some("application/at+JWT")] {
        issuers.authenticate(&typed(typ, None), At::now()).await.unwrap();
    }
    for (typ, crit) in [(Some("logout+jwt"), None), (Some(""), None), (Some("JWT"), Some("exp"))] {
        assert!(
            matches!(issuers.verify(&typed(typ, crit), At::now()).await, Err(TokenError::Kind)),
            "{typ:?} {crit:?}"
        );
    }
    let good = ed.sign(&idp.claims(&json!({})));
    let [head, body, seal]: [&str; 3] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let encode_json = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let forged = [
        ("signed by another key of that name", stranger.sign(&idp.claims(&json!({})))),
        ("alg none", format!("{}.{body}.", encode_json(&json!({"alg": "none", "typ": "JWT"})))),
        ("alg none with a signature", format!("{}.{body}.{seal}", encode_json(&json!({"alg": "none"})))),
        ("no signature", format!("{head}.{body}.")),
        ("another body", format!("{head}.{}.{seal}", encode_json(&idp.claims(&json!({"sub": "mallory"}))))),
        ("too long", format!("{good}{}", "A".repeat(MOST_BYTES))),
        ("nothing", String::new()),
        ("dots", "..".to_owned()),
    ];
    for (what, token) in forged {
        let denied = issuers.authenticate(&token, At::now()).await;
        assert!(matches!(denied, Err(Denied::Invalid)), "{what}: {denied:?}");
    }
    // The public key is no shared secret.
    let secret = EncodingKey::from_secret(ed.jwk["x"].as_str().unwrap().as_bytes());
    for algorithm in [Algorithm::HS256, Algorithm::HS512] {
        let header = Header { kid: Some("one".to_owned()), ..Header::new(algorithm) };
        let token = encode(&header, &idp.claims(&json!({})), &secret).unwrap();
        assert!(matches!(issuers.verify(&token, At::now()).await, Err(TokenError::Algorithm)));
    }
    // The time is the caller's to say, whatever the machine's clock shows.
    let (before, after) = (At::now().0 - 3_600_000, At::now().0 + 3_600_000);
    let early = ed.sign(&idp.claims(&json!({"exp": now() - 1_800, "nbf": now() - 7_200})));
    assert!(issuers.authenticate(&early, At(before)).await.is_ok());
    assert!(matches!(issuers.authenticate(&early, At(before - 7_200_000)).await, Err(Denied::Invalid)));
    assert!(matches!(issuers.authenticate(&good, At(after)).await, Err(Denied::Invalid)));
    store.set_suspended(acme.id, true, &change()).await.unwrap();
    assert!(matches!(issuers.authenticate(&good, At::now()).await, Err(Denied::Invalid)));
}

#[tokio::test]
async fn a_new_key_is_found_and_one_that_is_gone_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path()).await;
    let (old, new) = (Key::ed25519("old"), Key::p256("new"));
    let idp = Idp::start(&[&old]).await;
    let issuer = config::Issuer { refresh_seconds: 1, ..settings(&idp) };
    let issuers = Issuers::new(&[issuer], store, Arc::default()).unwrap();
    let claims = idp.claims(&json!({}));
    issuers.authenticate(&old.sign(&claims), At::now()).await.unwrap();
    idp.publish(&[&old, &new]);
    // The issuer is not asked for every token that names a key which is not known.
    let asked = *idp.asked.lock().unwrap();
    for _ in 0..50 {
        assert!(issuers.authenticate(&new.sign(&claims), At::now()).await.is_err());
    }
    assert_eq!(*idp.asked.lock().unwrap(), asked);
    let wait_until = async |what: &str, key: &Key, let_in: bool| {
        let began = std::time::Instant::now();
        while issuers.authenticate(&key.sign(&claims), At::now()).await.is_ok() != let_in {
            assert!(began.elapsed() < std::time::Duration::from_mins(1), "{what}");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        println!("{what} after {:?}", began.elapsed());
    };
    wait_until("the new key is taken", &new, true).await;
    idp.publish(&[&new]);
    wait_until("the old key is refused", &old, false).await;
    issuers.authenticate(&new.sign(&claims), At::now()).await.unwrap();
}

#[tokio::test]
async fn an_issuer_that_hangs_holds_up_nobody_whose_key_is_known() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path()).await;
    let key = Key::ed25519("one");
    let idp = Idp::start(&[&key]).await;
    let issuer = config::Issuer { refresh_seconds: 1, ..settings(&idp) };
    let issuers = Arc::new(Issuers::new(&[issuer], store, Arc::default()).unwrap());
    let token = key.sign(&idp.claims(&json!({})));
    issuers.authenticate(&token, At::now()).await.unwrap();
    idp.hangs.store(true, Ordering::SeqCst);
    let asked = *idp.asked.lock().unwrap();
    let waiting = tokio::spawn({
        let (issuers, token) = (Arc::clone(&issuers), token.clone());
        async move {
            // Until one of them asks.
            loop {
                issuers.authenticate(&token, At::now()).await.unwrap();
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        }
    });
    while *idp.asked.lock().unwrap() == asked {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let began = std::time::Instant::now();
    for _ in 0..100 {
        issuers.authenticate(&token, At::now()).await.unwrap();
    }
    println!("100 tokens took {:?} beside an issuer that hangs", began.elapsed());
    assert_eq!(*idp.asked.lock().unwrap(), asked + 1, "none of them waited for it to give up");
    waiting.abort();
}

#[tokio::test]
async fn an_rsa_key_has_2048_bits_or_is_none() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path()).await;
    let key = Key::ed25519("one");
    let idp = Idp::start(&[]).await;
    let head = URL_SAFE_NO_PAD.encode(json!({"alg": "RS256", "kid": "rsa"}).to_string());
    let body = key.sign(&idp.claims(&json!({}))).split('.').nth(1).unwrap().to_owned();
    let token = format!("{head}.{body}.{}", URL_SAFE_NO_PAD.encode([1; 256]));
    for (bytes, is_key) in [(128, false), (255, false), (256, true)] {
        // Zeros before a number do not make it longer.
        let modulus = [vec![0; 300 - bytes], vec![0xff; bytes]].concat();
        let modulus = URL_SAFE_NO_PAD.encode(modulus);
        *idp.keys.lock().unwrap() = vec![json!({"kty": "RSA", "kid": "rsa", "use": "sig", "n": modulus, "e": "AQAB"})];
        let issuers = Issuers::new(&[settings(&idp)], store.clone(), Arc::default()).unwrap();
        let refused = issuers.verify(&token, At::now()).await.unwrap_err();
        assert_eq!(matches!(refused, TokenError::Invalid(_)), is_key, "{bytes}: {refused}");
        assert_eq!(matches!(refused, TokenError::UnknownKey), !is_key, "{bytes}: {refused}");
    }
}

#[tokio::test]
async fn roles_of_the_platform_are_for_an_issuer_that_may_speak_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path()).await;
    let key = Key::ed25519("one");
    let idp = Idp::start(&[&key]).await;
    let issuer = config::Issuer { platform: true, tenants: vec!["*".to_owned()], ..settings(&idp) };
    let issuers = Issuers::new(&[issuer], store, Arc::default()).unwrap();
    let claims = idp.claims(&json!({"tenant": "absent", "roles": ["admin", "author"]}));
    let let_in = issuers.authenticate(&key.sign(&claims), At::now()).await.unwrap();
    assert_eq!((let_in.chain, let_in.roles), (Chain(None), vec![Role::Admin]));
    let claims = idp.claims(&json!({"tenant": "other", "roles": ["admin", "author"]}));
    assert_eq!(issuers.authenticate(&key.sign(&claims), At::now()).await.unwrap().roles, [Role::Author]);
    let claims = idp.claims(&json!({"tenant": "nobody"}));
    assert!(matches!(issuers.authenticate(&key.sign(&claims), At::now()).await, Err(Denied::Invalid)));
}

#[tokio::test]
async fn an_issuer_that_is_away_is_no_fault_of_the_callers() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path()).await;
    let key = Key::ed25519("one");
    let idp = Idp::start(&[]).await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let issuer = config::Issuer { issuer: format!("http://{closed}"), ..settings(&idp) };
    let issuers = Issuers::new(std::slice::from_ref(&issuer), store.clone(), Arc::default()).unwrap();
    let token = key.sign(&idp.claims(&json!({ "iss": issuer.issuer })));
    for _ in 0..3 {
        assert!(matches!(issuers.authenticate(&token, At::now()).await, Err(Denied::Issuer(_))));
    }
    for (change, said) in [
        (config::Issuer { audience: Vec::new(), ..issuer.clone() }, "`audience` names at least one"),
        (config::Issuer { algorithms: vec!["HS256".to_owned()], ..issuer.clone() }, "HS256 is none of"),
        (config::Issuer { algorithms: Vec::new(), ..issuer.clone() }, "`algorithms` names at least one"),
        (config::Issuer { issuer: "http://login.example.com".to_owned(), ..issuer.clone() }, "not an https address"),
    ] {
        let error = Issuers::new(&[change], store.clone(), Arc::default()).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    let twice = Issuers::new(&[issuer.clone(), issuer], store, Arc::default()).unwrap_err().to_string();
    assert!(twice.contains("twice"), "{twice}");
}
