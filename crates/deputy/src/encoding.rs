//! How bytes are written as text, and JSON of strangers read.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// `base64url` without padding (RFC 4648 §5).
pub(crate) fn base64url_encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads exactly `N` bytes of canonical `base64url` without padding.
pub(crate) fn base64url_decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    // The length first: a stranger's megabyte is not decoded.
    if text.len() != (N * 4).div_ceil(3) {
        return None;
    }
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// Reads canonical `base64url` without padding of any length.
pub(crate) fn base64url_decode_all(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Reads JSON that a stranger wrote, of no more than about `most` values. A value of two bytes takes hundreds in memory, so
/// a bound on bytes alone bounds nothing; depth is bounded by the parser, to 128.
pub(crate) fn json(bytes: &[u8], most: usize) -> Result<Value, JsonError> {
    if values(bytes) > most {
        return Err(JsonError::TooMany);
    }
    serde_json::from_slice(bytes).map_err(|_| JsonError::Syntax)
}

/// Why JSON is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JsonError {
    /// It is none.
    #[error("it is not JSON")]
    Syntax,
    /// It has more values than anybody needs.
    #[error("it has too many values")]
    TooMany,
}

/// At least as many as there are values: each but the first follows one of these characters. Those in strings do not count.
fn values(json: &[u8]) -> usize {
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

/// For `#[serde(with = …)]`: bytes as `base64url` text.
pub(crate) mod base64url {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

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
        let text = String::deserialize(deserializer)?;
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(D::Error::custom)?;
        T::try_from(bytes).map_err(|_| D::Error::custom("wrong length"))
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
    fn json_of_more_values_than_allowed_is_not_read_and_what_is_in_strings_is_not_counted() {
        let read = |text: &str| json(text.as_bytes(), 8).map(|value| value.to_string());
        assert_eq!(read("[1,2,3,4,5,6]"), Ok("[1,2,3,4,5,6]".to_owned()));
        assert_eq!(read("[1,2,3,4,5,6,7,8,9]"), Err(JsonError::TooMany));
        assert_eq!(read(r#"{"a":{"b":{"c":[]}}}"#), Ok(r#"{"a":{"b":{"c":[]}}}"#.to_owned()));
        assert_eq!(read(r#"{"a":{"b":{"c":{}}},"d":0}"#), Err(JsonError::TooMany));
        let text = r#"["{[,:,\",,,,,,,,\\",1]"#;
        assert_eq!(read(text), Ok(text.to_owned()));
        assert_eq!(read("[1,"), Err(JsonError::Syntax));
    }
}
