//! Places for records.

mod sqlite;

pub use sqlite::{
    BackupError, FolderLock, OpenError, Restored, SWEEP, SqliteGrantIndex, SqliteStore, back_up, restore,
};
pub(crate) use sqlite::{count, create_folder, private};
