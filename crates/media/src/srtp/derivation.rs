//! Session keys from a master key: RFC 3711 §4.3.

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};

use super::key::{KEY, MasterKey, SALT};

/// What a session key is for (RFC 3711 §4.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Label {
    RtpEncryption = 0,
    RtpAuthentication = 1,
    RtpSalt = 2,
    RtcpEncryption = 3,
    RtcpAuthentication = 4,
    RtcpSalt = 5,
}

/// Bytes of a key for HMAC-SHA1.
pub(super) const AUTHENTICATION_KEY: usize = 20;

/// Derives one session key, with a key derivation rate of zero: once, for the whole session.
pub(super) fn derive<const LENGTH: usize>(master: &MasterKey, label: Label) -> [u8; LENGTH] {
    let cipher = Aes128::new(&master.key.into());
    let mut block = [0; KEY];
    block[..SALT].copy_from_slice(&master.salt);
    // RFC 3711 §4.3.1: the label stands left of a 48-bit index, which is zero.
    block[SALT - 7] ^= label as u8;
    let mut key = [0; LENGTH];
    for (count, part) in key.chunks_mut(KEY).enumerate() {
        block[SALT..].copy_from_slice(&(count as u16).to_be_bytes());
        let mut stream = block.into();
        cipher.encrypt_block(&mut stream);
        part.copy_from_slice(&stream[..part.len()]);
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::srtp::Suite;

    /// RFC 3711 §B.3.
    #[test]
    fn keys_are_derived_as_in_appendix_b() {
        let master = MasterKey {
            suite: Suite::AesCm128HmacSha1_80,
            key: hex("E1F97A0D3E018BE0D64FA32C06DE4139"),
            salt: hex("0EC675AD498AFEEBB6960B3AABE6"),
        };
        assert_eq!(
            derive::<16>(&master, Label::RtpEncryption),
            hex("C61E7A93744F39EE10734AFE3FF7A087")
        );
        assert_eq!(
            derive::<14>(&master, Label::RtpSalt),
            hex("30CBBC08863D8C85D49DB34A9AE1")
        );
        assert_eq!(
            derive::<94>(&master, Label::RtpAuthentication),
            hex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA48F0A0ACF3C34E2359E6CDBCE\
                 E049646C43D9327AD175578EF72270986371C10C9A369AC2F94A8C5FBCDDDC25\
                 6D6E919A48B610EF17C2041E474035766B68642C59BBFC2F34DB60DBDFB2")
        );
    }

    fn hex<const LENGTH: usize>(text: &str) -> [u8; LENGTH] {
        std::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).expect("hex digits"))
    }
}
