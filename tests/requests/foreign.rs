//! What other applications put beside what is ours, in one header.

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use serde_json::json;

use crate::world::{Answer, CALLBACK, DEPUTY, World};

/// Bytes that no header of ours has.
const FOREIGN: [&[u8]; 4] = ["x=\u{e9}".as_bytes(), b"x=\xe9", b"\xff", b"x=\x80\xfe; y=\"\xc3\""];

/// A request of a browser that keeps these cookies.
async fn with_cookies(world: &World, method: &str, path: &str, cookies: Vec<u8>, body: &str) -> Answer {
    let form = b"application/x-www-form-urlencoded".to_vec();
    let headers = [("content-type", form), ("sec-fetch-site", b"same-origin".to_vec()), ("cookie", cookies)];
    send(world, method, path, &headers, body).await
}

async fn send(world: &World, method: &str, path: &str, headers: &[(&str, Vec<u8>)], body: &str) -> Answer {
    let mut request = http::Request::builder().method(method).uri(format!("{DEPUTY}{path}"));
    for (name, value) in headers {
        request = request.header(*name, HeaderValue::from_bytes(value).expect("a value"));
    }
    let request = request.body(Bytes::from(body.to_owned())).expect("a request");
    Answer::of(world.network.send(request).await.expect("an answer"))
}

/// The name and value of the first cookie that an answer sets.
fn set_by(answer: &Answer) -> String {
    answer.header("set-cookie").split(';').next().expect("a cookie").to_owned()
}

#[tokio::test]
async fn cookie_of_another_application_with_any_bytes_does_not_stop_a_login() {
    let world = World::new();
    let client = world.client().await;
    for foreign in FOREIGN {
        let joined = |ours: &str, first| {
            let (one, other) = if first { (ours.as_bytes(), foreign) } else { (foreign, ours.as_bytes()) };
            [one, b"; ", other].concat()
        };
        for first in [true, false] {
            let page = world.get(&world.authorize_path(&client, &[])).await;
            let handle = &page.text.split("name=\"handle\" value=\"").nth(1).expect("a handle")[..43];
            let form = format!("handle={handle}&decision=approve");
            let answer = with_cookies(&world, "POST", "/approve", joined(&set_by(&page), first), &form).await;
            assert_eq!(answer.status, StatusCode::SEE_OTHER, "{foreign:?}: {}", answer.text);
            let state =
                answer.location().query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
            let path = format!("/callback?error=access_denied&state={state}&iss={}", world.config.issuer());
            let answer = with_cookies(&world, "GET", &path, joined(&set_by(&answer), first), "").await;
            assert!(answer.header("location").starts_with(CALLBACK), "{foreign:?}: {}", answer.text);
        }
    }
}

#[tokio::test]
async fn cookie_behind_a_unicode_space_binds_no_browser() {
    let world = World::new();
    let client = world.client().await;
    let page = world.get(&world.authorize_path(&client, &[])).await;
    let handle = &page.text.split("name=\"handle\" value=\"").nth(1).expect("a handle")[..43];
    let form = format!("handle={handle}&decision=approve");
    // A subdomain may set a cookie of this name, for the whole domain.
    for space in ["\u{85}", "\u{a0}", "\u{2000}", "\u{2028}", "\u{3000}"] {
        let cookie = format!("{space}{}", set_by(&page)).into_bytes();
        let answer = with_cookies(&world, "POST", "/approve", cookie, &form).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{space:?}");
    }
    let answer = with_cookies(&world, "POST", "/approve", set_by(&page).into_bytes(), &form).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn media_type_beside_foreign_bytes_is_read() {
    let world = World::new();
    let tokens = world.connected().await;
    let header = |value: &[u8], foreign: &[u8]| [value, foreign].concat();
    let refresh = format!("grant_type=refresh_token&refresh_token=x&client_id={}", tokens.client);
    let registration = json!({ "redirect_uris": [CALLBACK] }).to_string();
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" }).to_string();
    for foreign in FOREIGN {
        let form = vec![("content-type", header(b"application/x-www-form-urlencoded; ", foreign))];
        let answer = send(&world, "POST", "/token", &form, &refresh).await;
        assert_eq!(answer.json()["error"], "invalid_grant", "{foreign:?}");
        let json = header(b"application/json; ", foreign);
        let answer =
            send(&world, "POST", "/register", &[("content-type", json.clone())], &registration).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{foreign:?}");
        let accept = header(b"application/json, text/event-stream, ", foreign);
        let bearer = format!("Bearer {}", tokens.access).into_bytes();
        let headers = [("content-type", json), ("accept", accept), ("authorization", bearer)];
        let answer = send(&world, "POST", "/mcp", &headers, &ping).await;
        assert_eq!(answer.status, StatusCode::OK, "{foreign:?}: {}", answer.text);
    }
}

#[tokio::test]
async fn accept_without_a_member_is_as_if_omitted() {
    let world = World::new();
    let bearer = format!("Bearer {}", world.connected().await.access);
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" }).to_string();
    for (accept, status) in [("", 200), (", ,", 200), ("text/html", 406)] {
        let headers = [("content-type", "application/json"), ("accept", accept), ("authorization", &bearer)];
        let answer = world.request("POST", "/mcp", &headers, &ping).await;
        assert_eq!(answer.status.as_u16(), status, "{accept}: {}", answer.text);
    }
}
