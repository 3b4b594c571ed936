//! Secrets in files of their own, as orchestrators mount them, and the list `CLIENTS`, which is long: the variable `NAME_FILE`
//! names the file with the value of `NAME`.

use std::{fs, io, path::PathBuf};

use deputy::config;

use crate::{env_file::EnvFile, management};

/// Why a secret cannot be read. The text shows nothing of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretFileError {
    #[error("{0} and {0}_FILE are both set, and only one of them can count. Remove one")]
    Both(String),
    #[error("the file {path}, which {name}_FILE names, is empty", path = path.display())]
    Empty { name: String, path: PathBuf },
    #[error("the file {path}, which {name}_FILE names, cannot be read: {error}", path = path.display())]
    Io { name: String, path: PathBuf, error: io::Error },
}

/// The variables with `_FILE`.
pub(crate) fn variables() -> impl Iterator<Item = String> {
    secrets().map(|name| format!("{name}_FILE"))
}

/// The secrets that a command uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Uses {
    /// Every secret that the native host knows.
    All,
    /// Those with these names.
    Named(&'static [&'static str]),
    /// Those of `deputy serve`.
    Server,
}

/// The files whose paths are in variables. A file can be read again after it has changed.
#[derive(Clone, Debug, Default)]
pub(crate) struct SecretFiles(pub(crate) Vec<SecretFile>);

/// The file with the value of one secret.
#[derive(Clone, Debug)]
pub(crate) struct SecretFile {
    /// The variable of the secret.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
}

impl SecretFiles {
    /// The files of those secrets that variables of the environment or of `file` name.
    pub(crate) fn find(
        uses: Uses,
        file: &EnvFile,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, SecretFileError> {
        let mut files = Vec::new();
        let names = secrets().filter(|name| match uses {
            Uses::All => true,
            Uses::Named(those) => those.contains(&&**name),
            Uses::Server => name != management::CLIENT_SECRET,
        });
        for name in names {
            let path = file.below(&environment, &format!("{name}_FILE")).map(PathBuf::from);
            let Some(path) = path else { continue };
            if file.below(&environment, &name).is_some() {
                return Err(SecretFileError::Both(name));
            }
            files.push(SecretFile { name, path });
        }
        Ok(Self(files))
    }

    /// Reads every file, and adds the values to `file`.
    pub(crate) fn read_into(&self, file: &mut EnvFile) -> Result<(), SecretFileError> {
        for secret in &self.0 {
            file.insert(secret.name.clone(), secret.read()?);
        }
        Ok(())
    }
}

impl SecretFile {
    /// The text of the file, without a line break at its end.
    pub(crate) fn read(&self) -> Result<String, SecretFileError> {
        let Self { name, path } = self;
        let text = fs::read_to_string(path).map_err(|error| SecretFileError::Io {
            name: name.clone(),
            path: path.clone(),
            error,
        })?;
        // Editors and `echo` end a file with a line break.
        let value = text.trim_end_matches(['\r', '\n']);
        if value.trim().is_empty() {
            return Err(SecretFileError::Empty { name: name.clone(), path: path.clone() });
        }
        Ok(value.to_owned())
    }
}

/// The secrets of the configuration and of this host, and `CLIENTS`.
fn secrets() -> impl Iterator<Item = String> {
    let secrets = config::variables().filter(|variable| variable.secret || variable.name == "CLIENTS");
    let names = secrets.flat_map(|variable| [Some(variable.name), variable.former_name]);
    names.flatten().chain([management::CLIENT_SECRET, "STORE_URL"]).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(variables: &[(&str, &str)]) -> Result<EnvFile, SecretFileError> {
        let mut file = EnvFile::default();
        let variable =
            |name: &str| variables.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned());
        SecretFiles::find(Uses::All, &file, variable)?.read_into(&mut file)?;
        Ok(file)
    }

    #[test]
    fn secret_is_the_text_of_its_file_without_the_line_break() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, " a secret \r\n").unwrap();
        let path = path.to_str().unwrap();
        let secrets =
            ["SERVER_KEY", "COOKIE_ENCRYPTION_KEY", "PINGONE_CLIENT_SECRET", "ADMIN_TOKEN", "STORE_URL"];
        for name in secrets.into_iter().chain(["CLIENTS"]) {
            let file = values(&[(&format!("{name}_FILE"), path)]).unwrap();
            assert_eq!(file.get(name), Some(" a secret "), "{name}");
        }
        // Neither a secret nor a list.
        assert_eq!(values(&[("PUBLIC_URL_FILE", path)]).unwrap().get("PUBLIC_URL"), None);
    }

    #[test]
    fn missing_or_empty_file_or_second_value_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty");
        fs::write(&empty, "\n").unwrap();
        let empty = empty.to_str().unwrap();
        assert!(matches!(values(&[("SERVER_KEY_FILE", empty)]), Err(SecretFileError::Empty { .. })));
        assert!(matches!(values(&[("SERVER_KEY_FILE", "/nowhere")]), Err(SecretFileError::Io { .. })));
        let both = [("SERVER_KEY_FILE", empty), ("SERVER_KEY", "key")];
        assert!(matches!(values(&both), Err(SecretFileError::Both(_))));
        assert!(values(&[("SERVER_KEY_FILE", " "), ("SERVER_KEY", "key")]).is_ok());
    }
    #[test]
    fn file_of_an_unused_secret_is_not_read() {
        let variable = |name: &str| name.ends_with("_FILE").then(|| "/nowhere".to_owned());
        let find = |uses| SecretFiles::find(uses, &EnvFile::default(), variable).unwrap();
        let names = |files: SecretFiles| files.0.into_iter().map(|file| file.name).collect::<Vec<_>>();
        assert_eq!(names(find(Uses::Named(&["STORE_URL"]))), ["STORE_URL"]);
        assert!(find(Uses::Named(&[])).read_into(&mut EnvFile::default()).is_ok());
        assert!(find(Uses::All).read_into(&mut EnvFile::default()).is_err());
    }
}
