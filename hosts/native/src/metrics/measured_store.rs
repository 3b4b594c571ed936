//! A store whose operations are measured.

use std::sync::Arc;

use deputy::host::{BoxFuture, Operation, Outcome, RecordKey, Store, StoreError, Timestamp};
use metrics::{counter, histogram};
use tokio::time::Instant;

/// Durations of operations.
pub(super) const STORE_SECONDS: &str = "deputy_store_seconds";
/// Operations that failed.
pub(super) const STORE_FAILURES: &str = "deputy_store_failures_total";

/// The store, with the durations and failures of its operations in metrics.
pub(crate) struct MeasuredStore(pub(crate) Arc<dyn Store>);

impl Store for MeasuredStore {
    fn execute<'a>(
        &'a self,
        key: &'a RecordKey,
        operation: Operation,
    ) -> BoxFuture<'a, Result<Outcome, StoreError>> {
        let name = match &operation {
            Operation::Get { .. } => "get",
            Operation::Put { .. } => "put",
            Operation::Replace { .. } => "replace",
            Operation::Take { .. } => "take",
        };
        Box::pin(measured(name, self.0.execute(key, operation)))
    }

    fn probe(&self, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(measured("probe", self.0.probe(now)))
    }

    fn sweep(&self, now: Timestamp) -> BoxFuture<'_, Result<usize, StoreError>> {
        Box::pin(measured("sweep", self.0.sweep(now)))
    }
}

async fn measured<T>(
    operation: &'static str,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let began = Instant::now();
    let result = work.await;
    histogram!(STORE_SECONDS, "operation" => operation).record(began.elapsed());
    if result.is_err() {
        counter!(STORE_FAILURES, "operation" => operation).increment(1);
    }
    result
}
