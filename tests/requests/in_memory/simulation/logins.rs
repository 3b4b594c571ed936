//! Concurrent decisions and callbacks of one login.

use axum::body::Body;
use http::Request;
use url::form_urlencoded;

use super::{End, Failures, Faults, NO_FAULTS, Run, faults_for, for_each_seed};
use crate::world::{DEPUTY, PINGONE, World, handle_in};

impl Run<'_> {
    /// A browser with this cookie posts a decision.
    fn send_decision(&self, kind: &'static str, handle: &str, cookie: &str, decision: &str) {
        let form = [("handle", handle), ("decision", decision)];
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = Request::post(format!("{DEPUTY}/approve"))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin")
            .header("cookie", cookie)
            .body(Body::from(body));
        self.send(kind, request.expect("a request"));
    }

    /// A browser with this cookie returns from PingOne.
    fn send_callback(&self, path: &str, cookie: &str) {
        let request = Request::get(format!("{DEPUTY}{path}")).header("cookie", cookie).body(Body::empty());
        self.send("callback", request.expect("a request"));
    }

    /// The number of responses of this kind that redirect to a URL with this beginning.
    fn redirects_to(&self, kind: &str, start: &str) -> usize {
        self.outcomes(kind).iter().filter(|outcome| outcome.location.starts_with(start)).count()
    }
}

/// An approval page: its handle, and the cookie of the browser that shows it.
async fn open_approval_page(world: &World) -> (String, String) {
    let client = world.client().await;
    let page = world.get(&world.authorize_path(&client, &[])).await;
    let handle = handle_in(&page.text).expect("a handle").to_owned();
    (handle, page.header("set-cookie").split(';').next().expect("a cookie").to_owned())
}

/// A login that PingOne has finished: the path that the browser is sent to, and its cookie.
async fn finished_at_pingone(world: &World) -> (String, String) {
    let client = world.client().await;
    let mut browser = world.browser();
    let page = browser.open(&world.authorize_url(&client, &[])).await;
    let page = browser.submit(&page, &[], "approve").await;
    // Deputy is unreachable when the browser returns, so that the callback stays unused.
    world.network.unplug(DEPUTY);
    let fields = [("username", "alice"), ("password", "Alice-demo-1")];
    let page = browser.submit(&page, &fields, "SIGNON").await;
    // PingOne asks for consent only once.
    let page = if page.query("code").is_some() { page } else { browser.submit(&page, &[], "APPROVE").await };
    world.start(&[]);
    let name = browser.cookie_names(DEPUTY).into_iter().find(|name| name.starts_with("__Host-mcp-login-"));
    let name = name.expect("the cookie of the login");
    let cookie = format!("{name}={}", browser.cookie(DEPUTY, &name).expect("its value"));
    (page.url.as_str().strip_prefix(DEPUTY).expect("an address of Deputy's").to_owned(), cookie)
}

#[tokio::test]
async fn concurrent_decisions_on_one_page_count_once() {
    for_each_seed(async |world, seed| {
        let (handle, cookie) = open_approval_page(world).await;
        let mut run = Run::new(world, seed, faults_for(seed));
        run.send_decision("deny", &handle, &cookie, "deny");
        for _ in 0..=seed % 4 {
            run.send_decision("approve", &handle, &cookie, "approve");
        }
        run.run_to_end();
        let (logins, refusals) =
            (run.redirects_to("approve", PINGONE), run.redirects_to("deny", "https://client.example/"));
        assert!(logins + refusals <= 1, "{logins} logins and {refusals} refusals from one page");
        if seed % 2 == 0 {
            assert_eq!(logins + refusals, 1, "no decision counted");
        }
        run.send_decision("late", &handle, &cookie, "approve");
        run.run_to_end();
        assert!(run.redirects_to("late", PINGONE) == 0 || logins + refusals == 0);
    })
    .await;
}

#[tokio::test]
async fn concurrent_callbacks_of_one_login_count_once() {
    for_each_seed(async |world, seed| {
        let (path, cookie) = finished_at_pingone(world).await;
        let before = world.pingone.requests("token");
        let mut run = Run::new(world, seed, faults_for(seed));
        for _ in 0..2 + seed % 3 {
            run.send_callback(&path, &cookie);
        }
        run.run_to_end();
        let codes = run.redirects_to("callback", "https://client.example/cb?code=");
        assert!(codes <= 1, "{codes} codes from one login");
        if seed % 2 == 0 {
            assert_eq!(codes, 1, "no callback got the code");
        }
        run.send_callback(&path, &cookie);
        run.run_to_end();
        let late = run.redirects_to("callback", "https://client.example/cb?code=");
        assert!(late <= 1 && world.pingone.requests("token") - before <= 1, "PingOne's code was used twice");
    })
    .await;
}

#[tokio::test]
async fn crash_during_a_login_gives_at_most_one_code() {
    let world = World::new();
    for step in 0.. {
        let (path, cookie) = finished_at_pingone(&world).await;
        let mut run = Run::new(&world, 0, Faults { crash_after: Some(step), ..NO_FAULTS });
        run.send_callback(&path, &cookie);
        let end = run.run_to_end();
        gives_one_code(&mut run, &path, &cookie);
        if end == End::AllFinished {
            assert!(step > 6, "{step} steps");
            break;
        }
    }
    for chance in 0.. {
        let (path, cookie) = finished_at_pingone(&world).await;
        let mut run = Run::new(&world, 0, Faults { store_failures: Failures::At(chance), ..NO_FAULTS });
        run.send_callback(&path, &cookie);
        run.run_to_end();
        let chances = run.host.chances();
        gives_one_code(&mut run, &path, &cookie);
        if chances <= chance {
            assert!(chance > 3, "{chance} chances to fail");
            break;
        }
    }
}

/// Repeats the callback without faults, and checks that the login has given at most one code.
fn gives_one_code(run: &mut Run<'_>, path: &str, cookie: &str) {
    run.faults = NO_FAULTS;
    run.send_callback(path, cookie);
    run.run_to_end();
    assert!(run.redirects_to("callback", "https://client.example/cb?code=") <= 1);
}
