//! Hexadecimal, base64 and base64url, credentials of `Authorization` headers, and JSON from unauthenticated clients.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::Value;
use zeroize::Zeroizing;

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits.map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])).collect()
}

/// Decodes exactly `N` bytes from lower-case hexadecimal.
pub(crate) fn unhex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

/// `base64` with padding (RFC 4648 §4).
pub(crate) fn base64_encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Decodes canonical `base64` with padding (RFC 4648 §4).
pub(crate) fn base64_decode(text: &[u8]) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// The credentials in an `Authorization` header with this scheme, which may be empty (RFC 9110 §11.4). `None` for another scheme.
pub(crate) fn credentials<'a>(header: &'a [u8], scheme: &str) -> Option<&'a [u8]> {
    let (named, credentials) = header.trim_ascii().split_at_checked(scheme.len())?;
    let is_separated = credentials.first().is_none_or(u8::is_ascii_whitespace);
    (is_separated && named.eq_ignore_ascii_case(scheme.as_bytes())).then(|| credentials.trim_ascii())
}

/// The user id and the password in the credentials of the scheme Basic (RFC 7617 §2).
pub(crate) fn decode_basic(credentials: &[u8]) -> Option<(Vec<u8>, Zeroizing<Vec<u8>>)> {
    if credentials.len() > LONGEST_BASIC {
        return None;
    }
    let pair = Zeroizing::new(base64_decode(credentials)?);
    let colon = pair.iter().position(|byte| *byte == b':')?;
    Some((pair[..colon].to_vec(), Zeroizing::new(pair[colon + 1..].to_vec())))
}

/// Bytes of the credentials in a Basic header: a `client_id` and a secret.
const LONGEST_BASIC: usize = 8192;

/// `base64url` without padding (RFC 4648 §5).
pub(crate) fn base64url_encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Decodes exactly `N` bytes from canonical `base64url` without padding (RFC 4648 §5).
pub(crate) fn base64url_decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    // Check the length first, so that a long text costs no decoding.
    if text.len() != (N * 4).div_ceil(3) {
        return None;
    }
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// Decodes canonical `base64url` without padding, of any length (RFC 4648 §5).
pub(crate) fn base64url_decode_all(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Parses JSON from an unauthenticated client, with at most about `max_values` values. A value of two bytes takes
/// hundreds of bytes in memory, so a bound on the length alone does not bound the memory. The parser limits the depth
/// to 128.
pub(crate) fn json(bytes: &[u8], max_values: usize) -> Result<Value, JsonError> {
    if count_values(bytes) > max_values {
        return Err(JsonError::TooManyValues);
    }
    serde_json::from_slice(bytes).map_err(|_| JsonError::Syntax)
}

/// Why JSON is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JsonError {
    #[error("it is not JSON")]
    Syntax,
    #[error("it has too many values")]
    TooManyValues,
}

/// An upper bound of the number of values: every value but the first follows one of these characters. Characters inside
/// strings are skipped.
fn count_values(json: &[u8]) -> usize {
    let (mut count, mut in_string, mut escaped) = (1, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' | b',' | b':' if !in_string => count += 1,
            _ => {}
        }
    }
    count
}

/// For `#[serde(with = "crate::encoding::base64url")]`: bytes as `base64url` text.
pub(crate) mod base64url {
    use std::{fmt, marker::PhantomData};

    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use serde::{
        Deserializer, Serializer,
        de::{Error, Visitor},
    };

    pub(crate) fn serialize<S: Serializer>(
        bytes: impl AsRef<[u8]>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(bytes))
    }

    pub(crate) fn deserialize<'de, D, T>(deserializer: D) -> Result<T, D::Error>
    where
        D: Deserializer<'de>,
        T: TryFrom<Vec<u8>>,
    {
        deserializer.deserialize_str(Text(PhantomData))
    }

    /// Decodes text where it is, without a copy.
    struct Text<T>(PhantomData<T>);

    impl<T: TryFrom<Vec<u8>>> Visitor<'_> for Text<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("base64url text")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            let bytes = URL_SAFE_NO_PAD.decode(text).map_err(E::custom)?;
            T::try_from(bytes).map_err(|_| E::custom("wrong length"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64url_of_another_length_or_alphabet_is_refused() {
        assert_eq!(base64url_decode::<3>("AQID"), Some([1, 2, 3]));
        assert_eq!(base64url_decode::<3>("AQIDBA"), None);
        assert_eq!(base64url_decode::<3>("AQ/D"), None);
        assert_eq!(base64url_decode::<2>("AQJ"), None, "bits beyond the last byte must be zero");
    }

    #[test]
    fn json_with_too_many_values_outside_strings_is_refused() {
        let read = |text: &str| json(text.as_bytes(), 8).map(|value| value.to_string());
        assert_eq!(read("[1,2,3,4,5,6]"), Ok("[1,2,3,4,5,6]".to_owned()));
        assert_eq!(read("[1,2,3,4,5,6,7,8,9]"), Err(JsonError::TooManyValues));
        assert_eq!(read(r#"{"a":{"b":{"c":[]}}}"#), Ok(r#"{"a":{"b":{"c":[]}}}"#.to_owned()));
        assert_eq!(read(r#"{"a":{"b":{"c":{}}},"d":0}"#), Err(JsonError::TooManyValues));
        let text = r#"["{[,:,\",,,,,,,,\\",1]"#;
        assert_eq!(read(text), Ok(text.to_owned()));
        assert_eq!(read("[1,"), Err(JsonError::Syntax));
    }
}
