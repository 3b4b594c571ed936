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

use crate::{configuration::variable, env_file::EnvFile, management, secret_files, store};

/// The variables of a set-up, with their secrets.
pub(super) struct Variables(BTreeMap<String, Secret<String>>);

impl Variables {
    /// The variables of the file, and those of the configuration in the environment, without the credentials of the worker,
    /// which `deputy serve` does not need. With `keeps_files`, a secret in a file of its own stays there.
    pub(super) fn read(file: &EnvFile, keeps_files: bool) -> Self {
        let own = |name: &str| {
            let name = name.strip_suffix("_FILE").unwrap_or(name);
            management::VARIABLES.contains(&name) || name.starts_with("PROVISION_")
        };
        let former: Vec<_> = config::variables().filter_map(|variable| variable.former_name).collect();
        let is_file = |name: &str| secret_files::variables().any(|file| file == name);
        // Files come first, so that no secret of them is set.
        let names = secret_files::variables().chain(file.names().map(str::to_owned));
        let names = names.chain(config::variables().map(|variable| variable.name.to_owned()));
        let mut variables = Self(BTreeMap::new());
        for name in names.filter(|name| !own(name) && !former.contains(&name.as_str())) {
            if let Some(value) = given(file, &name).filter(|_| keeps_files || !is_file(&name)) {
                variables.set(&name, value);
            }
        }
        variables
    }

    /// Sets a variable, unless a file has its value: `deputy serve` refuses both.
    pub(super) fn set(&mut self, name: &str, value: String) {
        let names = [Some(name), former_name(name)];
        if !names.into_iter().flatten().any(|name| self.0.contains_key(&format!("{name}_FILE"))) {
            self.0.insert(name.to_owned(), Secret::new(value));
        }
    }

    /// Sets a variable that names a file. Fails if the path is not UTF-8, which the file with variables is.
    pub(super) fn set_path(&mut self, name: &str, path: &Path) -> io::Result<()> {
        let text = path.to_str().ok_or_else(|| {
            let problem = format!("{name} is {}, which is not UTF-8", path.display());
            io::Error::new(io::ErrorKind::InvalidInput, problem)
        })?;
        self.set(name, text.to_owned());
        Ok(())
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
    variable(file, name).or_else(|| variable(file, former_name(name)?))
}

fn former_name(name: &str) -> Option<&'static str> {
    config::variables().find(|variable| variable.name == name)?.former_name
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

    #[test]
    fn secret_in_a_file_of_its_own_stays_there() {
        let file = "COOKIE_ENCRYPTION_KEY_FILE=/run/key\nCOOKIE_ENCRYPTION_KEY=key\nPINGONE_CLIENT_SECRET_FILE=/run/secret\n\
                    PINGONE_WORKER_CLIENT_SECRET_FILE=/run/worker\nPINGONE_WORKER_CLIENT_SECRET=worker\n";
        let file = EnvFile::parse(file).unwrap();
        let mut variables = Variables::read(&file, true);
        variables.set("PINGONE_CLIENT_SECRET", "found".to_owned());
        let names: Vec<_> = variables.0.keys().map(String::as_str).collect();
        assert_eq!(names, ["COOKIE_ENCRYPTION_KEY_FILE", "PINGONE_CLIENT_SECRET_FILE"]);
        // A Worker has no files.
        let mut variables = Variables::read(&file, false);
        variables.set("PINGONE_CLIENT_SECRET", "found".to_owned());
        let names: Vec<_> = variables.0.keys().map(String::as_str).collect();
        assert_eq!(names, ["PINGONE_CLIENT_SECRET", "SERVER_KEY"]);
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
