//! Parameters of a request (OAuth 2.1 §3.1, §3.2): one without a value is as if omitted, and none may stand twice.

use url::form_urlencoded;
use zeroize::Zeroizing;

/// Decoded `application/x-www-form-urlencoded` pairs, of a query or a body. Some are secrets, and all are wiped.
pub struct Params(Vec<(String, Zeroizing<String>)>);

/// A parameter stands more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeated;

impl Params {
    /// Decodes a query or a form. Every input decodes to something. A parameter without a value is dropped here, so that
    /// no reader can take it for a value or for a repetition (OAuth 2.1 §3.1).
    pub fn decode(text: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(text).into_owned().filter(|(_, value)| !value.is_empty());
        Self(pairs.map(|(name, value)| (name, Zeroizing::new(value))).collect())
    }

    /// The value of `name`.
    pub fn one(&self, name: &str) -> Result<Option<&str>, Repeated> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            (_, Some(_)) => Err(Repeated),
        }
    }

    /// Every value of `name`, in order.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_that_stands_twice_is_repeated_even_with_the_same_value() {
        let params = Params::decode(b"a=1&b=%20x&b=%20x&c=");
        assert_eq!(params.one("a"), Ok(Some("1")));
        assert_eq!(params.one("b"), Err(Repeated));
        assert_eq!(params.one("c"), Ok(None));
        assert_eq!(params.one("d"), Ok(None));
    }

    #[test]
    fn a_parameter_without_a_value_is_as_if_omitted() {
        let params = Params::decode(b"a=&a=x&a&b=x&b=&c=&c=&d");
        assert_eq!(params.one("a"), Ok(Some("x")));
        assert_eq!(params.one("b"), Ok(Some("x")));
        assert_eq!((params.one("c"), params.one("d")), (Ok(None), Ok(None)));
        assert_eq!(params.all("c").count(), 0);
    }
}
