//! `deputy backup` and `deputy restore`.

use crate::{commands::BackupOptions, error::StartError, logging::Output, store};

pub(crate) fn back_up(options: &BackupOptions, output: &Output) -> Result<(), StartError> {
    refuse_postgres(options)?;
    store::back_up(&options.data.data_dir, &options.file)?;
    output.print(&format!(
        "Copied the database in {} to {}. Keep SERVER_KEY (formerly COOKIE_ENCRYPTION_KEY) as well, which the backup does not \
         contain.",
        options.data.data_dir.display(),
        options.file.display()
    ));
    Ok(())
}

pub(crate) fn restore(options: &BackupOptions, output: &Output) -> Result<(), StartError> {
    refuse_postgres(options)?;
    let restored = store::restore(&options.data.data_dir, &options.file)?;
    output.print(&format!(
        "Restored {} as the database in {}. Grants that were revoked since the backup are valid again.",
        options.file.display(),
        options.data.data_dir.display()
    ));
    if let Some(replaced) = restored.replaced {
        output.print(&format!("Kept the previous database as {}.", replaced.display()));
    }
    Ok(())
}

/// A backup of a file without the grants would be a surprise.
fn refuse_postgres(options: &BackupOptions) -> Result<(), StartError> {
    if options.store_url.is_some() { Err(StartError::BackupOfPostgres) } else { Ok(()) }
}
