//! Outgoing HTTP, detached work and randomness of the host.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, http::header, routing::any};
use bytes::Bytes;
use deputy::host::{
    Clock as _, FetchError, FetchLimits, HttpClient as _, Meter, Reach, SecureRandom as _, Tasks as _,
};
use deputy_native::{
    host::NativeHost,
    http_server::{Server, Shutdown, serve},
    listen::Listen,
};
use futures_util::StreamExt as _;
use http::{HeaderMap, Method, Request, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const LIMITS: FetchLimits =
    FetchLimits { deadline: Duration::from_secs(20), max_bytes: 1000, reach: Reach::Anywhere };

fn host() -> NativeHost {
    let never = Shutdown::default().graceful;
    NativeHost::new(512, never.clone(), never)
}

/// Starts a server, and returns its URL.
async fn remote() -> String {
    let router = Router::new()
        .route(
            "/echo",
            any(async |method: Method, headers: HeaderMap, body: String| {
                format!("{method} {:?} {:?} {body}", headers.get("x-sent"), headers.get(header::COOKIE))
            }),
        )
        .route(
            "/redirect",
            any(async || {
                let headers = [(header::LOCATION, "/echo"), (header::SET_COOKIE, "a=b")];
                (StatusCode::FOUND, headers, "elsewhere")
            }),
        )
        .route(
            "/length",
            any(async |headers: HeaderMap| {
                headers.get(header::CONTENT_LENGTH).map_or("", |length| length.to_str().unwrap()).to_owned()
            }),
        )
        .route("/exact", any(async || "x".repeat(1000)))
        .route("/large", any(async || "x".repeat(1001)))
        .route(
            "/large-in-parts",
            any(async || {
                let parts = (0..11).map(|_| Ok::<_, std::io::Error>("x".repeat(100)));
                axum::body::Body::from_stream(futures_util::stream::iter(parts))
            }),
        )
        .route("/never", any(async || std::future::pending::<String>().await))
        .route(
            "/never-ends",
            any(async || {
                let first = futures_util::stream::iter([Ok::<_, std::io::Error>("x")]);
                axum::body::Body::from_stream(first.chain(futures_util::stream::pending()))
            }),
        );
    let listening = Listen::localhost(0).bind("--port").await.unwrap();
    tokio::spawn(serve(Server::default(), listening.listeners, router, Shutdown::default()));
    format!("http://127.0.0.1:{}", listening.port)
}

fn get(url: &str) -> Request<Bytes> {
    Request::get(url).body(Bytes::new()).unwrap()
}

#[tokio::test]
async fn request_is_sent_unchanged_and_its_response_read_whole() {
    let request =
        Request::patch(format!("{}/echo", remote().await)).header("x-sent", "1").body("body".into());
    let response = host().fetch(request.unwrap(), LIMITS).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/plain; charset=utf-8");
    assert_eq!(response.body(), "PATCH Some(\"1\") None body");
}

#[tokio::test]
async fn change_without_content_has_a_content_length() {
    let (host, remote) = (host(), remote().await);
    for (method, length) in [("POST", "0"), ("PUT", "0"), ("PATCH", "0"), ("DELETE", ""), ("GET", "")] {
        let request = Request::builder().method(method).uri(format!("{remote}/length")).body(Bytes::new());
        assert_eq!(host.fetch(request.unwrap(), LIMITS).await.unwrap().body(), length, "{method}");
    }
}

#[tokio::test]
async fn redirect_is_returned_and_its_cookie_dropped() {
    let (host, remote) = (host(), remote().await);
    let response = host.fetch(get(&format!("{remote}/redirect")), LIMITS).await.unwrap();
    assert_eq!(
        (response.status(), &response.headers()[header::LOCATION]),
        (StatusCode::FOUND, &"/echo".parse().unwrap())
    );
    let response = host.fetch(get(&format!("{remote}/echo")), LIMITS).await.unwrap();
    assert_eq!(response.body(), "GET None None ");
}

#[tokio::test]
async fn response_larger_than_the_limit_is_an_error() {
    let (host, remote) = (host(), remote().await);
    let size = async |path: &str| {
        host.fetch(get(&format!("{remote}{path}")), LIMITS).await.map(|response| response.body().len())
    };
    assert_eq!(size("/exact").await, Ok(1000));
    assert_eq!(size("/large").await, Err(FetchError::TooLarge));
    assert_eq!(size("/large-in-parts").await, Err(FetchError::TooLarge));
}

#[tokio::test]
async fn metered_response_ends_when_its_bytes_are_refused() {
    let (host, remote) = (host(), remote().await);
    let kept = Arc::new(AtomicUsize::new(0));
    let fetch = async |room: usize| {
        let (mut request, counted) = (get(&format!("{remote}/exact")), Arc::clone(&kept));
        request
            .extensions_mut()
            .insert(Meter::new(move |bytes| counted.fetch_add(bytes, Ordering::Relaxed) + bytes <= room));
        host.fetch(request, LIMITS).await.map(|response| response.body().len())
    };
    assert_eq!(fetch(1000).await, Ok(1000));
    assert_eq!(kept.load(Ordering::Relaxed), 1000);
    assert_eq!(fetch(1500).await, Err(FetchError::TooMany));
}

#[tokio::test]
async fn response_that_does_not_end_by_the_deadline_is_an_error() {
    let (host, remote) = (host(), remote().await);
    let limits = FetchLimits { deadline: Duration::from_millis(200), ..LIMITS };
    for path in ["/never", "/never-ends"] {
        let response = host.fetch(get(&format!("{remote}{path}")), limits).await;
        assert_eq!(response.err(), Some(FetchError::Deadline), "{path}");
    }
}

#[tokio::test]
async fn failed_connection_is_explained_without_the_url() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = host().fetch(get(&format!("http://{free}/path?code=hunter2")), LIMITS).await.unwrap_err();
    let FetchError::Connection(text) = error else { panic!("{error}") };
    assert!(text.contains("refused"), "{text}");
    assert!(!text.contains("hunter2") && !text.contains("/path"), "{text}");
}

#[tokio::test]
async fn connection_that_breaks_after_the_request_is_told_apart() {
    for sent in ["", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab"] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut received = [0; 1024];
            let _ = socket.read(&mut received).await;
            socket.write_all(sent.as_bytes()).await.unwrap();
        });
        let request = Request::post(url).body(Bytes::from_static(b"x")).unwrap();
        let response = host().fetch(request, LIMITS).await;
        assert!(matches!(response, Err(FetchError::Interrupted(_))), "{response:?}");
    }
}

#[tokio::test]
async fn https_request_to_a_server_without_tls_is_an_error() {
    let url = remote().await.replace("http:", "https:");
    let response = host().fetch(get(&url), LIMITS).await;
    assert!(matches!(response, Err(FetchError::Connection(_))), "{response:?}");
}

#[tokio::test]
async fn drained_host_has_finished_detached_work() {
    let host = host();
    let done = Arc::new(AtomicBool::new(false));
    let work_done = Arc::clone(&done);
    let sleep = host.sleep(Duration::from_millis(100));
    host.detach(Box::pin(async move {
        sleep.await;
        work_done.store(true, Ordering::SeqCst);
    }));
    host.detached_work_done().await;
    assert!(done.load(Ordering::SeqCst));
}

#[tokio::test]
async fn random_bytes_differ_between_calls() {
    let host = host();
    let (mut one, mut other) = ([0; 32], [0; 32]);
    host.fill(&mut one);
    host.fill(&mut other);
    assert_ne!(one, other);
    assert_ne!(one, [0; 32]);
}

#[tokio::test]
async fn private_address_is_refused_before_any_connection() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let limits = FetchLimits { reach: Reach::PublicInternet, ..LIMITS };
    let names = ["localhost", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "LOCALHOST"];
    let spelled_otherwise = ["2130706433", "017700000001", "0x7f000001", "127.1", "0177.0.0.1", "127.0.0.1."];
    for name in names.into_iter().chain(spelled_otherwise) {
        let request = Request::get(format!("http://{name}:{port}/")).body(Bytes::new()).unwrap();
        let response = host().fetch(request, limits).await;
        assert_eq!(response.map(|response| response.status()), Err(FetchError::NotPublic), "{name}");
    }
    assert_eq!(
        listener.accept().unwrap_err().kind(),
        std::io::ErrorKind::WouldBlock,
        "a connection was made"
    );
}
