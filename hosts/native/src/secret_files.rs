//! Secrets in files of their own, as orchestrators mount them: the variable `NAME_FILE` names the file with the value of
//! `NAME`.

use std::{fs, io, path::PathBuf};

use deputy::config;

use crate::env_file::EnvFile;

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

/// Reads the files that variables of the environment or of `file` name, and adds their values to `file`.
pub(crate) fn read(
    file: &mut EnvFile,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<(), SecretFileError> {
    for name in secrets() {
        let set = |file: &EnvFile, name: &str| {
            let set = variable(name).filter(|value| !value.trim().is_empty());
            set.or_else(|| file.get(name).filter(|value| !value.is_empty()).map(str::to_owned))
        };
        let Some(path) = set(file, &format!("{name}_FILE")).map(PathBuf::from) else { continue };
        if set(file, &name).is_some() {
            return Err(SecretFileError::Both(name));
        }
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => return Err(SecretFileError::Io { name, path, error }),
        };
        // Editors and `echo` end a file with a line break.
        let value = text.trim_end_matches(['\r', '\n']);
        if value.trim().is_empty() {
            return Err(SecretFileError::Empty { name, path });
        }
        file.insert(name, value.to_owned());
    }
    Ok(())
}

/// The secrets of the configuration, and of this host.
fn secrets() -> impl Iterator<Item = String> {
    let secrets = config::variables().filter(|variable| variable.secret);
    let names = secrets.flat_map(|variable| [Some(variable.name), variable.former_name]);
    names.flatten().chain(["PINGONE_WORKER_CLIENT_SECRET", "STORE_URL"]).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(variables: &[(&str, &str)]) -> Result<EnvFile, SecretFileError> {
        let mut file = EnvFile::default();
        let variable =
            |name: &str| variables.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned());
        read(&mut file, variable).map(|()| file)
    }

    #[test]
    fn secret_is_the_text_of_its_file_without_the_line_break() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, " a secret \r\n").unwrap();
        let path = path.to_str().unwrap();
        for name in
            ["SERVER_KEY", "COOKIE_ENCRYPTION_KEY", "PINGONE_CLIENT_SECRET", "ADMIN_TOKEN", "STORE_URL"]
        {
            let file = values(&[(&format!("{name}_FILE"), path)]).unwrap();
            assert_eq!(file.get(name), Some(" a secret "), "{name}");
        }
        // Not a secret.
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
}
