//! A wrapper for values that must not appear in logs, pages and errors.

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

/// A secret value. It is redacted in `Debug`, cannot be displayed, compared or serialized, and is wiped when dropped.
///
/// [`Secret::expose`] is the only access to the value, so its calls are the places to review.
///
/// ```
/// use deputy::secret::Secret;
///
/// let secret = Secret::new("correct horse battery staple".to_owned());
/// assert_eq!(format!("{secret:?}"), "[redacted]");
/// assert_eq!(secret.expose(), "correct horse battery staple");
/// ```
#[derive(Clone)]
pub struct Secret<T: Zeroize>(Zeroizing<T>);

impl<T: Zeroize> Secret<T> {
    /// Wraps a value.
    pub fn new(value: T) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The value. It must not be logged, displayed or stored as it is.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_is_redacted_in_debug_output() {
        assert_eq!(format!("{:?}", Secret::new("hunter2".to_owned())), "[redacted]");
    }
}
