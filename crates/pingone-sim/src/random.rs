//! Ids and secrets, drawn from the environment's randomness.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::environment::SimEnvironment;

/// A random UUID (RFC 9562 §5.4).
pub(crate) fn uuid(environment: &dyn SimEnvironment) -> String {
    let mut bytes: [u8; 16] = bytes(environment);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let n = u128::from_be_bytes(bytes);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        n >> 96,
        n >> 80 & 0xffff,
        n >> 64 & 0xffff,
        n >> 48 & 0xffff,
        n & 0xffff_ffff_ffff
    )
}

/// A secret of 256 bits, in base64url.
pub(crate) fn secret(environment: &dyn SimEnvironment) -> String {
    URL_SAFE_NO_PAD.encode(bytes::<32>(environment))
}

/// A code of six digits.
pub(crate) fn digits(environment: &dyn SimEnvironment) -> String {
    format!("{:06}", u32::from_be_bytes(bytes::<4>(environment)) % 1_000_000)
}

pub(crate) fn bytes<const N: usize>(environment: &dyn SimEnvironment) -> [u8; N] {
    let mut bytes = [0; N];
    environment.fill_random(&mut bytes);
    bytes
}
