//! `deputy backup` and `deputy restore`.

use crate::{StartError, commands::BackupOptions, logging::Output, store};

/// Copies the database into a new file.
pub(crate) fn back_up(options: &BackupOptions, output: &Output) -> Result<(), StartError> {
    store::back_up(&options.data.data_dir, &options.file)?;
    output.print(&format!(
        "The database in {} is copied to {}. It opens nothing by itself; COOKIE_ENCRYPTION_KEY is not in it.",
        options.data.data_dir.display(),
        options.file.display()
    ));
    Ok(())
}

/// Puts a backup in the place of the database.
pub(crate) fn restore(options: &BackupOptions, output: &Output) -> Result<(), StartError> {
    let restored = store::restore(&options.data.data_dir, &options.file)?;
    output.print(&format!(
        "{} is now the database in {}. What was revoked since the backup works again.",
        options.file.display(),
        options.data.data_dir.display()
    ));
    if let Some(replaced) = restored.replaced {
        output.print(&format!("The database that was there is kept as {}.", replaced.display()));
    }
    Ok(())
}
