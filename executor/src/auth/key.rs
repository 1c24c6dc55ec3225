//! The text of an API key: `rbx_live_`, 30 random base62 characters, and 6 of the CRC-32 of all before.
//!
//! Secret scanners find it by its prefix, and a mistyped key is refused by its checksum, without a look-up.

use hmac::{Hmac, Mac};
use rand::Rng;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use super::secret::Derived;

const PREFIX: &str = "rbx_live_";
const RANDOM: usize = 30;
const CHECK: usize = 6;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Random characters that lists show, beside the prefix: 48 bits, too few to help anybody guess the other 131.
const SHOWN: usize = 8;

/// A key in text form: well-formed, with the right checksum.
#[derive(Clone, Debug)]
pub struct ApiKey(SecretString);

impl ApiKey {
    /// A new key, of 178 random bits.
    pub fn generate() -> Self {
        let mut rng = rand::rng();
        let mut text = String::with_capacity(PREFIX.len() + RANDOM + CHECK);
        text.push_str(PREFIX);
        for _ in 0..RANDOM {
            text.push(digit(rng.random_range(0..62)));
        }
        text.push_str(&checksum(&text));
        Self(SecretString::from(text))
    }

    /// The key that a seed makes under a secret: HMAC-SHA256 in counter mode, and of each byte what is below 248, so
    /// that every digit is as likely as another.
    pub fn derived(secret: &Derived, seed: &[u8; 32]) -> Self {
        let mut text = String::with_capacity(PREFIX.len() + RANDOM + CHECK);
        text.push_str(PREFIX);
        let blocks = (0_u64..).map(|counter| {
            let mut mac: Hmac<Sha256> = secret.mac();
            mac.update(b"rulebox key of seed");
            mac.update(seed);
            mac.update(&counter.to_le_bytes());
            <[u8; 32]>::from(mac.finalize().into_bytes())
        });
        let digits = blocks.flatten().filter(|byte| *byte < 248).map(|byte| digit(u32::from(byte)));
        text.extend(digits.take(RANDOM));
        text.push_str(&checksum(&text));
        Self(SecretString::from(text))
    }

    /// Reads a key; `None` if it is not one, or mistyped.
    pub fn parse(text: &str) -> Option<Self> {
        let body = text.strip_prefix(PREFIX)?;
        if body.len() != RANDOM + CHECK || !body.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return None;
        }
        let (signed, check) = text.split_at_checked(PREFIX.len() + RANDOM)?;
        (checksum(signed) == check).then(|| Self(SecretString::from(text)))
    }

    /// The text, to be shown once.
    pub const fn text(&self) -> &SecretString {
        &self.0
    }

    /// What lists show and what it is looked up by: `rbx_live_` and 8 characters.
    pub fn prefix(&self) -> &str {
        let text = self.0.expose_secret();
        text.get(..PREFIX.len() + SHOWN).unwrap_or(text)
    }

    /// HMAC-SHA256 with the pepper: what is kept.
    pub fn hash(&self, pepper: &Derived) -> [u8; 32] {
        let mut mac: Hmac<Sha256> = pepper.mac();
        mac.update(self.0.expose_secret().as_bytes());
        mac.finalize().into_bytes().into()
    }
}

fn digit(value: u32) -> char {
    // The remainder is below 62, the length of the alphabet.
    BASE62.get((value % 62) as usize).copied().map_or('0', char::from)
}

fn checksum(text: &str) -> String {
    let mut rest = crc32(text.as_bytes());
    let mut digits = ['0'; CHECK];
    for place in digits.iter_mut().rev() {
        *place = digit(rest);
        rest /= 62;
    }
    digits.into_iter().collect()
}

/// CRC-32 of ISO 3309 (zlib's), bit by bit: a key is 39 bytes.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            let mask = (crc & 1).wrapping_neg();
            crc = (crc >> 1) ^ (0xedb8_8320 & mask);
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::secret::MasterSecret;

    #[test]
    fn the_checksum_is_zlibs() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(checksum("123456789").len(), CHECK);
    }

    #[test]
    fn a_key_reads_back_and_any_typo_does_not() {
        let key = ApiKey::generate();
        let text = key.text().expose_secret().to_owned();
        assert_eq!(text.len(), 9 + 30 + 6);
        assert_eq!(ApiKey::parse(&text).unwrap().text().expose_secret(), text);
        assert_eq!(key.prefix(), &text[..17]);
        for at in 9..text.len() {
            let mut typo = text.clone().into_bytes();
            typo[at] = if typo[at] == b'a' { b'b' } else { b'a' };
            assert!(ApiKey::parse(&String::from_utf8(typo).unwrap()).is_none(), "typo at {at}");
        }
        for bad in ["", "rbx_live_", &text[1..], &text[..44], &format!("{text}a"), "rbx_live_é"] {
            assert!(ApiKey::parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn keys_differ_and_so_do_hashes_by_pepper() {
        let (a, b) = (ApiKey::generate(), ApiKey::generate());
        let pepper = |secret: &[u8; 32]| MasterSecret::from_bytes(secret).unwrap().derive("key pepper");
        assert_ne!(a.hash(&pepper(&[1; 32])), b.hash(&pepper(&[1; 32])));
        assert_ne!(a.hash(&pepper(&[1; 32])), a.hash(&pepper(&[2; 32])));
        assert_eq!(a.hash(&pepper(&[1; 32])), a.hash(&pepper(&[1; 32])));
    }

    #[test]
    fn a_seed_makes_one_key_under_one_secret() {
        let secret = |byte| MasterSecret::from_bytes(&[byte; 32]).unwrap().derive("key pepper");
        let text = |secret: &Derived, seed| ApiKey::derived(secret, &[seed; 32]).text().expose_secret().to_owned();
        let (one, other) = (secret(1), secret(2));
        assert_eq!(text(&one, 7), text(&one, 7));
        assert_ne!(text(&one, 7), text(&one, 8));
        assert_ne!(text(&one, 7), text(&other, 7));
        assert!(ApiKey::parse(&text(&one, 7)).is_some());
    }

    #[test]
    fn a_key_is_not_shown_by_debug() {
        let key = ApiKey::generate();
        assert!(!format!("{key:?}").contains(key.text().expose_secret()));
    }
}
