//! Parameters of a request (OAuth 2.1 §3.1, §3.2): a parameter without a value counts as omitted, and a parameter must
//! not be repeated.

use url::form_urlencoded;
use zeroize::Zeroizing;

/// The parameters of a query or of a form (`application/x-www-form-urlencoded`). Some are secrets, so all are wiped
/// when dropped.
pub struct Params(Vec<(String, Zeroizing<String>)>);

/// A parameter is repeated (OAuth 2.1 §3.1: parameters must not be included more than once).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeated;

impl Params {
    /// Decodes a query or a form. Malformed input decodes to something, as in browsers. Parameters without a value are
    /// dropped (OAuth 2.1 §3.1: they must be treated as if omitted).
    pub fn decode(text: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(text).into_owned().filter(|(_, value)| !value.is_empty());
        Self(pairs.map(|(name, value)| (name, Zeroizing::new(value))).collect())
    }

    /// The only value of `name`, if there is one.
    pub fn one(&self, name: &str) -> Result<Option<&str>, Repeated> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            (_, Some(_)) => Err(Repeated),
        }
    }

    /// The names of all parameters.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
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
    fn parameter_repeated_with_the_same_value_is_refused() {
        let params = Params::decode(b"a=1&b=%20x&b=%20x&c=");
        assert_eq!(params.one("a"), Ok(Some("1")));
        assert_eq!(params.one("b"), Err(Repeated));
        assert_eq!(params.one("c"), Ok(None));
        assert_eq!(params.one("d"), Ok(None));
    }

    #[test]
    fn parameter_without_a_value_counts_as_omitted() {
        let params = Params::decode(b"a=&a=x&a&b=x&b=&c=&c=&d");
        assert_eq!(params.one("a"), Ok(Some("x")));
        assert_eq!(params.one("b"), Ok(Some("x")));
        assert_eq!((params.one("c"), params.one("d")), (Ok(None), Ok(None)));
        assert_eq!(params.all("c").count(), 0);
    }
}
