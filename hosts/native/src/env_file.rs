//! `.env` files.

use std::{collections::BTreeMap, env, fmt, fs, io, path::Path};

/// The variables of a file in the notation that shells, Docker and wrangler share:
///
/// ```text
/// # a comment
/// NAME=value            # a comment, after white space
/// export NAME=value
/// NAME='taken literally, even # and \'
/// NAME="with \n, \t, \", \\ and \$"
/// ```
///
/// Nothing is expanded: a secret may contain `$`.
#[derive(Clone, Default)]
pub struct EnvFile(BTreeMap<String, String>);

impl EnvFile {
    pub(crate) fn read(path: &Path) -> Result<Self, EnvFileError> {
        Self::parse(&fs::read_to_string(path).map_err(EnvFileError::Io)?)
    }

    /// Parses the text of a file. The last line for a name wins, unless its value is empty: an empty variable counts as absent.
    pub fn parse(text: &str) -> Result<Self, EnvFileError> {
        let mut variables = BTreeMap::new();
        for (number, line) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
            let read = variable(line).map_err(|()| EnvFileError::Line(number))?;
            if let Some((name, value)) = read
                && (!value.is_empty() || !variables.contains_key(name))
            {
                variables.insert(name.to_owned(), value);
            }
        }
        Ok(Self(variables))
    }

    /// This file, over variables that count where this file has none.
    #[must_use]
    pub(crate) fn over(&self, others: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut variables: BTreeMap<_, _> = others.into_iter().collect();
        let own = self.0.iter().filter(|(_, value)| !value.is_empty());
        variables.extend(own.map(|(name, value)| (name.clone(), value.clone())));
        Self(variables)
    }

    /// A variable of the environment or else of this file. An empty variable counts as absent.
    pub(crate) fn below(&self, environment: impl Fn(&str) -> Option<String>, name: &str) -> Option<String> {
        // Compose files and CI set unknown variables to nothing. These must not hide the file.
        let set = environment(name).filter(|value| !value.trim().is_empty());
        set.or_else(|| self.get(name).filter(|value| !value.is_empty()).map(str::to_owned))
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Sets a variable.
    pub(crate) fn insert(&mut self, name: String, value: String) {
        self.0.insert(name, value);
    }

    /// The names of the variables in alphabetical order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// A variable of the environment of this process. One that is not UTF-8 counts as absent.
pub(crate) fn environment(name: &str) -> Option<String> {
    env::var(name).ok()
}

impl fmt::Debug for EnvFile {
    /// Names only: values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Why a file cannot be used. The text shows no line of it, which may hold a secret.
#[derive(Debug, thiserror::Error)]
pub enum EnvFileError {
    /// The file cannot be read.
    #[error("{0}")]
    Io(io::Error),
    /// The number of the first line that is not `NAME=value`.
    #[error("line {0} is not NAME=value, or a quotation mark in it is not closed")]
    Line(usize),
}

fn variable(line: &str) -> Result<Option<(&str, String)>, ()> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (name, value) = line.split_once('=').ok_or(())?;
    let (name, value) = (name.trim(), value.trim_start());
    let in_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(in_name) {
        return Err(());
    }
    let value = match value.chars().next() {
        Some('"') => double_quoted(&value[1..])?,
        Some('\'') => {
            let (value, rest) = value[1..].split_once('\'').ok_or(())?;
            only_comment(rest)?;
            value.to_owned()
        }
        _ => unquoted(value).to_owned(),
    };
    Ok(Some((name, value)))
}

fn unquoted(value: &str) -> &str {
    let comment = value
        .char_indices()
        .find(|(index, c)| *c == '#' && value[..*index].chars().next_back().is_none_or(char::is_whitespace));
    comment.map_or(value, |(index, _)| &value[..index]).trim_end()
}

fn double_quoted(text: &str) -> Result<String, ()> {
    let mut value = String::new();
    let mut chars = text.chars();
    loop {
        match chars.next().ok_or(())? {
            '"' => break,
            '\\' => match chars.next().ok_or(())? {
                'n' => value.push('\n'),
                'r' => value.push('\r'),
                't' => value.push('\t'),
                c @ ('"' | '\\' | '$') => value.push(c),
                c => value.extend(['\\', c]),
            },
            c => value.push(c),
        }
    }
    only_comment(chars.as_str())?;
    Ok(value)
}

fn only_comment(rest: &str) -> Result<(), ()> {
    if rest.is_empty() || (rest.starts_with(char::is_whitespace) && unquoted(rest).is_empty()) {
        Ok(())
    } else {
        Err(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(line: &str) -> Option<String> {
        EnvFile::parse(line).unwrap().get("NAME").map(str::to_owned)
    }

    #[test]
    fn value_is_parsed_in_each_notation() {
        for (line, expected) in [
            ("NAME=value", "value"),
            ("  export NAME = value  ", "value"),
            ("NAME=two words # and a comment", "two words"),
            ("NAME=half#half", "half#half"),
            ("NAME=#nothing", ""),
            ("NAME=", ""),
            ("NAME=a=b==", "a=b=="),
            ("NAME=p$SS${w}`d`\\n", "p$SS${w}`d`\\n"),
            ("NAME='a \\ # $b \"' # comment", "a \\ # $b \""),
            (r#"NAME="a\n\"b\" \\ \$ # \q"  # comment"#, "a\n\"b\" \\ $ # \\q"),
            ("\u{feff}NAME=marked\r\n", "marked"),
            ("NAME=first\nNAME=second", "second"),
            ("NAME=first\nNAME=", "first"),
        ] {
            assert_eq!(value(line).as_deref(), Some(expected), "{line}");
        }
    }

    #[test]
    fn comments_and_empty_lines_are_ignored() {
        assert_eq!(value("\n  \n# NAME=value\n"), None);
    }

    #[test]
    fn malformed_line_is_reported_by_its_number() {
        for line in
            ["hunter2", "=hunter2", "1A=hunter2", "A B=hunter2", "A=\"hunter2", "A='hunter2", "A='a'hunter2"]
        {
            let error = EnvFile::parse(&format!("FIRST=1\n{line}")).unwrap_err();
            assert!(matches!(error, EnvFileError::Line(2)), "{line}: {error}");
            assert!(!error.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn debug_output_has_names_and_no_values() {
        assert_eq!(format!("{:?}", EnvFile::parse("NAME=hunter2").unwrap()), r#"{"NAME"}"#);
    }
}
