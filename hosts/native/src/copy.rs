//! `deputy store copy`.

use crate::{
    commands::{CopyOptions, StoreAction},
    error::StartError,
    host::wall_clock,
    logging::Output,
    store,
};

pub(crate) async fn run(options: CopyOptions, output: Output) -> Result<(), StartError> {
    let StoreAction::Copy = options.action;
    let (from, to) = (options.place(&options.from)?, options.place(&options.to)?);
    let copied = store::copy_records(from, to, wall_clock()).await?;
    let store::Copied { records, grants, places: [from, to] } = copied;
    output.print(&format!(
        "Copied {records} records, {grants} of them grants, from {from} to {to}. Start Deputy with the copy and the same \
         SERVER_KEY. Do not start it with {from} again: grants that are refreshed or end from now on differ."
    ));
    Ok(())
}
