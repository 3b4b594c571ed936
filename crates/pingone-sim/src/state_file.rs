//! The file that keeps the state over a restart.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::state::State;

/// A file for the state. Each save writes a new file and renames it into place.
pub(crate) struct StateFile(PathBuf);

impl StateFile {
    pub(crate) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// The saved state, or `None` if there is no file.
    pub(crate) fn load(&self) -> io::Result<Option<State>> {
        let bytes = match fs::read(&self.0) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", self.0.display()))
        })
    }

    pub(crate) fn save(&self, state: &State) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(state).map_err(io::Error::other)?;
        let new = self.0.with_extension("new");
        fs::write(&new, text)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(&new, fs::Permissions::from_mode(0o600))?;
        }
        fs::rename(new, &self.0)
    }
}
