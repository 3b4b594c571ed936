//! `deputy store copy`.

use crate::{
    admin::{Remote, RemoteRecords},
    commands::{CopyOptions, StoreAction},
    env_file::EnvFile,
    error::StartError,
    host::wall_clock,
    logging::Output,
    store,
};

pub(crate) async fn run(options: CopyOptions, file: EnvFile, output: Output) -> Result<(), StartError> {
    let StoreAction::Copy = options.action;
    let to = options.place(&options.to)?;
    let url = options.url();
    let is_remote = url.is_some();
    let copied = match url {
        Some(url) => {
            let records = RemoteRecords::of(Remote::new(Some(url), &file)?);
            store::copy_from(&records, to, wall_clock()).await?
        }
        None => store::copy_records(options.place(&options.from)?, to, wall_clock()).await?,
    };
    let store::Copied { records, grants, places: [from, to] } = copied;
    let from_now_on = if is_remote {
        format!("Delete the server at {from}, or keep clients away from it")
    } else {
        format!("Do not start it with {from} again")
    };
    output.print(&format!(
        "Copied {records} records, {grants} of them grants, from {from} to {to}. Start Deputy with the copy and the same \
         SERVER_KEY. {from_now_on}: grants that are refreshed or end from now on differ."
    ));
    Ok(())
}
