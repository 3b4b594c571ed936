//! The reference of a login, which a user can read to an operator.

use std::{fmt, str::FromStr};

use serde::{Serialize, Serializer};

/// The reference of a login: 40 bits as eight characters, `7KQ2-M4XD`. It gives no access.
///
/// The characters are those of Crockford's Base32, in which no two look or sound alike.
///
/// ```
/// use deputy::types::Reference;
///
/// let reference = Reference::new([0xff, 0x00, 0x00, 0x00, 0x01]);
/// assert_eq!(reference.to_string(), "ZW00-0001");
/// assert_eq!("zwoo-oooi".parse(), Ok(reference));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference(u64);

/// The text is not a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a reference has eight letters and digits, like 7KQ2-M4XD")]
pub struct ReferenceError;

const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

impl Reference {
    /// The reference with these bits.
    pub fn new(bits: [u8; 5]) -> Self {
        Self(bits.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for place in (0..8).rev() {
            let digit = usize::try_from(self.0 >> (5 * place) & 31).unwrap_or_default();
            write!(f, "{}", char::from(DIGITS[digit]))?;
            if place == 4 {
                f.write_str("-")?;
            }
        }
        Ok(())
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    /// Accepts small letters, no hyphen, and letters that look like a digit.
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let mut value = 0;
        let mut length = 0;
        for character in text.bytes().filter(|byte| *byte != b'-') {
            let character = match character.to_ascii_uppercase() {
                b'O' => b'0',
                b'I' | b'L' => b'1',
                other => other,
            };
            let digit = DIGITS.iter().position(|digit| *digit == character).ok_or(ReferenceError)?;
            length += 1;
            if length > 8 {
                return Err(ReferenceError);
            }
            value = value << 5 | u64::try_from(digit).map_err(|_| ReferenceError)?;
        }
        if length == 8 { Ok(Self(value)) } else { Err(ReferenceError) }
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reference_is_read_as_it_is_written() {
        for bits in [[0; 5], [255; 5], [0x12, 0x34, 0x56, 0x78, 0x9a]] {
            let reference = Reference::new(bits);
            assert_eq!(reference.to_string().parse(), Ok(reference));
        }
    }

    #[test]
    fn text_that_is_not_a_reference_is_refused() {
        for text in ["", "7KQ2-M4X", "7KQ2-M4XD0", "7KQ2-M4XU", "7KQ2 M4XD", "ÄÄÄÄ"] {
            assert_eq!(text.parse::<Reference>(), Err(ReferenceError), "{text}");
        }
    }
}
