//! The pages of a collection.

use std::mem;

use serde_json::Value;
use url::Url;

/// The items of the pages so far, and the next page.
pub(super) struct Pages<'a> {
    pub(super) items: Vec<Value>,
    name: &'a str,
    next: Next,
    read: usize,
}

/// Why a collection is not complete.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Truncated {
    /// The token is for the management API alone.
    #[error("has a next page at another origin")]
    Origin,
    #[error("has more than {PAGES} pages")]
    TooMany,
}

enum Next {
    End,
    Foreign,
    Page(String),
}

impl<'a> Pages<'a> {
    /// The collection at `url`, whose items have this name.
    pub(super) fn of(url: String, name: &'a str) -> Self {
        Self { items: Vec::new(), name, next: Next::Page(url), read: 0 }
    }

    /// The URL of the page to read next. `None`: the items are complete.
    pub(super) fn next(&self) -> Result<Option<String>, Truncated> {
        match &self.next {
            Next::End => Ok(None),
            Next::Foreign => Err(Truncated::Origin),
            Next::Page(_) if self.read == PAGES => Err(Truncated::TooMany),
            Next::Page(url) => Ok(Some(url.clone())),
        }
    }

    /// Adds the page at the URL that [`Pages::next`] returned.
    pub(super) fn add(&mut self, mut page: Value) {
        self.read += 1;
        if let Value::Array(found) = page["_embedded"][self.name].take() {
            self.items.extend(found);
        }
        self.next = match (page["_links"]["next"]["href"].as_str(), mem::replace(&mut self.next, Next::End)) {
            (Some(next), Next::Page(url)) if is_same_origin(next, &url) => Next::Page(next.to_owned()),
            (Some(_), _) => Next::Foreign,
            (None, _) => Next::End,
        };
    }
}

fn is_same_origin(one: &str, other: &str) -> bool {
    let origin = |url: &str| Url::parse(url).ok().map(|url| url.origin());
    origin(one).is_some() && origin(one) == origin(other)
}

/// The longest collection has 20 pages.
const PAGES: usize = 20;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const URL: &str = "https://api.pingone.eu/v1/environments/x/resources";

    /// The outcome of a collection whose pages all name `next`.
    fn endless(next: &str) -> (usize, Result<Option<String>, Truncated>) {
        let mut pages = Pages::of(URL.to_owned(), "resources");
        while let Ok(Some(_)) = pages.next() {
            pages.add(json!({
                "_embedded": { "resources": [{ "id": "1" }] }, "_links": { "next": { "href": next } },
            }));
        }
        (pages.items.len(), pages.next())
    }

    #[test]
    fn collection_of_two_pages_is_complete() {
        let mut pages = Pages::of(URL.to_owned(), "resources");
        let next = format!("{URL}?cursor=2");
        pages.add(json!({ "_embedded": { "resources": [1, 2] }, "_links": { "next": { "href": next } } }));
        assert_eq!(pages.next(), Ok(Some(next)));
        pages.add(json!({ "_embedded": { "resources": [3] } }));
        assert_eq!(pages.next(), Ok(None));
        assert_eq!(pages.items, [1, 2, 3]);
    }

    #[test]
    fn collection_with_too_many_pages_is_an_error() {
        assert_eq!(endless(&format!("{URL}?cursor=2")), (PAGES, Err(Truncated::TooMany)));
    }

    #[test]
    fn token_follows_no_link_to_another_origin() {
        for other in [
            "https://evil.example/",
            "http://api.pingone.eu/",
            "https://api.pingone.eu:444/",
            "/resources",
            "",
        ] {
            assert_eq!(endless(other), (1, Err(Truncated::Origin)), "{other}");
        }
    }
}
