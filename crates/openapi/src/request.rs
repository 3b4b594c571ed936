//! Requests of a tool: arguments in their places, and nothing else.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, header};
use serde_json::Value;

use crate::{
    body::{self, Body},
    document::Object,
    parameter::{Encoding, Location, Parameter},
    refusal::Refusal,
    schema::{Mismatch, Schema, fit_input},
    style::{Style, StyleError, check_segment, encode, in_header, in_path, in_query, json_in_header},
};

/// The requests of one operation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    pub(crate) method: Method,
    pub(crate) path: Path,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) body: Option<Body>,
    pub(crate) accept: HeaderValue,
    /// Arguments with a fixed value, which no client can send.
    pub(crate) fixed: Vec<(String, Value)>,
    /// The schema of the arguments without the fixed ones.
    pub(crate) arguments: Schema,
}

/// The path of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    segments: Vec<Vec<Part>>,
    /// The names and values of a query that some documents have after a path. They are always sent.
    query: Vec<(String, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// Encoded text.
    Literal(String),
    /// The name of a parameter.
    Parameter(String),
}

/// Why a request cannot be made from arguments. The text is for the model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ArgumentError {
    #[error("The arguments cannot be used: {0}.")]
    Mismatch(Mismatch),
    #[error("The argument {0} cannot be used: it {1}.")]
    Place(String, StyleError),
    #[error("The arguments are too long for a request.")]
    TooLong,
}

impl Path {
    /// Parses a path template (OpenAPI §4.8.2). The text outside of parameters is taken as it is, if it can be.
    ///
    /// Some documents have a fragment after it, which tells operations of one path apart. Clients send no fragments.
    pub(crate) fn parse(template: &str) -> Result<Self, Refusal> {
        let (target, fragment) = template.split_once('#').unwrap_or((template, ""));
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        if [query, fragment].iter().any(|part| part.contains(['{', '}', '?', '#'])) {
            return Err(Refusal::Path("it has a parameter in its query or its fragment"));
        }
        let rest = path.strip_prefix('/').ok_or(Refusal::Path("it does not begin with `/`"))?;
        if template.len() > MAX_HEAD {
            return Err(Refusal::Path("it is too long for a request"));
        }
        if rest.contains('\\') {
            return Err(Refusal::Path("it has a backslash"));
        }
        let mut segments = Vec::new();
        for segment in rest.split('/') {
            let mut parts = Vec::new();
            let mut rest = segment;
            while let Some((literal, after)) = rest.split_once('{') {
                let (name, after) = after.split_once('}').ok_or(Refusal::Path("a `{` has no `}`"))?;
                if name.is_empty() || name.contains('{') {
                    return Err(Refusal::Path("a parameter of it has no name"));
                }
                parts.extend(Part::literal(literal)?);
                parts.push(Part::Parameter(name.to_owned()));
                rest = after;
            }
            parts.extend(Part::literal(rest)?);
            if let [Part::Literal(literal)] = &parts[..] {
                check_segment(literal).map_err(|_| Refusal::Path("it has a segment `.` or `..`"))?;
            }
            segments.push(parts);
        }
        // An empty segment is one of the document: at the end it is the slash after the path.
        let last = segments.len() - 1;
        if segments.iter().take(last).any(Vec::is_empty) {
            return Err(Refusal::Path("it has an empty segment"));
        }
        Ok(Self {
            segments,
            query: query.split('&').filter(|pair| !pair.is_empty()).map(pair).collect::<Result<_, _>>()?,
        })
    }

    /// The names in the query after the path.
    pub(crate) fn query_names(&self) -> impl Iterator<Item = &str> {
        self.query.iter().map(|(name, _)| name.as_str())
    }

    /// The names of the parameters in it.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().flatten().filter_map(|part| match part {
            Part::Literal(_) => None,
            Part::Parameter(name) => Some(name.as_str()),
        })
    }
}

/// A pair of the query after a path.
fn pair(text: &str) -> Result<(String, String), Refusal> {
    let decoded = |text: &str| {
        let text = text.replace('+', " ");
        let decoded = percent_encoding::percent_decode_str(&text).decode_utf8();
        decoded.ok().filter(|text| !text.contains(char::is_control)).map(String::from)
    };
    let (name, value) = text.split_once('=').ok_or(Refusal::Path("its query has a name without a value"))?;
    decoded(name).zip(decoded(value)).ok_or(Refusal::Path("its query is not text"))
}

impl Part {
    fn literal(text: &str) -> Result<Option<Self>, Refusal> {
        if text.contains('}') {
            return Err(Refusal::Path("a `}` has no `{`"));
        }
        // A path may be encoded already.
        let decoded = percent_encoding::percent_decode_str(text)
            .decode_utf8()
            .map_err(|_| Refusal::Path("it is not UTF-8"))?;
        if decoded.chars().any(|c| matches!(c, '/' | '\\' | '%') || c.is_control()) {
            return Err(Refusal::Path("it has an encoded separator"));
        }
        let keep =
            |c: char| matches!(c, ':' | '@' | '!' | '$' | '&' | '(' | ')' | '*' | '+' | ',' | '=' | ';');
        let encoded: String =
            decoded.chars().map(|c| if keep(c) { c.to_string() } else { encode(&c.to_string()) }).collect();
        Ok(Some(Self::Literal(encoded)).filter(|_| !text.is_empty()))
    }
}

impl Plan {
    /// The request that arguments make after [`fit`](Self::fit). Its URI is a path below `API_URL`.
    pub(crate) fn request(&self, arguments: &Object) -> Result<Request<Bytes>, ArgumentError> {
        let in_path = self.path.query.iter();
        let mut query: Vec<_> =
            in_path.map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        let mut headers = Vec::new();
        for parameter in &self.parameters {
            let Some(value) = arguments.get(&parameter.argument) else { continue };
            let unplaced = |error| ArgumentError::Place(parameter.argument.clone(), error);
            match (parameter.location, &parameter.encoding) {
                (Location::Path, _) => {}
                (Location::Query, Encoding::Json) => {
                    query.push(format!("{}={}", encode(&parameter.name), encode(&value.to_string())));
                }
                (Location::Query, Encoding::Style { style, explode, declared }) => {
                    let pairs = in_query(&parameter.name, value, *style, *explode, Some(declared))
                        .map_err(unplaced)?;
                    // A change of all that an empty list selects would be a change of everything.
                    if pairs.is_empty() && (parameter.is_required || self.method != Method::GET) {
                        return Err(unplaced(StyleError::Empty));
                    }
                    query.extend(pairs);
                }
                (Location::Header, encoding) => {
                    let text = match encoding {
                        Encoding::Json => json_in_header(value),
                        Encoding::Style { explode, .. } => in_header(value, *explode),
                    };
                    let unplaced_header = |_| unplaced(StyleError::Header);
                    let name =
                        HeaderName::try_from(&parameter.name).map_err(|_| unplaced(StyleError::Header))?;
                    let text = text.map_err(unplaced)?;
                    headers.push((name, HeaderValue::try_from(text).map_err(unplaced_header)?));
                }
            }
        }
        let mut target = self.path(arguments)?;
        if !query.is_empty() {
            target = format!("{target}?{}", query.join("&"));
        }
        let head: usize = headers.iter().map(|(_, value)| value.len()).sum();
        if target.len() + head > MAX_HEAD {
            return Err(ArgumentError::TooLong);
        }
        let mut request =
            Request::builder().method(&self.method).uri(target).header(header::ACCEPT, &self.accept);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let mut bytes = Bytes::new();
        if let (Some(body), Some(value)) = (&self.body, arguments.get(body::ARGUMENT)) {
            let unplaced = |error| ArgumentError::Place(body::ARGUMENT.to_owned(), error);
            bytes = body.write(value).map_err(unplaced)?;
            request = request.header(header::CONTENT_TYPE, &body.content_type);
        }
        // The URI was made of encoded parts.
        request.body(bytes).map_err(|_| ArgumentError::TooLong)
    }

    /// The arguments of a client, checked and corrected, and the fixed ones.
    pub(crate) fn fit(&self, mut arguments: Object) -> Result<Object, ArgumentError> {
        // Some models send `null` for an argument that they leave out.
        arguments.retain(|_, value| !value.is_null());
        let mut value = Value::Object(arguments);
        fit_input(&mut value, &self.arguments).map_err(ArgumentError::Mismatch)?;
        let mut arguments = value.as_object_mut().map(std::mem::take).unwrap_or_default();
        arguments.extend(self.fixed.iter().cloned());
        Ok(arguments)
    }

    fn path(&self, arguments: &Object) -> Result<String, ArgumentError> {
        let mut path = String::new();
        for segment in &self.path.segments {
            path.push('/');
            let mut text = String::new();
            let mut argument = None;
            for part in segment {
                match part {
                    Part::Literal(literal) => text += literal,
                    Part::Parameter(name) => {
                        let (named, written) = self.in_path(name, arguments)?;
                        check_key(segment, &text, &written)
                            .map_err(|error| ArgumentError::Place(named.to_owned(), error))?;
                        argument = Some(named);
                        text += &written;
                    }
                }
            }
            if let Some(argument) = argument {
                check_segment(&text).map_err(|error| ArgumentError::Place(argument.to_owned(), error))?;
            }
            path += &text;
        }
        Ok(path)
    }

    /// The argument of a parameter in the path, and its text there.
    fn in_path(&self, name: &str, arguments: &Object) -> Result<(&str, String), ArgumentError> {
        let mut placed = self.parameters.iter().filter(|parameter| parameter.location == Location::Path);
        // The plan was made with all of them, and they are required.
        let missing = || ArgumentError::Place(name.to_owned(), StyleError::Segment);
        let parameter = placed.find(|parameter| parameter.name == name).ok_or_else(missing)?;
        let value = arguments.get(&parameter.argument).ok_or_else(missing)?;
        let written = match &parameter.encoding {
            Encoding::Json => in_path_as_json(value),
            Encoding::Style { style, explode, declared } => in_path(name, value, *style, *explode, declared),
        };
        let argument = parameter.argument.as_str();
        written.map(|text| (argument, text)).map_err(|error| ArgumentError::Place(argument.to_owned(), error))
    }
}

/// Refuses a value in a segment such as `Items('{id}')` or `report(user={user})` (`OData` URL Conventions §4.3) that could end its
/// place there. Servers decode such a segment before they read its parts.
fn check_key(segment: &[Part], before: &str, written: &str) -> Result<(), StyleError> {
    let has = |text: &str| {
        segment.iter().any(|part| matches!(part, Part::Literal(literal) if literal.contains(text)))
    };
    let delimiters: &[char] = match (has("("), has("%27")) {
        (true, _) if !before.ends_with("%27") => &['\'', '(', ')', ',', '='],
        (true, _) | (_, true) => &['\''],
        (false, false) => &[],
    };
    match delimiters.iter().find(|c| written.contains(&encode(&c.to_string()))) {
        Some(delimiter) => Err(StyleError::Separator(*delimiter)),
        None => Ok(()),
    }
}

fn in_path_as_json(value: &Value) -> Result<String, StyleError> {
    in_path("", &Value::String(value.to_string()), Style::Simple, false, &[])
}

/// Bytes of the target and of the headers of a request.
const MAX_HEAD: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_that_could_leave_the_api_is_refused() {
        for path in [
            "invoices",
            "",
            "/a/../b",
            "/..",
            "/%2e%2e/a",
            "/a%2fb",
            "/a//b",
            "/a\\b",
            "/a?b",
            "/a?b=%00",
            "/a?b={c}",
            "/a{?b}",
            "/a?b=c?d",
            "/a#{b}",
            "/{a",
            "/a}",
            "//evil.example/a",
            "/a%00",
            "/%ff",
            "/./a",
            "/{}",
            "/{a{b}}",
            &format!("/{}", "a".repeat(9000)),
        ] {
            assert!(matches!(Path::parse(path), Err(Refusal::Path(_))), "{path}");
        }
        for path in [
            "/",
            "/a/",
            "/a/{b}.json",
            "/{a}/{b}",
            "/v1/things:batch",
            "/a b",
            "/Items('{id}')",
            "/a?b=c",
            "/a#b",
        ] {
            assert!(Path::parse(path).is_ok(), "{path}");
        }
    }
}
