//! The state of the demo, which it keeps for its next start.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use deputy::secret::Secret;

use crate::{
    error::StartError,
    host::fill_random,
    store::{FolderLock, create_folder, private},
};

/// The folders of the three servers, locked for this process.
pub(super) struct State {
    _lock: FolderLock,
    pub(super) deputy: PathBuf,
    pub(super) todo_api: PathBuf,
    pub(super) pingone: PathBuf,
}

impl State {
    /// Opens or creates the folders in `folder`, for their owner only. `reset` empties them first, and touches no other file.
    /// Fails while another demo uses them.
    pub(super) fn open(folder: &Path, reset: bool) -> Result<Self, StartError> {
        create_folder(folder).map_err(|error| unusable(folder, error))?;
        let state = Self {
            _lock: FolderLock::take(folder)?,
            deputy: folder.join("deputy"),
            todo_api: folder.join("todo-api"),
            pingone: folder.join("pingone"),
        };
        for part in [&state.deputy, &state.todo_api, &state.pingone] {
            if reset {
                remove(part).map_err(|error| unusable(part, error))?;
            }
            create_folder(part).map_err(|error| unusable(part, error))?;
        }
        Ok(state)
    }

    /// `SERVER_KEY` of the demo, created on the first call.
    pub(super) fn server_key(&self) -> Result<Secret<String>, StartError> {
        let path = self.deputy.join(KEY);
        match fs::read_to_string(&path) {
            Ok(key) => Ok(Secret::new(key)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut bytes = [0; 32];
                fill_random(&mut bytes);
                let key = Secret::new(STANDARD.encode(bytes));
                write(&path, key.expose().as_bytes()).map_err(|error| unusable(&path, error))?;
                Ok(key)
            }
            Err(error) => Err(unusable(&path, error)),
        }
    }
}

fn unusable(path: &Path, error: io::Error) -> StartError {
    StartError::DemoFile(path.to_owned(), error)
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Writes a file for its owner only, completely or not at all.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension("new");
    let mut file = private().truncate(true).open(&unfinished)?;
    io::Write::write_all(&mut file, bytes)?;
    file.sync_all()?;
    fs::rename(unfinished, path)
}

const KEY: &str = "cookie-encryption-key";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_created_once_and_readable_by_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let key = State::open(folder.path(), false).unwrap().server_key().unwrap();
        assert_eq!(STANDARD.decode(key.expose()).unwrap().len(), 32);
        let again = State::open(folder.path(), false).unwrap().server_key().unwrap();
        assert_eq!(again.expose(), key.expose());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let file = folder.path().join("deputy").join(KEY);
            assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn state_of_a_running_demo_is_neither_used_nor_removed() {
        let folder = tempfile::tempdir().unwrap();
        let running = State::open(folder.path(), false).unwrap();
        let key = running.server_key().unwrap();
        for reset in [false, true] {
            let refused = State::open(folder.path(), reset).err().unwrap().to_string();
            assert!(refused.contains("another Deputy") && refused.contains("--data-dir"), "{refused}");
        }
        drop(running);
        let again = State::open(folder.path(), false).unwrap().server_key().unwrap();
        assert_eq!(again.expose(), key.expose());
    }

    #[test]
    fn reset_removes_the_state_of_the_demo_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let key = State::open(folder.path(), false).unwrap().server_key().unwrap();
        fs::write(folder.path().join("letter.txt"), "keep me").unwrap();
        let again = State::open(folder.path(), true).unwrap().server_key().unwrap();
        assert_ne!(again.expose(), key.expose());
        assert_eq!(fs::read_to_string(folder.path().join("letter.txt")).unwrap(), "keep me");
    }
}
