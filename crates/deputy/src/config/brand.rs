//! Variables about the pages for users.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use url::Url;

use super::{
    variable::{DefaultValue, Syntax, Variable},
    vars::{Vars, secure, unpadded},
};

/// The operator's name, logo and links on the pages for users.
#[derive(Clone, Debug)]
pub struct Brand {
    /// `BRAND_NAME`
    pub name: String,
    /// `BRAND_LOGO`
    pub logo: Option<Logo>,
    /// `CONTACT_URL`
    pub contact_url: Option<Url>,
    /// `POLICY_URL`
    pub policy_url: Option<Url>,
}

/// A picture.
#[derive(Clone)]
pub struct Logo {
    /// Its format.
    pub media_type: LogoType,
    /// The file.
    pub bytes: Vec<u8>,
}

/// The format of a [`Logo`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogoType {
    /// `image/png`
    Png,
    /// `image/svg+xml`
    Svg,
}

impl LogoType {
    /// The media type.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Svg => "image/svg+xml",
        }
    }
}

impl fmt::Debug for Logo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Logo({}, {} bytes)", self.media_type.as_str(), self.bytes.len())
    }
}

impl Brand {
    pub(super) fn read(vars: &Vars<'_>) -> Option<Self> {
        let name = vars.read(&BRAND_NAME, name);
        let logo = vars.read(&BRAND_LOGO, logo);
        let contact_url = vars.read(&CONTACT_URL, link);
        let policy_url = vars.read(&POLICY_URL, link);
        Some(Self { name: name?, logo: logo?, contact_url: contact_url?, policy_url: policy_url? })
    }
}

pub(super) static BRAND_NAME: Variable = Variable {
    name: "BRAND_NAME",
    former_name: None,
    summary: "name of this service on the pages for users",
    details: "The home page also suggests it, in short form, as the name of the server in applications.",
    syntax: Syntax::Text("text of 60 characters at most"),
    default: DefaultValue::Value("Deputy"),
    example: Some("Example to-dos"),
    on_workers: None,
    secret: false,
};

fn name(value: &str) -> Result<String, &'static str> {
    if value.chars().any(char::is_control) {
        return Err("must have no control characters");
    }
    if value.chars().count() > 60 {
        return Err("must have 60 characters at most");
    }
    unpadded(value)
}

pub(super) static BRAND_LOGO: Variable = Variable {
    name: "BRAND_LOGO",
    former_name: None,
    summary: "logo on the pages for users, and their icon",
    details: "Deputy serves it itself, so that no other server learns who opens a page. \
              `echo \"BRAND_LOGO=data:image/png;base64,$(base64 < logo.png | tr -d '\\n')\"` prints the line for a file.",
    syntax: Syntax::Text("`data:` URL in base64 of a square PNG or SVG picture, of 32 KiB at most"),
    default: DefaultValue::Value(""),
    example: Some("data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciLz4="),
    on_workers: Some("a variable holds 5 KB at most"),
    secret: false,
};

fn logo(value: &str) -> Result<Option<Logo>, &'static str> {
    if value.is_empty() {
        return Ok(None);
    }
    let formats = [("data:image/png;base64,", LogoType::Png), ("data:image/svg+xml;base64,", LogoType::Svg)];
    let found = formats.iter().find_map(|(prefix, format)| Some((value.strip_prefix(prefix)?, *format)));
    let (text, media_type) =
        found.ok_or("must begin with data:image/png;base64, or data:image/svg+xml;base64,")?;
    let bytes = STANDARD.decode(text).map_err(|_| "is not base64 behind its comma")?;
    if bytes.len() > LONGEST_LOGO {
        return Err("must be a picture of 32 KiB at most");
    }
    let begins_well = match media_type {
        LogoType::Png => bytes.starts_with(b"\x89PNG\r\n\x1a\n"),
        LogoType::Svg => bytes.trim_ascii_start().starts_with(b"<"),
    };
    if begins_well {
        Ok(Some(Logo { media_type, bytes }))
    } else {
        Err("is not a picture of the format that it names")
    }
}

pub(super) static CONTACT_URL: Variable = Variable {
    name: "CONTACT_URL",
    former_name: None,
    summary: "link to a contact, on the pages for users",
    details: "",
    syntax: Syntax::Text("`https` or `mailto` URL"),
    default: DefaultValue::Value(""),
    example: Some("mailto:help@example.com"),
    on_workers: None,
    secret: false,
};

pub(super) static POLICY_URL: Variable = Variable {
    name: "POLICY_URL",
    former_name: None,
    summary: "link to the privacy policy and the terms, on the pages for users",
    details: "",
    syntax: Syntax::Text("`https` or `mailto` URL"),
    default: DefaultValue::Value(""),
    example: Some("https://example.com/privacy"),
    on_workers: None,
    secret: false,
};

fn link(value: &str) -> Result<Option<Url>, &'static str> {
    if value.is_empty() {
        return Ok(None);
    }
    let url = Url::parse(value).map_err(|_| "is not a URL")?;
    if url.scheme() != "mailto" {
        secure(&url)?;
    }
    Ok(Some(url))
}

/// A name that every application accepts for a server: lower-case letters, digits and hyphens.
pub fn short_name(name: &str) -> String {
    let letters = name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { ' ' });
    let words: String = letters.collect();
    let short = words.split_whitespace().collect::<Vec<_>>().join("-");
    if short.is_empty() { "deputy".to_owned() } else { short }
}

/// Bytes of a logo.
const LONGEST_LOGO: usize = 32 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_name_has_only_letters_digits_and_hyphens() {
        assert_eq!(short_name("Example's To-Dos; 2"), "example-s-to-dos-2");
        assert_eq!(short_name("待办"), "deputy");
    }

    #[test]
    fn logo_of_another_format_or_place_is_refused() {
        let png = format!("data:image/png;base64,{}", STANDARD.encode(b"\x89PNG\r\n\x1a\n..."));
        assert_eq!(logo(&png).unwrap().map(|logo| logo.media_type), Some(LogoType::Png));
        let svg = format!("data:image/svg+xml;base64,{}", STANDARD.encode("<svg/>"));
        assert_eq!(logo(&svg).unwrap().map(|logo| logo.media_type), Some(LogoType::Svg));
        let long = format!("data:image/svg+xml;base64,{}", STANDARD.encode("<".repeat(40_000)));
        for wrong in [
            "https://example.com/logo.png",
            "logo.png",
            "data:text/html;base64,PGI+",
            "data:image/png;base64,PHN2Zy8+",
            "data:image/png,x",
            "data:image/png;base64,*",
            &long,
        ] {
            assert!(logo(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn link_that_runs_script_is_refused() {
        for wrong in ["javascript:alert(1)", "data:text/html,x", "http://example.com/", "/privacy"] {
            assert!(link(wrong).is_err(), "{wrong}");
        }
        assert!(link("mailto:help@example.com").unwrap().is_some());
    }
}
