//! Parameters of a request, in which a name that matters may stand once (OAuth 2.1 §3.1, §3.2).

use url::form_urlencoded;
use zeroize::Zeroizing;

/// Decoded `application/x-www-form-urlencoded` pairs, of a query or a body. Some are secrets, and all are wiped.
pub struct Params(Vec<(String, Zeroizing<String>)>);

/// A parameter stands more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeated;

impl Params {
    /// Decodes a query or a form. Every input decodes to something.
    pub fn decode(text: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(text).into_owned();
        Self(pairs.map(|(name, value)| (name, Zeroizing::new(value))).collect())
    }

    /// The value of `name`; an empty value counts as absent (OAuth 2.1 §3.1).
    pub fn one(&self, name: &str) -> Result<Option<&str>, Repeated> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (value, None) => Ok(value.filter(|value| !value.is_empty())),
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
}
