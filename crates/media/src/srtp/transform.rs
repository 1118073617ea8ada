//! AES in counter mode (RFC 3711 §4.1.1) and HMAC-SHA1 (RFC 3711 §4.2.1) under the keys of one direction.

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use hmac::{Hmac, Mac};
use sha1::Sha1;

use super::derivation::{AUTHENTICATION_KEY, Label, derive};
use super::key::{KEY, MasterKey, SALT};

/// Blocks of keystream made at once: as many as the processor works on side by side.
const PARALLEL: usize = 8;

/// The keys of RTP or of RTCP, ready for use.
#[derive(Clone)]
pub(super) struct Transform {
    cipher: Aes128,
    salt: [u8; SALT],
    mac: Hmac<Sha1>,
}

impl Transform {
    pub(super) fn rtp(master: &MasterKey) -> Self {
        Transform::new(
            derive(master, Label::RtpEncryption),
            derive(master, Label::RtpSalt),
            derive(master, Label::RtpAuthentication),
        )
    }

    pub(super) fn rtcp(master: &MasterKey) -> Self {
        Transform::new(
            derive(master, Label::RtcpEncryption),
            derive(master, Label::RtcpSalt),
            derive(master, Label::RtcpAuthentication),
        )
    }

    fn new(key: [u8; KEY], salt: [u8; SALT], authentication: [u8; AUTHENTICATION_KEY]) -> Self {
        Transform {
            cipher: Aes128::new(&key.into()),
            salt,
            mac: Hmac::new_from_slice(&authentication).expect("HMAC takes keys of every length"),
        }
    }

    /// Encrypts, or decrypts: the same in counter mode. `index` is that of the packet, 48 bits.
    pub(super) fn crypt(&self, ssrc: u32, index: u64, bytes: &mut [u8]) {
        let mut counter = [0; KEY];
        counter[..SALT].copy_from_slice(&self.salt);
        // RFC 3711 §4.1.1: IV = (salt · 2^16) XOR (SSRC · 2^64) XOR (index · 2^16)
        let mixed = u128::from(ssrc) << 64 ^ u128::from(index) << 16;
        let start = u128::from_be_bytes(counter) ^ mixed;
        let mut count = 0u128;
        for part in bytes.chunks_mut(KEY * PARALLEL) {
            let mut blocks = [aes::Block::default(); PARALLEL];
            let used = part.len().div_ceil(KEY);
            for block in &mut blocks[..used] {
                *block = (start + count).to_be_bytes().into();
                count += 1;
            }
            self.cipher.encrypt_blocks(&mut blocks[..used]);
            for (bytes, block) in part.chunks_mut(KEY).zip(&blocks) {
                for (byte, key) in bytes.iter_mut().zip(block) {
                    *byte ^= key;
                }
            }
        }
    }

    /// The authentication tag of `bytes` followed by `more` (RFC 3711 §4.2: the packet and its rollover counter).
    pub(super) fn tag(&self, bytes: &[u8], more: &[u8]) -> [u8; 20] {
        self.keyed(bytes, more).finalize().into_bytes().into()
    }

    /// True when `tag` is the left part of the tag, in constant time.
    pub(super) fn verify(&self, bytes: &[u8], more: &[u8], tag: &[u8]) -> bool {
        self.keyed(bytes, more).verify_truncated_left(tag).is_ok()
    }

    fn keyed(&self, bytes: &[u8], more: &[u8]) -> Hmac<Sha1> {
        let mut mac = self.mac.clone();
        mac.update(bytes);
        mac.update(more);
        mac
    }
}

impl std::fmt::Debug for Transform {
    /// Never shows keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transform").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3711 §B.2: the keystream of AES in counter mode, its first three blocks and those around 0xFEFF.
    #[test]
    fn the_keystream_is_that_of_appendix_b() {
        let hex = |text: &str| -> Vec<u8> {
            (0..text.len() / 2)
                .map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).expect("hex digits"))
                .collect()
        };
        let key: [u8; KEY] = hex("2B7E151628AED2A6ABF7158809CF4F3C")
            .try_into()
            .expect("16 bytes");
        let salt: [u8; SALT] = hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD").try_into().expect("14 bytes");
        let transform = Transform::new(key, salt, [0; AUTHENTICATION_KEY]);
        let mut stream = vec![0; 16 * 0xff02];
        transform.crypt(0, 0, &mut stream);
        assert_eq!(
            stream[..48],
            hex(
                "E03EAD0935C95E80E166B16DD92B4EB4D23513162B02D0F72A43A2FE4A5F97AB41E95B3BB0A2E8DD477901E4FCA894C0"
            )
        );
        assert_eq!(
            stream[16 * 0xfeff..],
            hex(
                "EC8CDF7398607CB0F2D21675EA9EA1E4362B7C3C6773516318A077D7FC5073AE6A2CC3787889374FBEB4C81B17BA6C44"
            )
        );
    }
}
