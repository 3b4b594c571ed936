//! Requests to the collector.

use std::{
    io,
    pin::Pin,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use opentelemetry_http::{HttpClient, HttpError};
use tokio::runtime::{Builder, Runtime};

use crate::host::client;

/// Sends requests to the collector, on the thread of the exporter, so that no request of a user waits.
#[derive(Debug)]
pub(super) struct Collector {
    client: reqwest::Client,
    runtime: Runtime,
    /// Whether the last request failed, which was logged.
    failed: AtomicBool,
}

impl Collector {
    pub(super) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(Self {
            client: client(|builder| builder.timeout(TIMEOUT)),
            runtime,
            failed: AtomicBool::new(false),
        })
    }

    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = reqwest::Request::try_from(request)?;
        // The timer of a request needs the runtime from the start.
        let response = self.runtime.block_on(async { self.client.execute(request).await });
        let status = response.map(|response| response.status());
        let failure = match &status {
            Ok(status) if status.is_success() => None,
            Ok(status) => Some(status.to_string()),
            Err(error) => Some(error.to_string()),
        };
        if self.failed.swap(failure.is_some(), Ordering::Relaxed) != failure.is_some() {
            if let Some(error) = failure {
                tracing::warn!(error, "the collector of traces does not take them");
            } else {
                tracing::info!("the collector takes traces again");
            }
        }
        let mut response = Response::default();
        *response.status_mut() = status?;
        Ok(response)
    }
}

impl HttpClient for Collector {
    fn send_bytes<'a, 'b>(
        &'a self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async move { self.send(request) })
    }
}

/// Of a request to the collector. It ends before a supervisor kills a process that stops.
const TIMEOUT: Duration = Duration::from_secs(4);
