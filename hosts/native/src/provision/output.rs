//! The variables of the finished set-up, in a file for `deputy serve` or for `wrangler secret bulk`.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write as _},
    path::Path,
};

use deputy::{config, secret::Secret};
use serde_json::json;
use zeroize::Zeroizing;

use crate::{env_file::EnvFile, management, serve::variable, store};

/// The variables of a set-up, with their secrets.
pub(super) struct Variables(BTreeMap<String, Secret<String>>);

impl Variables {
    /// The variables of the file, and those of the configuration in the environment, without the credentials of the worker,
    /// which `deputy serve` does not need.
    pub(super) fn read(file: &EnvFile) -> Self {
        let own = |name: &str| management::VARIABLES.contains(&name) || name.starts_with("PROVISION_");
        let former: Vec<_> = config::variables().filter_map(|variable| variable.former_name).collect();
        let names = file.names().map(str::to_owned);
        let names = names.chain(config::variables().map(|variable| variable.name.to_owned()));
        let mut variables = Self(BTreeMap::new());
        for name in names.filter(|name| !own(name) && !former.contains(&name.as_str())) {
            // The secret stays in the file of its own.
            let is_in_file = variable(file, &format!("{name}_FILE")).is_some();
            if let Some(value) = given(file, &name).filter(|_| !is_in_file) {
                variables.set(&name, value);
            }
        }
        variables
    }

    pub(super) fn set(&mut self, name: &str, value: String) {
        self.0.insert(name.to_owned(), Secret::new(value));
    }

    /// Lines of `NAME=value`.
    pub(super) fn env_file(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new("# Written by deputy provision\n".to_owned());
        for (name, value) in &self.0 {
            *text += name;
            *text += "=";
            *text += &quoted(value.expose());
            *text += "\n";
        }
        text
    }

    /// The secrets as the JSON object that `wrangler secret bulk` reads.
    pub(super) fn secrets(&self) -> Zeroizing<String> {
        let secrets: Vec<_> =
            config::variables().filter(|variable| variable.secret).map(|variable| variable.name).collect();
        let secrets: serde_json::Map<_, _> = self
            .0
            .iter()
            .filter(|(name, _)| secrets.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), json!(value.expose())))
            .collect();
        Zeroizing::new(json!(secrets).to_string() + "\n")
    }
}

/// The value of a variable of the configuration, also under its former name.
pub(super) fn given(file: &EnvFile, name: &str) -> Option<String> {
    let former = || config::variables().find(|variable| variable.name == name)?.former_name;
    variable(file, name).or_else(|| variable(file, former()?))
}

/// Writes a file that only this user can read. A file that is replaced never lacks a part.
pub(super) fn write(path: &Path, text: &str, replaces: bool) -> io::Result<()> {
    let write = |path: &Path| {
        let mut file = store::private().create_new(true).open(path)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all())
    };
    if !replaces {
        return write(path);
    }
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = path.with_file_name(name);
    let written = write(&new).and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        // Fails if it was not created.
        let _ = fs::remove_file(&new);
    }
    written
}

/// A value in the notation of [`EnvFile`].
fn quoted(value: &str) -> Zeroizing<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~/:@%+=,".contains(c);
    if value.chars().all(is_plain) {
        return Zeroizing::new(value.to_owned());
    }
    if !value.contains(['\'', '\n', '\r']) {
        return Zeroizing::new(format!("'{value}'"));
    }
    let escaped = value.chars().fold(Zeroizing::new(String::new()), |mut text, c| {
        match c {
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '"' | '\\' | '$' => text.extend(['\\', c]),
            c => text.push(c),
        }
        text
    });
    Zeroizing::new(format!("\"{}\"", *escaped))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_value_is_read_as_it_was() {
        for value in [
            "https://deputy.example.com",
            "MDEyMzQ1Njc4OWFiY2RlZg==",
            "todo:read todo:write",
            "# no comment",
            "it's \"quoted\" \\ $HOME",
            "two\nlines\r\n",
            r#"{"kty":"RSA"}"#,
            "é",
        ] {
            let mut variables = Variables(BTreeMap::new());
            variables.set("NAME", value.to_owned());
            let file = EnvFile::parse(&variables.env_file()).unwrap();
            assert_eq!(file.get("NAME"), Some(value));
        }
    }

    #[test]
    fn secrets_for_workers_have_no_other_variable() {
        let mut variables = Variables(BTreeMap::new());
        for name in ["SERVER_KEY", "PINGONE_CLIENT_SECRET", "PUBLIC_URL", "LISTEN"] {
            variables.set(name, name.to_lowercase());
        }
        let secrets: serde_json::Value = serde_json::from_str(&variables.secrets()).unwrap();
        let expected =
            json!({ "PINGONE_CLIENT_SECRET": "pingone_client_secret", "SERVER_KEY": "server_key" });
        assert_eq!(secrets, expected);
    }

    #[cfg(unix)]
    #[test]
    fn written_file_is_private_and_replaced_on_demand_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "theirs").unwrap();
        assert!(write(&path, "ours", false).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "theirs");
        write(&path, "ours", true).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "ours");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
