//! Messages before a result, and the end of work whose client hangs up.

use std::{
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use axum::body::Body;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use super::{Response, STATELESS, Scripted, Work, http_response, meta, post, request, response_to, send};
use crate::{
    host::BoxFuture,
    mcp::{Challenge, RpcError, Rules, StreamableHttp},
};

fn progress(value: u32) -> Value {
    let params = json!({ "progressToken": "p", "progress": value });
    json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params })
}

fn log(level: &str) -> Value {
    json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "level": level, "data": level } })
}

fn call() -> Value {
    request("tools/call", json!({ "name": "x" }))
}

/// Sends these messages, and finishes.
fn notifying(messages: Vec<Value>) -> Arc<Scripted> {
    Arc::new(Scripted::new(move |_, _, peer| {
        for message in &messages {
            peer.notify(message.clone());
        }
        Box::pin(async { Ok(json!({ "done": true })) })
    }))
}

/// Sets the flag when it is dropped.
struct SetOnDrop(Arc<AtomicBool>);

impl Drop for SetOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Sends these messages and never finishes. The flag is set when it is dropped.
fn endless(messages: Vec<Value>) -> (Arc<Scripted>, Arc<AtomicBool>) {
    let dropped = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&dropped);
    let handler = Scripted::new(move |_, _, peer| {
        let working = SetOnDrop(Arc::clone(&flag));
        let messages = messages.clone();
        Box::pin(async move {
            for message in messages {
                peer.notify(message);
            }
            std::future::pending::<()>().await;
            drop(working);
            Ok(Value::Null)
        })
    });
    (Arc::new(handler), dropped)
}

async fn frame(body: &mut Body) -> String {
    let frame = body.frame().await.unwrap().unwrap();
    String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()
}

fn is_waiting(body: &mut Body) -> bool {
    matches!(Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop())), Poll::Pending)
}

#[tokio::test]
async fn messages_before_a_result_make_a_stream_that_ends_with_it() {
    let response = response_to(&notifying(vec![progress(1), progress(2)]), &[], call()).await;
    let result = json!({ "jsonrpc": "2.0", "id": 7, "result": { "done": true } });
    assert_eq!((response.status.as_u16(), response.events()), (200, vec![progress(1), progress(2), result]));
    assert_eq!(response.headers["cache-control"], "no-store");
    assert_eq!(response.headers["x-accel-buffering"], "no");
}

#[tokio::test]
async fn first_event_is_sent_at_once_and_dropped_stream_cancels() {
    let (handler, dropped) = endless(vec![progress(1)]);
    let mut body = http_response(post(&handler, &[], call()).await).into_body();
    assert_eq!(frame(&mut body).await, format!("event: message\ndata: {}\n\n", progress(1)));
    assert!(is_waiting(&mut body));
    assert!(!dropped.load(Ordering::SeqCst));
    drop(body);
    assert!(dropped.load(Ordering::SeqCst));
}

#[tokio::test]
async fn client_that_hangs_up_before_the_first_byte_cancels_work() {
    let (handler, dropped) = endless(Vec::new());
    {
        let mut reply = pin!(post(&handler, &[], call()));
        assert!(reply.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!((handler.runs(), dropped.load(Ordering::SeqCst)), (1, false));
    }
    assert!(dropped.load(Ordering::SeqCst));
}

#[tokio::test]
async fn every_message_from_another_task_wakes_the_stream() {
    let handler = Arc::new(Scripted::new(|_, _, peer| {
        tokio::spawn(async move {
            for value in 1..=4 {
                peer.notify(progress(value));
                tokio::task::yield_now().await;
            }
        });
        Box::pin(std::future::pending())
    }));
    let mut body = http_response(post(&handler, &[], call()).await).into_body();
    let mut text = String::new();
    while !text.contains(r#""progress":4"#) {
        text += &frame(&mut body).await;
    }
    assert_eq!(text.matches("data: ").count(), 4);
}

#[tokio::test]
async fn silent_stream_gets_keep_alive_every_5_seconds() {
    let slept = Arc::new(Mutex::new(Vec::new()));
    let sleeps = Arc::clone(&slept);
    let sleep = Arc::new(move |duration: Duration| -> BoxFuture<'static, ()> {
        sleeps.lock().unwrap().push(duration.as_secs());
        Box::pin(std::future::ready(()))
    });
    let (handler, _) = endless(vec![progress(1)]);
    let mut body =
        http_response(send(&StreamableHttp::new(handler, sleep, Rules::default()), &[], call()).await)
            .into_body();
    assert!(frame(&mut body).await.starts_with("event: message"));
    assert_eq!(frame(&mut body).await, ": keep-alive\n\n");
    assert_eq!(frame(&mut body).await, ": keep-alive\n\n");
    assert_eq!(*slept.lock().unwrap(), [5, 5, 5]);
}

#[tokio::test]
async fn line_breaks_in_a_message_stay_in_its_event() {
    let text = "a\nb\r\n\ndata: forged\u{2028}";
    let message =
        json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "message": text } });
    assert_eq!(response_to(&notifying(vec![message.clone()]), &[], call()).await.events()[0], message);
}

#[tokio::test]
async fn client_that_accepts_json_only_gets_only_the_result() {
    let response =
        response_to(&notifying(vec![progress(1)]), &[("accept", "application/json")], call()).await;
    assert_eq!(
        (response.media_type(), &response.json()["result"]),
        ("application/json", &json!({ "done": true }))
    );
}

#[tokio::test]
async fn client_that_accepts_events_only_gets_result_as_event() {
    let response = response_to(&notifying(Vec::new()), &[("accept", "text/event-stream")], call()).await;
    assert_eq!(response.events(), [json!({ "jsonrpc": "2.0", "id": 7, "result": { "done": true } })]);
}

#[tokio::test]
async fn messages_that_wait_for_the_client_are_bounded() {
    let response = response_to(&notifying(vec![progress(1); 5000]), &[], call()).await;
    assert_eq!(response.events().len(), 1024 + 1);
}

#[tokio::test]
async fn stateless_request_gets_the_log_entries_it_asks_for() {
    for (level, expected) in [
        (None, &[][..]),
        (Some("debug"), &["debug", "warning", "emergency"]),
        (Some("warning"), &["warning", "emergency"]),
        (Some("emergency"), &["emergency"]),
    ] {
        let mut meta = meta();
        if let Some(level) = level {
            meta["io.modelcontextprotocol/logLevel"] = json!(level);
        }
        let handler = notifying(vec![
            log("debug"),
            log("warning"),
            log("emergency"),
            log("no such level"),
            progress(1),
        ]);
        let headers = [STATELESS, ("mcp-method", "tools/call"), ("mcp-name", "x")];
        let body = request("tools/call", json!({ "name": "x", "_meta": meta }));
        let events = response_to(&handler, &headers, body).await.events();
        let logged: Vec<_> = events.iter().filter_map(|event| event["params"]["level"].as_str()).collect();
        // An unknown level is below every other.
        assert_eq!((logged.as_slice(), events.len()), (expected, expected.len() + 2), "{level:?}");
    }
}

#[tokio::test]
async fn handshake_client_without_log_level_gets_all_entries() {
    assert_eq!(response_to(&notifying(vec![log("debug")]), &[], call()).await.events()[0], log("debug"));
}

fn login_ends(notify_first: bool, rest: bool) -> Arc<Scripted> {
    Arc::new(Scripted::new(move |_, caller, peer| -> Work {
        Box::pin(async move {
            if notify_first {
                peer.notify(progress(1));
            }
            if rest {
                tokio::task::yield_now().await;
            }
            let refused = caller.fetch(http::Request::default()).await;
            Ok(json!({ "refused": refused.is_err() }))
        })
    }))
}

#[tokio::test]
async fn ended_login_is_challenged_while_nothing_was_sent() {
    for (notify_first, rest) in [(false, false), (false, true), (true, false)] {
        let reply = post(&login_ends(notify_first, rest), &[], call()).await;
        assert_eq!(reply.err(), Some(Challenge::LoginRequired), "{notify_first} {rest}");
    }
}

#[tokio::test]
async fn login_that_ends_during_a_stream_is_an_error_in_it() {
    let reply = post(&login_ends(true, true), &[], call()).await;
    let events = Response::of(reply).await.events();
    let error = json!({ "code": RpcError::INTERNAL_ERROR, "message": "the login has ended; log in again" });
    assert_eq!(events, [progress(1), json!({ "jsonrpc": "2.0", "id": 7, "error": error })]);
}
