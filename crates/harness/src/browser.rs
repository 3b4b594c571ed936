//! A scripted browser: cookies, redirects and forms.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use url::{Url, form_urlencoded};

use crate::{html, network::Network};

/// A browser of one user.
#[derive(Clone)]
pub struct Browser {
    network: Network,
    cookies: BTreeMap<(String, String), String>,
}

/// The page of the browser. After a redirect to a URL that no server serves, such as a client's redirect URI, it is
/// empty.
#[derive(Clone, Debug)]
pub struct Page {
    /// The URL of the page.
    pub url: Url,
    /// The status of the response; 204 without a response.
    pub status: StatusCode,
    /// The headers of the response.
    pub headers: HeaderMap,
    /// The body as text.
    pub text: String,
}

impl Page {
    /// The value of a query parameter of the URL.
    pub fn query(&self, name: &str) -> Option<String> {
        self.url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

impl Browser {
    /// A browser without cookies.
    pub fn new(network: Network) -> Self {
        Self { network, cookies: BTreeMap::new() }
    }

    /// Opens `url` as from the address bar, and follows redirects.
    pub async fn open(&mut self, url: &str) -> Page {
        self.open_from(url, "none").await
    }

    /// Opens `url` with this `Sec-Fetch-Site`: `cross-site` for a link on another site, `same-origin` for one on this
    /// site.
    pub async fn open_from(&mut self, url: &str, site: &str) -> Page {
        let url = Url::parse(url).expect("an absolute URL");
        self.go(Method::GET, url, Vec::new(), Bytes::new(), site).await
    }

    /// Fills in the form of `page` and presses the button whose value is `button`.
    pub async fn submit(&mut self, page: &Page, fields: &[(&str, &str)], button: &str) -> Page {
        let form = html::form_with_button(&page.text, button)
            .unwrap_or_else(|| panic!("no button {button:?} at {}:\n{}", page.url, page.text));
        let mut values = form.inputs;
        for (name, value) in fields {
            values.retain(|(held, _)| held != name);
            values.push(((*name).to_owned(), (*value).to_owned()));
        }
        values.push((form.button, button.to_owned()));
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(values).finish();
        let url = page.url.join(&form.action).expect("an action is a URL");
        self.post(url, body, &page.url).await
    }

    /// Posts a form from the page `from`.
    pub async fn post(&mut self, url: Url, body: String, from: &Url) -> Page {
        let same = from.origin() == url.origin();
        let site = if same { "same-origin" } else { "cross-site" };
        // Browsers send `null` under `Referrer-Policy: no-referrer`.
        let origin = if same { "null".to_owned() } else { from.origin().ascii_serialization() };
        let headers = vec![
            (header::CONTENT_TYPE, "application/x-www-form-urlencoded".to_owned()),
            (header::ORIGIN, origin),
        ];
        self.go(Method::POST, url, headers, Bytes::from(body), site).await
    }

    /// The names of the cookies held for `origin`.
    pub fn cookie_names(&self, origin: &str) -> Vec<String> {
        self.cookies.keys().filter(|(held, _)| held == origin).map(|(_, name)| name.clone()).collect()
    }

    /// The value of a cookie held for `origin`.
    pub fn cookie(&self, origin: &str, name: &str) -> Option<&str> {
        self.cookies.get(&(origin.to_owned(), name.to_owned())).map(String::as_str)
    }

    /// Sets a cookie without a response.
    pub fn set_cookie(&mut self, origin: &str, name: &str, value: &str) {
        self.cookies.insert((origin.to_owned(), name.to_owned()), value.to_owned());
    }

    async fn go(
        &mut self,
        mut method: Method,
        mut url: Url,
        mut headers: Vec<(HeaderName, String)>,
        mut body: Bytes,
        site: &str,
    ) -> Page {
        for _ in 0..20 {
            let request = self.request(&method, &url, &headers, &body, site);
            let Ok(response) = self.network.send(request).await else {
                return Page {
                    url,
                    status: StatusCode::NO_CONTENT,
                    headers: HeaderMap::new(),
                    text: String::new(),
                };
            };
            self.keep_cookies(&url, response.headers());
            let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
            let Some(location) = location.filter(|_| response.status().is_redirection()) else {
                let (parts, text) = response.into_parts();
                let text = String::from_utf8_lossy(&text).into_owned();
                return Page { url, status: parts.status, headers: parts.headers, text };
            };
            url = url.join(location).expect("a location is a URL");
            (method, headers, body) = (Method::GET, Vec::new(), Bytes::new());
        }
        panic!("too many redirects, the last to {url}");
    }

    fn request(
        &self,
        method: &Method,
        url: &Url,
        headers: &[(HeaderName, String)],
        body: &Bytes,
        site: &str,
    ) -> http::Request<Bytes> {
        let mut request = http::Request::new(body.clone());
        *request.method_mut() = method.clone();
        let mut without_fragment = url.clone();
        without_fragment.set_fragment(None);
        *request.uri_mut() = without_fragment.as_str().parse().unwrap_or_default();
        let held = request.headers_mut();
        held.insert(header::ACCEPT, HeaderValue::from_static("text/html"));
        held.insert("sec-fetch-site", site.parse().expect("visible ASCII"));
        let origin = url.origin().ascii_serialization();
        let cookies: Vec<_> = self.cookies.iter().filter(|((held, _), _)| *held == origin).collect();
        let cookies = cookies.iter().map(|((_, name), value)| format!("{name}={value}")).collect::<Vec<_>>();
        if !cookies.is_empty() {
            held.insert(header::COOKIE, cookies.join("; ").parse().expect("visible ASCII"));
        }
        for (name, value) in headers {
            held.insert(name, value.parse().expect("visible ASCII"));
        }
        request
    }

    fn keep_cookies(&mut self, url: &Url, headers: &HeaderMap) {
        let origin = url.origin().ascii_serialization();
        for cookie in headers.get_all(header::SET_COOKIE).iter().filter_map(|value| value.to_str().ok()) {
            let mut parts = cookie.split(';').map(str::trim);
            let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { continue };
            let key = (origin.clone(), name.to_owned());
            if parts.any(|attribute| attribute.eq_ignore_ascii_case("max-age=0")) {
                self.cookies.remove(&key);
            } else {
                self.cookies.insert(key, value.to_owned());
            }
        }
    }
}
