//! `Content-Type`, `Accept` and `Content-Encoding`, also beside bytes that are not ASCII.

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use serde_json::json;

use crate::world::{CALLBACK, DEPUTY, JSON, Response, World, create_call};

/// Header values with bytes that are not ASCII.
pub(crate) const FOREIGN: [&[u8]; 4] = ["x=\u{e9}".as_bytes(), b"x=\xe9", b"\xff", b"x=\x80\xfe; y=\"\xc3\""];

#[tokio::test]
async fn compressed_body_is_refused_with_accept_encoding() {
    let world = World::new();
    let bearer = format!("Bearer {}", world.connected().await.access);
    let good = ("authorization", bearer.as_str());
    for path in ["/mcp", "/mcp/", "/token", "/register", "/revoke"] {
        for coding in ["gzip", "br", "GZIP, identity", "identity,deflate"] {
            let headers = [JSON, good, ("content-encoding", coding)];
            let response = world.request("POST", path, &headers, "\u{1f}\u{8b}").await;
            let told = (response.status, response.header("accept-encoding"));
            assert_eq!(told, (StatusCode::UNSUPPORTED_MEDIA_TYPE, "identity".to_owned()), "{path} {coding}");
        }
    }
    let plain = [JSON, good, ("content-encoding", "identity")];
    assert_eq!(
        world.request("POST", "/mcp", &plain, &create_call().to_string()).await.status,
        StatusCode::OK
    );
}

pub(crate) async fn send(
    world: &World,
    method: &str,
    path: &str,
    headers: &[(&str, Vec<u8>)],
    body: &str,
) -> Response {
    let mut request = http::Request::builder().method(method).uri(format!("{DEPUTY}{path}"));
    for (name, value) in headers {
        request = request.header(*name, HeaderValue::from_bytes(value).expect("a value"));
    }
    let request = request.body(Bytes::from(body.to_owned())).expect("a request");
    Response::of(world.network.send(request).await.expect("a response"))
}

#[tokio::test]
async fn media_type_beside_non_ascii_bytes_is_accepted() {
    let world = World::new();
    let tokens = world.connected().await;
    let header = |value: &[u8], foreign: &[u8]| [value, foreign].concat();
    let refresh = format!("grant_type=refresh_token&refresh_token=x&client_id={}", tokens.client);
    let registration = json!({ "redirect_uris": [CALLBACK] }).to_string();
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" }).to_string();
    for foreign in FOREIGN {
        let form = vec![("content-type", header(b"application/x-www-form-urlencoded; ", foreign))];
        let response = send(&world, "POST", "/token", &form, &refresh).await;
        assert_eq!(response.json()["error"], "invalid_grant", "{foreign:?}");
        let json = header(b"application/json; ", foreign);
        let response =
            send(&world, "POST", "/register", &[("content-type", json.clone())], &registration).await;
        assert_eq!(response.status, StatusCode::CREATED, "{foreign:?}");
        let accept = header(b"application/json, text/event-stream, ", foreign);
        let bearer = format!("Bearer {}", tokens.access).into_bytes();
        let headers = [("content-type", json), ("accept", accept), ("authorization", bearer)];
        let response = send(&world, "POST", "/mcp", &headers, &ping).await;
        assert_eq!(response.status, StatusCode::OK, "{foreign:?}: {}", response.text);
    }
}

#[tokio::test]
async fn accept_header_without_members_counts_as_omitted() {
    let world = World::new();
    let bearer = format!("Bearer {}", world.connected().await.access);
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" }).to_string();
    for (accept, status) in [("", 200), (", ,", 200), ("text/html", 406)] {
        let headers = [("content-type", "application/json"), ("accept", accept), ("authorization", &bearer)];
        let response = world.request("POST", "/mcp", &headers, &ping).await;
        assert_eq!(response.status.as_u16(), status, "{accept}: {}", response.text);
    }
}
