//! What the demo keeps between two starts.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use deputy::secret::Secret;

use crate::{StartError, host::fill_random, store::FolderLock};

/// The folders of the three servers, and the key of one of them. No other demo uses them meanwhile.
pub(super) struct State {
    _lock: FolderLock,
    pub(super) deputy: PathBuf,
    pub(super) todo_api: PathBuf,
    pub(super) pingone: PathBuf,
}

impl State {
    /// The state in `folder`; made, for its owner only, where there is none. `reset` removes what was there, and
    /// nothing that the demo did not put there. What a running demo keeps is neither used nor removed.
    pub(super) fn open(folder: &Path, reset: bool) -> Result<Self, StartError> {
        create(folder).map_err(|error| unusable(folder, &error))?;
        let state = Self {
            _lock: FolderLock::take(folder)?,
            deputy: folder.join("deputy"),
            todo_api: folder.join("todo-api"),
            pingone: folder.join("pingone"),
        };
        for part in [&state.deputy, &state.todo_api, &state.pingone] {
            if reset {
                remove(part).map_err(|error| unusable(part, &error))?;
            }
            create(part).map_err(|error| unusable(part, &error))?;
        }
        Ok(state)
    }

    /// `COOKIE_ENCRYPTION_KEY` of this demo, made when first asked for.
    pub(super) fn cookie_encryption_key(&self) -> Result<Secret<String>, StartError> {
        let path = self.deputy.join(KEY);
        match fs::read_to_string(&path) {
            Ok(key) => Ok(Secret::new(key)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut bytes = [0; 32];
                fill_random(&mut bytes);
                let key = Secret::new(STANDARD.encode(bytes));
                write(&path, key.expose().as_bytes()).map_err(|error| unusable(&path, &error))?;
                Ok(key)
            }
            Err(error) => Err(unusable(&path, &error)),
        }
    }
}

fn unusable(path: &Path, error: &io::Error) -> StartError {
    StartError::Other(format!(
        "cannot use {}: {error}. Make it readable and writable for this user, or choose another folder with --data-dir",
        path.display()
    ))
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn create(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)
}

/// Writes a file that only its owner may read, whole or not at all.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.write(true).create(true).truncate(true).open(&unfinished)?;
    io::Write::write_all(&mut file, bytes)?;
    file.sync_all()?;
    fs::rename(unfinished, path)
}

const KEY: &str = "cookie-encryption-key";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_once_and_only_its_owner_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let key = State::open(folder.path(), false).unwrap().cookie_encryption_key().unwrap();
        assert_eq!(STANDARD.decode(key.expose()).unwrap().len(), 32);
        let again = State::open(folder.path(), false).unwrap().cookie_encryption_key().unwrap();
        assert_eq!(again.expose(), key.expose());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let file = folder.path().join("deputy").join(KEY);
            assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn what_a_running_demo_keeps_is_neither_used_nor_removed() {
        let folder = tempfile::tempdir().unwrap();
        let running = State::open(folder.path(), false).unwrap();
        let key = running.cookie_encryption_key().unwrap();
        for reset in [false, true] {
            let refused = State::open(folder.path(), reset).err().unwrap().to_string();
            assert!(refused.contains("another Deputy") && refused.contains("--data-dir"), "{refused}");
        }
        drop(running);
        let again = State::open(folder.path(), false).unwrap().cookie_encryption_key().unwrap();
        assert_eq!(again.expose(), key.expose());
    }

    #[test]
    fn a_reset_removes_what_the_demo_kept_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let key = State::open(folder.path(), false).unwrap().cookie_encryption_key().unwrap();
        fs::write(folder.path().join("letter.txt"), "keep me").unwrap();
        let again = State::open(folder.path(), true).unwrap().cookie_encryption_key().unwrap();
        assert_ne!(again.expose(), key.expose());
        assert_eq!(fs::read_to_string(folder.path().join("letter.txt")).unwrap(), "keep me");
    }
}
