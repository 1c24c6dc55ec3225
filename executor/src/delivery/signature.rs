//! Signatures as Standard Webhooks say: HMAC-SHA256 over `id.timestamp.body`, in base64 behind `v1,`
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use rand::RngCore;
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use sha2::Sha256;

/// What signs for one webhook.
#[derive(Debug)]
pub struct SigningSecret(SecretSlice<u8>);

impl SigningSecret {
    /// What its text begins with.
    pub const PREFIX: &str = "whsec_";
    /// Bytes of a new one; the specification wants 24 to 64.
    const BYTES: usize = 32;

    /// A new one.
    pub fn generate() -> Self {
        let mut bytes = vec![0; Self::BYTES];
        rand::rng().fill_bytes(&mut bytes);
        Self(SecretSlice::from(bytes))
    }

    /// One of these bytes.
    pub const fn of(bytes: SecretSlice<u8>) -> Self {
        Self(bytes)
    }

    /// Its bytes, to be closed.
    pub fn bytes(&self) -> &[u8] {
        self.0.expose_secret()
    }

    /// As its owner is shown it, once.
    pub fn text(&self) -> SecretString {
        SecretString::from(format!("{}{}", Self::PREFIX, STANDARD.encode(self.bytes())))
    }

    /// The signature of a message. `timestamp` is in seconds since 1970.
    pub fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        // HMAC fills keys of up to 64 bytes with zeros, which is what the block begins as: this cannot fail.
        let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
        for (to, from) in block.iter_mut().zip(self.bytes()) {
            *to = *from;
        }
        let mut mac = <Hmac<Sha256> as KeyInit>::new(&block);
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body.as_bytes());
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

/// The signatures of all secrets that are in force, as one header has them.
pub fn sign_all(secrets: &[SigningSecret], id: &str, timestamp: i64, body: &str) -> String {
    secrets.iter().map(|secret| secret.sign(id, timestamp, body)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SigningSecret {
        let bytes = STANDARD.decode(text.strip_prefix(SigningSecret::PREFIX).unwrap()).unwrap();
        SigningSecret::of(SecretSlice::from(bytes))
    }

    #[test]
    fn signatures_are_those_of_the_reference_libraries() {
        // The vector of the tests of every `standardwebhooks` library.
        let secret = secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let signed = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn everything_that_is_signed_counts_and_two_secrets_give_two() {
        let secrets = [SigningSecret::generate(), SigningSecret::generate()];
        let [a, b] = &secrets;
        let signed = a.sign("id", 1, "body");
        for other in
            [a.sign("ie", 1, "body"), a.sign("id", 2, "body"), a.sign("id", 1, "bodz"), b.sign("id", 1, "body")]
        {
            assert_ne!(signed, other);
        }
        assert_eq!(sign_all(&secrets, "id", 1, "body"), format!("{signed} {}", b.sign("id", 1, "body")));
    }

    #[test]
    fn a_secret_is_shown_as_the_specification_says_and_never_by_debug() {
        let made = SigningSecret::generate();
        let text = made.text().expose_secret().to_owned();
        assert_eq!(secret(&text).bytes(), made.bytes());
        assert_eq!(made.bytes().len(), 32);
        assert!(!format!("{made:?}").contains(&text[6..]));
    }
}
