//! The account's keys and the four hashes of the product (design section 6). Pure.
//! May touch: nothing but its arguments.

use std::fmt;

use hmac::{Hmac, Mac};
use md5::Md5;
use sha2::{Digest, Sha256, Sha512};
use subtle::{Choice, ConstantTimeEq};

/// How a key signs. Only HMAC is a keyed hash; the other three are `hash(message ‖ key)`, kept because clients use
/// them. For those a collision of the bare hash is a forgery, which for MD5 is within anybody's reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// The default of new keys.
    HmacSha256,
    /// `sha256(message ‖ key)`.
    Sha256,
    /// `sha512(message ‖ key)`.
    Sha512,
    /// `md5(message ‖ key)`: the `crc` of the flat form, and a legacy of the other one.
    Md5,
}

impl Algorithm {
    /// The algorithm of this name. The product writes `sha-512` where this extension prints `sha512`; both are read.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "hmac-sha256" => Some(Self::HmacSha256),
            "sha256" => Some(Self::Sha256),
            "sha512" | "sha-512" => Some(Self::Sha512),
            "md5" => Some(Self::Md5),
            _ => None,
        }
    }

    /// The name as the key table and the documentation have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::HmacSha256 => "hmac-sha256",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
            Self::Md5 => "md5",
        }
    }

    /// The signature of a message, as bytes; nothing if the key cannot be used, which no key length causes.
    pub(super) fn sign(self, secret: &str, message: &[u8]) -> Vec<u8> {
        match self {
            Self::HmacSha256 => Hmac::<Sha256>::new_from_slice(secret.as_bytes()).map_or_else(
                |_| Vec::new(),
                |mac| mac.chain_update(message).finalize().into_bytes().to_vec(),
            ),
            Self::Sha256 => suffixed::<Sha256>(secret, message),
            Self::Sha512 => suffixed::<Sha512>(secret, message),
            Self::Md5 => suffixed::<Md5>(secret, message),
        }
    }
}

fn suffixed<D: Digest>(secret: &str, message: &[u8]) -> Vec<u8> {
    D::new()
        .chain_update(message)
        .chain_update(secret.as_bytes())
        .finalize()
        .to_vec()
}

/// One private key of the account, used as its text (the product's `str(private_key)`), never decoded from hex.
#[derive(Clone, Copy)]
pub struct Key<'a> {
    /// How it signs; the object has no say in it.
    pub algorithm: Algorithm,
    /// The key itself.
    pub secret: &'a str,
}

impl Key<'_> {
    /// Whether this key signed the message, in a time that does not depend on where the two hashes differ.
    /// An empty key signs nothing: everybody has it.
    pub(super) fn signed(&self, message: &[u8], claimed: &[u8]) -> Choice {
        let usable = Choice::from(u8::from(!self.secret.is_empty()));
        let computed = self.algorithm.sign(self.secret, message);
        computed.ct_eq(claimed) & usable & Choice::from(u8::from(!claimed.is_empty()))
    }
}

/// Without the secret, so that no log can have it.
impl fmt::Debug for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// The bytes of a hexadecimal text in either case; `None` for anything else.
pub(super) fn from_hex(text: &str) -> Option<Vec<u8>> {
    // No hash is longer than 64 bytes: nothing longer is worth reading.
    if !text.len().is_multiple_of(2) || text.len() > 128 {
        return None;
    }
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| {
            pair.iter().try_fold(0_u8, |byte, &digit| {
                let nibble = char::from(digit).to_digit(16)?;
                Some((byte << 4) | u8::try_from(nibble).ok()?)
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_algorithm_is_found_by_its_name_and_by_the_spelling_of_the_product() {
        for algorithm in [
            Algorithm::HmacSha256,
            Algorithm::Sha256,
            Algorithm::Sha512,
            Algorithm::Md5,
        ] {
            assert_eq!(Algorithm::from_name(algorithm.name()), Some(algorithm));
        }
        assert_eq!(Algorithm::from_name("sha-512"), Some(Algorithm::Sha512));
        for unknown in ["", "SHA256", "sha-256", "hmac", "sha1", "none"] {
            assert_eq!(Algorithm::from_name(unknown), None, "{unknown}");
        }
    }

    // RFC 4231, test case 2; FIPS 180 and RFC 1321, "abc" (the key is its end).
    #[test]
    fn the_hashes_are_those_of_the_standards() {
        for (algorithm, secret, message, start) in [
            (
                Algorithm::HmacSha256,
                "Jefe",
                "what do ya want for nothing?",
                "5bdcc146bf60754e",
            ),
            (Algorithm::Sha256, "c", "ab", "ba7816bf8f01cfea"),
            (Algorithm::Sha512, "c", "ab", "ddaf35a193617aba"),
            (Algorithm::Md5, "c", "ab", "900150983cd24fb0"),
        ] {
            let signature = algorithm.sign(secret, message.as_bytes());
            assert!(
                signature.starts_with(&from_hex(start).unwrap()),
                "{algorithm:?}"
            );
        }
    }

    #[test]
    fn a_key_is_never_printed() {
        let key = Key {
            algorithm: Algorithm::Md5,
            secret: "hunter2",
        };
        assert_eq!(format!("{key:?}"), "Key { algorithm: Md5, .. }");
    }

    #[test]
    fn hex_is_read_in_either_case_and_nothing_else_is() {
        assert_eq!(from_hex("00fFa9"), Some(vec![0, 0xff, 0xa9]));
        assert_eq!(from_hex(""), Some(Vec::new()));
        for wrong in ["0", "0g", "+1", " 00", "0x00", "é", "ав", &"0".repeat(130)] {
            assert_eq!(from_hex(wrong), None, "{wrong}");
        }
    }
}
