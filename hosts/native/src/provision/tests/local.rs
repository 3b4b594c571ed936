//! The host of a run: requests reach the simulator in memory, and pauses take no time.

use std::{
    future::{Future, ready},
    pin::Pin,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use deputy::host::{BoxFuture, Clock, FetchError, FetchLimits, HttpClient, SecureRandom, Timestamp};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use pingone_sim::{SimEnvironment, Simulator};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tower_service::Service as _;

/// The simulator, without a network.
pub(super) struct Local {
    sim: Simulator,
    pub(super) pauses: Mutex<Vec<u64>>,
    pub(super) sent: AtomicU64,
    /// The last request to the management API that is sent, and whether it takes effect.
    pub(super) last: Mutex<Option<(u64, bool)>>,
    /// Members that an administrator sets a moment before the first request to the object at this path.
    pub(super) edit: Mutex<Option<(String, Value)>>,
}

/// A clock that stands, and randomness that is the same in each world, so that all of them have the same keys.
#[derive(Default)]
pub(super) struct Fixed(AtomicU64);

impl SimEnvironment for Fixed {
    fn now(&self) -> u64 {
        1_790_000_000
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        let drawn = self.0.fetch_add(1, Ordering::SeqCst);
        for (byte, random) in buffer.iter_mut().zip(Sha256::digest(drawn.to_be_bytes())) {
            *byte = random;
        }
    }

    fn sleep(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(ready(()))
    }
}

impl HttpClient for Local {
    fn fetch(
        &self,
        request: Request<Bytes>,
        _: FetchLimits,
    ) -> BoxFuture<'_, Result<Response<Bytes>, FetchError>> {
        Box::pin(async move {
            let broken = || FetchError::Connection("the connection is closed".to_owned());
            let is_management = request.uri().path().starts_with("/v1/");
            let number = self.sent.fetch_add(u64::from(is_management), Ordering::SeqCst) + 1;
            let last = self.last.lock().unwrap().filter(|_| is_management);
            if last.is_some_and(|(last, takes_effect)| number > last || (number == last && !takes_effect)) {
                return Err(broken());
            }
            let edit =
                self.edit.lock().unwrap().take_if(|(path, _)| request.uri().path().ends_with(path.as_str()));
            if let Some((_, members)) = edit {
                self.edit(&request, members).await;
            }
            let response = self.sim.router().call(request.map(Body::from)).await.unwrap();
            let (parts, body) = response.into_parts();
            let body = body.collect().await.map_err(|_| broken())?.to_bytes();
            if last.is_some_and(|(last, _)| number == last) {
                return Err(broken());
            }
            Ok(Response::from_parts(parts, body))
        })
    }
}

impl Local {
    pub(super) fn new(sim: Simulator) -> Self {
        let (pauses, last, edit) = Default::default();
        Self { sim, pauses, sent: AtomicU64::new(0), last, edit }
    }

    /// Changes the object of `request`, with its authorization.
    async fn edit(&self, request: &Request<Bytes>, members: Value) {
        let send = async |method: &str, body: String| -> Value {
            let mut edit =
                Request::builder().method(method).uri(request.uri()).body(Body::from(body)).unwrap();
            *edit.headers_mut() = request.headers().clone();
            let response = self.sim.router().call(edit).await.unwrap();
            assert!(response.status().is_success(), "{method}: {}", response.status());
            serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
        };
        let mut object = send("GET", String::new()).await;
        object.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        send("PUT", object.to_string()).await;
    }
}

impl Clock for Local {
    fn now(&self) -> Timestamp {
        Timestamp(1_790_000_000)
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.pauses.lock().unwrap().push(u64::try_from(duration.as_millis()).unwrap());
        Box::pin(ready(()))
    }
}

impl SecureRandom for Local {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(0);
    }
}
