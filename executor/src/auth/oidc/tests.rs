//! Against an issuer on loopback, whose keys are made here.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::domain::tenant::TenantLimits;
use crate::store::contract::change;
use crate::store::sqlite::{OpenOptions, SqliteStore};

/// A key that an issuer signs with.
struct Key {
    kid: &'static str,
    algorithm: Algorithm,
    signing: EncodingKey,
    jwk: Value,
}

impl Key {
    fn ed25519(kid: &'static str) -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let public = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
        let x = URL_SAFE_NO_PAD.encode(public.public_key().as_ref());
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": kid, "x": x});
        Self { kid, algorithm: Algorithm::EdDSA, signing: EncodingKey::from_ed_der(pkcs8.as_ref()), jwk }
    }

    fn p256(kid: &'static str) -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
        // An uncompressed point: 4, x, y.
        let point = pair.public_key().as_ref();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
        let jwk = json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": kid, "x": x, "y": y});
        Self { kid, algorithm: Algorithm::ES256, signing: EncodingKey::from_ec_der(pkcs8.as_ref()), jwk }
    }

    fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.kid.to_owned()), ..Header::new(self.algorithm) };
        encode(&header, claims, &self.signing).unwrap()
    }
}

/// An issuer: what it publishes can be changed while it runs.
struct Idp {
    issuer: String,
    keys: Arc<Mutex<Vec<Value>>>,
    asked: Arc<Mutex<u32>>,
    hangs: Arc<AtomicBool>,
}

impl Idp {
    async fn start(keys: &[&Key]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let keys = Arc::new(Mutex::new(keys.iter().map(|key| key.jwk.clone()).collect::<Vec<_>>()));
        let asked = Arc::new(Mutex::new(0));
        let hangs = Arc::<AtomicBool>::default();
        let (name, published, count) = (issuer.clone(), Arc::clone(&keys), Arc::clone(&asked));
        let hung = Arc::clone(&hangs);
        tokio::spawn(async move {
            let mut unanswered = Vec::new();
            while let Ok((mut socket, _)) = listener.accept().await {
                if hung.load(Ordering::SeqCst) {
                    *count.lock().unwrap() += 1;
                    unanswered.push(socket);
                    continue;
                }
                let mut head = [0; 2048];
                let read = socket.read(&mut head).await.unwrap_or(0);
                let discovery = String::from_utf8_lossy(&head[..read]).contains("openid-configuration");
                let body = if discovery {
                    *count.lock().unwrap() += 1;
                    json!({"issuer": name, "jwks_uri": format!("{name}/keys")})
                } else {
                    json!({ "keys": *published.lock().unwrap() })
                };
                let body = body.to_string();
                let answer =
                    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
                let _ = socket.write_all(answer.as_bytes()).await;
            }
        });
        Self { issuer, keys, asked, hangs }
    }

    fn publish(&self, keys: &[&Key]) {
        *self.keys.lock().unwrap() = keys.iter().map(|key| key.jwk.clone()).collect();
    }

    fn settings(&self) -> config::Issuer {
        config::Issuer {
            issuer: self.issuer.clone(),
            audience: vec!["rulebox".to_owned()],
            algorithms: vec!["EdDSA".to_owned(), "ES256".to_owned(), "RS256".to_owned()],
            tenants: vec!["acme".to_owned()],
            ..config::Issuer::default()
        }
    }

    /// Claims that hold, but for these changes.
    fn claims(&self, changes: &Value) -> Value {
        let mut claims = json!({
            "iss": self.issuer, "aud": "rulebox", "sub": "alice", "exp": now() + 600, "tenant": "acme",
            "roles": ["author", "engine"],
        });
        for (name, value) in changes.as_object().unwrap() {
            if value == "absent" {
                claims.as_object_mut().unwrap().remove(name);
            } else {
                claims[name] = value.clone();
            }
        }
        claims
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
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
    let issuers = Issuers::new(&[idp.settings()], store.clone(), Arc::default()).unwrap();
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
        issuers.authenticate(&typed(typ, None)).await.unwrap();
    }
    for (typ, crit) in [(Some("logout+jwt"), None), (Some(""), None), (Some("JWT"), Some("exp"))] {
        assert!(matches!(issuers.verify(&typed(typ, crit)).await, Err(TokenError::Kind)), "{typ:?} {crit:?}");
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
    let settings = config::Issuer { refresh_seconds: 1, ..idp.settings() };
    let issuers = Issuers::new(&[settings], store, Arc::default()).unwrap();
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
    let settings = config::Issuer { refresh_seconds: 1, ..idp.settings() };
    let issuers = Arc::new(Issuers::new(&[settings], store, Arc::default()).unwrap());
    let token = key.sign(&idp.claims(&json!({})));
    issuers.authenticate(&token).await.unwrap();
    idp.hangs.store(true, Ordering::SeqCst);
    let asked = *idp.asked.lock().unwrap();
    let waiting = tokio::spawn({
        let (issuers, token) = (Arc::clone(&issuers), token.clone());
        async move {
            // Until one of them asks.
            loop {
                issuers.authenticate(&token).await.unwrap();
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        }
    });
    while *idp.asked.lock().unwrap() == asked {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let began = std::time::Instant::now();
    for _ in 0..100 {
        issuers.authenticate(&token).await.unwrap();
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
        let issuers = Issuers::new(&[idp.settings()], store.clone(), Arc::default()).unwrap();
        let refused = issuers.verify(&token).await.unwrap_err();
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
    let settings = config::Issuer { platform: true, tenants: vec!["*".to_owned()], ..idp.settings() };
    let issuers = Issuers::new(&[settings], store, Arc::default()).unwrap();
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
    let settings = config::Issuer { issuer: format!("http://{closed}"), ..idp.settings() };
    let issuers = Issuers::new(std::slice::from_ref(&settings), store.clone(), Arc::default()).unwrap();
    let token = key.sign(&idp.claims(&json!({ "iss": settings.issuer })));
    for _ in 0..3 {
        assert!(matches!(issuers.authenticate(&token, At::now()).await, Err(Denied::Issuer(_))));
    }
    for (change, said) in [
        (config::Issuer { audience: Vec::new(), ..settings.clone() }, "`audience` names at least one"),
        (config::Issuer { algorithms: vec!["HS256".to_owned()], ..settings.clone() }, "HS256 is none of"),
        (config::Issuer { algorithms: Vec::new(), ..settings.clone() }, "`algorithms` names at least one"),
        (config::Issuer { issuer: "http://login.example.com".to_owned(), ..settings.clone() }, "not an https address"),
    ] {
        let error = Issuers::new(&[change], store.clone(), Arc::default()).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    let twice = Issuers::new(&[settings.clone(), settings], store, Arc::default()).unwrap_err().to_string();
    assert!(twice.contains("twice"), "{twice}");
}
