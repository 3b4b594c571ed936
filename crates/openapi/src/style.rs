//! Values of parameters in a path, a query or a header (OpenAPI §4.8.12, Style Values; RFC 6570).
//!
//! Every character of a value that has a meaning in a URI is percent-encoded, also where the document says `allowReserved`. The
//! delimiters of a style are the only ones that are not.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::document::Object;

/// `style`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    DeepObject,
    Form,
    Label,
    Matrix,
    PipeDelimited,
    Simple,
    SpaceDelimited,
}

impl Style {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "deepObject" => Self::DeepObject,
            "form" => Self::Form,
            "label" => Self::Label,
            "matrix" => Self::Matrix,
            "pipeDelimited" => Self::PipeDelimited,
            "simple" => Self::Simple,
            "spaceDelimited" => Self::SpaceDelimited,
            _ => return None,
        })
    }
}

/// Why a value cannot be written in its place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StyleError {
    #[error("must not have a member with a bracket in its name")]
    Bracket,
    #[error("must not contain a comma inside an item")]
    Comma,
    #[error("must not contain `{0}`, which separates the items of this list")]
    Delimiter(char),
    #[error("must not be empty, since the request would be made without it")]
    Empty,
    #[error("must be visible ASCII characters, without white space around them")]
    Header,
    #[error("must not be nested: this place takes texts, numbers and lists of them")]
    Nested,
    #[error("must not be empty, `.` or `..`")]
    Segment,
    #[error("must not contain `{0}`, which could change the path")]
    Separator(char),
    #[error("has the member `{0}`, which is not declared")]
    Undeclared(String),
}

/// A value without nesting.
enum Flat {
    Text(String),
    List(Vec<String>),
    Members(Vec<(String, String)>),
}

impl Flat {
    fn of(value: &Value) -> Result<Self, StyleError> {
        Ok(match value {
            Value::Array(items) => Self::List(items.iter().map(text).collect::<Result<_, _>>()?),
            Value::Object(members) => {
                let members = members.iter().filter(|(_, value)| !value.is_null());
                Self::Members(
                    members
                        .map(|(name, value)| Ok((name.clone(), text(value)?)))
                        .collect::<Result<_, _>>()?,
                )
            }
            value => Self::Text(text(value)?),
        })
    }

    /// This value with every text changed by `change`.
    fn map(self, change: impl Fn(&str) -> Result<String, StyleError>) -> Result<Self, StyleError> {
        Ok(match self {
            Self::Text(text) => Self::Text(change(&text)?),
            Self::List(items) => Self::List(items.iter().map(|item| change(item)).collect::<Result<_, _>>()?),
            Self::Members(members) => Self::Members(
                members
                    .iter()
                    .map(|(name, value)| Ok((change(name)?, change(value)?)))
                    .collect::<Result<_, _>>()?,
            ),
        })
    }

    /// Items separated by `separator`, with `=` inside exploded members.
    fn joined(&self, separator: &str, explode: bool) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::List(items) => items.join(separator),
            Self::Members(members) => {
                let inner = if explode { "=" } else { separator };
                let members = members.iter().map(|(name, value)| format!("{name}{inner}{value}"));
                members.collect::<Vec<_>>().join(separator)
            }
        }
    }
}

fn text(value: &Value) -> Result<String, StyleError> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        Value::Array(_) | Value::Null | Value::Object(_) => Err(StyleError::Nested),
    }
}

/// A value in a path. It stays in its segment, however a server decodes the path. An exploded object in the style `matrix` may
/// have the members `declared` alone, since each is a parameter of its own.
pub(crate) fn in_path(
    name: &str,
    value: &Value,
    style: Style,
    explode: bool,
    declared: &[String],
) -> Result<String, StyleError> {
    if let (Value::Object(members), Style::Matrix, true) = (value, style, explode)
        && let Some(other) = members.keys().find(|member| !declared.contains(member))
    {
        return Err(StyleError::Undeclared(other.clone()));
    }
    let flat = Flat::of(value)?.map(|text| match text.chars().find(|c| is_separator(*c)) {
        Some(separator) => Err(StyleError::Separator(separator)),
        None => Ok(encode(text)),
    })?;
    if style == Style::Label && explode {
        without_delimiter(&flat, '.', ".")?;
    }
    Ok(match style {
        Style::Label => format!(".{}", flat.joined(if explode { "." } else { "," }, explode)),
        Style::Matrix => match &flat {
            Flat::List(items) if explode => {
                items.iter().map(|item| format!(";{name}={item}")).collect::<Vec<_>>().concat()
            }
            Flat::Members(members) if explode => {
                members.iter().map(|(name, value)| format!(";{name}={value}")).collect::<Vec<_>>().concat()
            }
            flat => format!(";{name}={}", flat.joined(",", false)),
        },
        _ => flat.joined(",", explode),
    })
}

/// Refuses a segment that a server could remove or take for another one. `segment` is encoded.
pub(crate) fn check_segment(segment: &str) -> Result<(), StyleError> {
    let decoded = percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned();
    // Some servers remove the parameters of a segment (RFC 3986 §3.3) before they resolve `..`.
    let name = decoded.split(';').next().unwrap_or_default().trim();
    if decoded.trim().is_empty() || [".", ".."].contains(&name) { Err(StyleError::Segment) } else { Ok(()) }
}

/// The pairs of a value in a query, or in a form. An exploded object may have the members `declared` alone, since each is a
/// parameter of its own.
pub(crate) fn in_query(
    name: &str,
    value: &Value,
    style: Style,
    explode: bool,
    declared: Option<&[String]>,
) -> Result<Vec<String>, StyleError> {
    let name = encode(name);
    if style == Style::DeepObject {
        let mut pairs = Vec::new();
        deep(&name, value, &mut pairs)?;
        return Ok(pairs);
    }
    if let (Value::Object(members), true) = (value, explode) {
        return exploded(members, declared);
    }
    let flat = Flat::of(value)?.map(|text| Ok(encode(text)))?;
    Ok(match (&flat, explode) {
        (Flat::List(items), true) => items.iter().map(|item| format!("{name}={item}")).collect(),
        (Flat::List(items), _) if items.is_empty() => Vec::new(),
        (flat, _) => {
            let separator = match style {
                Style::PipeDelimited => "%7C",
                Style::SpaceDelimited => "%20",
                _ => ",",
            };
            match style {
                Style::PipeDelimited => without_delimiter(flat, '|', separator)?,
                Style::SpaceDelimited => without_delimiter(flat, ' ', separator)?,
                _ => {}
            }
            vec![format!("{name}={}", flat.joined(separator, false))]
        }
    })
}

/// Refuses an item with the delimiter, which is encoded alike.
fn without_delimiter(flat: &Flat, delimiter: char, encoded: &str) -> Result<(), StyleError> {
    let has_delimiter = match flat {
        Flat::Text(_) => false,
        Flat::List(items) => items.iter().any(|item| item.contains(encoded)),
        Flat::Members(members) => {
            members.iter().any(|(name, value)| name.contains(encoded) || value.contains(encoded))
        }
    };
    if has_delimiter { Err(StyleError::Delimiter(delimiter)) } else { Ok(()) }
}

/// `member=value`; a list is the member several times.
fn exploded(members: &Object, declared: Option<&[String]>) -> Result<Vec<String>, StyleError> {
    let mut pairs = Vec::new();
    for (name, value) in members.iter().filter(|(_, value)| !value.is_null()) {
        if declared.is_some_and(|declared| !declared.contains(name)) {
            return Err(StyleError::Undeclared(name.clone()));
        }
        let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        for value in values {
            pairs.push(format!("{}={}", encode(name), encode(&text(value)?)));
        }
    }
    Ok(pairs)
}

/// `name[member][inner]=value`; items of a list have their index as the member.
fn deep(name: &str, value: &Value, pairs: &mut Vec<String>) -> Result<(), StyleError> {
    match value {
        Value::Object(members) => {
            for (member, value) in members {
                // `a[b][c]` is the member `c` of `b`.
                if member.contains(['[', ']']) {
                    return Err(StyleError::Bracket);
                }
                deep(&format!("{name}%5B{}%5D", encode(member)), value, pairs)?;
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                deep(&format!("{name}%5B{index}%5D"), value, pairs)?;
            }
        }
        Value::Null => {}
        value => pairs.push(format!("{name}={}", encode(&text(value)?))),
    }
    Ok(())
}

/// A value in a header.
pub(crate) fn in_header(value: &Value, explode: bool) -> Result<String, StyleError> {
    let flat = Flat::of(value)?;
    if let Flat::List(_) | Flat::Members(_) = flat {
        let flat = flat.map(|text| if text.contains(',') { Err(StyleError::Comma) } else { header(text) })?;
        return header(&flat.joined(",", explode));
    }
    header(&flat.joined(",", explode))
}

fn header(text: &str) -> Result<String, StyleError> {
    let valid = text.bytes().all(|byte| matches!(byte, b' '..=b'~')) && text.trim() == text;
    if valid { Ok(text.to_owned()) } else { Err(StyleError::Header) }
}

/// A value in JSON, in a header.
pub(crate) fn json_in_header(value: &Value) -> Result<String, StyleError> {
    header(&value.to_string())
}

/// Percent-encodes everything but unreserved characters (RFC 3986 §2.3).
pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// Characters that separate parts of a URI, at least for a server that decodes it twice.
fn is_separator(c: char) -> bool {
    matches!(c, '/' | '\\' | '%' | '?' | '#' | ';') || c.is_control()
}

const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The examples of the specification, with its values.
    fn values() -> [Value; 3] {
        [json!("blue"), json!(["blue", "black", "brown"]), json!({ "B": 150, "G": 200, "R": 100 })]
    }

    #[test]
    fn path_styles_match_the_examples_of_the_specification() {
        let declared = ["R", "G", "B"].map(str::to_owned);
        for (style, explode, expected) in [
            (Style::Simple, false, ["blue", "blue,black,brown", "B,150,G,200,R,100"]),
            (Style::Simple, true, ["blue", "blue,black,brown", "B=150,G=200,R=100"]),
            (Style::Label, false, [".blue", ".blue,black,brown", ".B,150,G,200,R,100"]),
            (Style::Label, true, [".blue", ".blue.black.brown", ".B=150.G=200.R=100"]),
            (Style::Matrix, false, [";color=blue", ";color=blue,black,brown", ";color=B,150,G,200,R,100"]),
            (
                Style::Matrix,
                true,
                [";color=blue", ";color=blue;color=black;color=brown", ";B=150;G=200;R=100"],
            ),
        ] {
            let written = values().map(|value| in_path("color", &value, style, explode, &declared).unwrap());
            assert_eq!(written, expected, "{style:?} {explode}");
        }
    }

    #[test]
    fn query_styles_match_the_examples_of_the_specification() {
        for (style, explode, expected) in [
            (Style::Form, false, ["color=blue", "color=blue,black,brown", "color=B,150,G,200,R,100"]),
            (Style::Form, true, ["color=blue", "color=blue&color=black&color=brown", "B=150&G=200&R=100"]),
            (
                Style::SpaceDelimited,
                false,
                ["color=blue", "color=blue%20black%20brown", "color=B%20150%20G%20200%20R%20100"],
            ),
            (
                Style::PipeDelimited,
                false,
                ["color=blue", "color=blue%7Cblack%7Cbrown", "color=B%7C150%7CG%7C200%7CR%7C100"],
            ),
        ] {
            let written =
                values().map(|value| in_query("color", &value, style, explode, None).unwrap().join("&"));
            assert_eq!(written, expected, "{style:?} {explode}");
        }
        let deep =
            in_query("color", &json!({ "R": 100, "in": { "x": [1, "y"] } }), Style::DeepObject, true, None);
        assert_eq!(
            deep.unwrap().join("&"),
            "color%5BR%5D=100&color%5Bin%5D%5Bx%5D%5B0%5D=1&color%5Bin%5D%5Bx%5D%5B1%5D=y"
        );
        assert_eq!(in_query("a", &json!([]), Style::Form, false, None), Ok(vec![]));
    }

    #[test]
    fn value_cannot_leave_its_place() {
        for value in ["a/b", "..\\x", "a%2fb", "a?b", "a#b", "a;b", "a\nb", "a\0"] {
            let refused = in_path("id", &json!(value), Style::Simple, false, &[]);
            assert!(matches!(refused, Err(StyleError::Separator(_))), "{value:?} {refused:?}");
        }
        assert_eq!(
            in_path("id", &json!("ä @:&=+"), Style::Simple, false, &[]).unwrap(),
            "%C3%A4%20%40%3A%26%3D%2B"
        );
        for segment in ["", ".", "..", "%2e%2E", "%20..", " ", "..;", ".;a", "%2e.%3bv=1"] {
            assert_eq!(check_segment(segment), Err(StyleError::Segment), "{segment:?}");
        }
        for segment in ["...", ";v=1", "a;..", "..a;b"] {
            assert_eq!(check_segment(segment), Ok(()), "{segment:?}");
        }
        let listed = |style, item| in_query("q", &json!([item, "c"]), style, false, None);
        assert_eq!(listed(Style::PipeDelimited, "a|b"), Err(StyleError::Delimiter('|')));
        assert_eq!(listed(Style::SpaceDelimited, "a b"), Err(StyleError::Delimiter(' ')));
        assert_eq!(listed(Style::SpaceDelimited, "a|b").unwrap(), ["q=a%7Cb%20c"]);
        let label = |explode| in_path("q", &json!(["a.b", "c"]), Style::Label, explode, &[]);
        assert_eq!((label(true), label(false)), (Err(StyleError::Delimiter('.')), Ok(".a.b,c".to_owned())));
        let pairs = in_query("q", &json!("a&admin=1#x=?/ +"), Style::Form, true, None).unwrap();
        assert_eq!(pairs, ["q=a%26admin%3D1%23x%3D%3F%2F%20%2B"]);
        let page = in_query("q", &json!({ "page": 1, "sort": ["a", "b"] }), Style::Form, true, None).unwrap();
        assert_eq!(page, ["page=1", "sort=a", "sort=b"]);
        let (admin, declared) = (json!({ "admin": 1 }), ["page".to_owned()]);
        let undeclared = Err(StyleError::Undeclared("admin".to_owned()));
        assert_eq!(in_query("q", &admin, Style::Form, true, Some(&declared)), undeclared);
        assert_eq!(in_path("q", &admin, Style::Matrix, true, &declared).map(|path| vec![path]), undeclared);
    }

    #[test]
    fn header_value_has_no_line_break_or_second_item() {
        assert_eq!(in_header(&json!(["a", 5]), false).unwrap(), "a,5");
        assert_eq!(in_header(&json!({ "a": 1, "b": "x y" }), true).unwrap(), "a=1,b=x y");
        for value in [json!("a\r\nX-Evil: 1"), json!("ä"), json!(" a"), json!("a\0"), json!("a\t")] {
            assert_eq!(in_header(&value, false), Err(StyleError::Header), "{value}");
        }
        assert_eq!(in_header(&json!(["a,b"]), false), Err(StyleError::Comma));
    }

    #[test]
    fn nested_value_is_refused() {
        for value in [json!([[1]]), json!({ "a": {} }), json!([null])] {
            assert_eq!(in_path("a", &value, Style::Simple, false, &[]), Err(StyleError::Nested));
            assert_eq!(in_query("a", &value, Style::Form, true, None), Err(StyleError::Nested));
            assert_eq!(in_header(&value, false), Err(StyleError::Nested));
        }
    }
}
