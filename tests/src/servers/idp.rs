//! An `OpenID` Connect issuer on loopback: its keys are made here, and its tokens signed with them.

#![expect(clippy::indexing_slicing, reason = "a test harness fails by panicking")]

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

/// A key that an issuer signs with.
#[derive(Debug)]
pub struct Key {
    kid: &'static str,
    algorithm: Algorithm,
    /// What it signs with.
    pub signing: EncodingKey,
    /// As it is published.
    pub jwk: Value,
}

impl Key {
    /// One of Ed25519.
    pub fn ed25519(kid: &'static str) -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let public = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
        let x = URL_SAFE_NO_PAD.encode(public.public_key().as_ref());
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": kid, "x": x});
        Self { kid, algorithm: Algorithm::EdDSA, signing: EncodingKey::from_ed_der(pkcs8.as_ref()), jwk }
    }

    /// One of P-256.
    pub fn p256(kid: &'static str) -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
        // An uncompressed point: 4, x, y.
        let point = pair.public_key().as_ref();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
        let jwk = json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": kid, "x": x, "y": y});
        Self { kid, algorithm: Algorithm::ES256, signing: EncodingKey::from_ec_der(pkcs8.as_ref()), jwk }
    }

    /// A token of these claims.
    pub fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.kid.to_owned()), ..Header::new(self.algorithm) };
        encode(&header, claims, &self.signing).unwrap()
    }
}

/// An issuer: what it publishes can be changed while it runs.
#[derive(Debug)]
pub struct Idp {
    /// Its name, and its address.
    pub issuer: String,
    /// What it publishes.
    pub keys: Arc<Mutex<Vec<Value>>>,
    /// How often it was asked.
    pub asked: Arc<Mutex<u32>>,
    /// Whether it takes requests and answers none.
    pub hangs: Arc<AtomicBool>,
}

impl Idp {
    /// Starts one on a free port; it ends with the runtime.
    pub async fn start(keys: &[&Key]) -> Self {
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

    /// Publishes these keys, and no others.
    pub fn publish(&self, keys: &[&Key]) {
        *self.keys.lock().unwrap() = keys.iter().map(|key| key.jwk.clone()).collect();
    }

    /// Claims that hold, but for these changes.
    pub fn claims(&self, changes: &Value) -> Value {
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

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}
