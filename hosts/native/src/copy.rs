//! `deputy store copy`.

use std::sync::Arc;

use deputy::host::Clock as _;
use tokio_util::sync::CancellationToken;

use crate::{
    commands::{CopyOptions, StoreAction},
    error::StartError,
    host::NativeHost,
    logging::Output,
    store,
};

pub(crate) async fn run(options: CopyOptions, output: Output) -> Result<(), StartError> {
    let StoreAction::Copy = options.action;
    let (from, to) = (options.place(&options.from)?, options.place(&options.to)?);
    let never = CancellationToken::new();
    let now = Arc::new(NativeHost::new(1, never.clone(), never)).now();
    let store::Copied { records, grants, places: [from, to] } = store::copy_records(from, to, now).await?;
    output.print(&format!(
        "Copied {records} records, {grants} of them grants, from {from} to {to}. Start Deputy with the copy and the same \
         SERVER_KEY. Do not start it with {from} again: grants that are refreshed or end from now on differ."
    ));
    Ok(())
}
