//! The home page, the icon, and the operator's name and links on every page.

use http::StatusCode;

use crate::world::{Response, World, agents_url};

const BRAND: [(&str, &str); 4] = [
    ("BRAND_NAME", "Example <to-dos>"),
    ("BRAND_LOGO", "data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciLz4="),
    ("CONTACT_URL", "mailto:help@example.com"),
    ("POLICY_URL", "https://example.com/privacy?a=1&b=2"),
];

#[tokio::test]
async fn home_page_says_how_to_connect_and_disconnect() {
    let page = World::new().get("/").await;
    assert_eq!(page.status, StatusCode::OK);
    for text in [
        "<h1>Let AI agents use your to-do list</h1>",
        "Get my todo list <span class=\"soft\">(only reads)</span>",
        "<li>Delete a todo</li>",
        "claude mcp add <span>--transport</span> http deputy https://deputy.example/mcp",
        "codex mcp add deputy <span>--url</span> https://deputy.example/mcp",
        r#"{"mcpServers":{"deputy":{"url":"https://deputy.example/mcp"}}}"#,
        "code <span>--add-mcp</span>",
        "<a href=\"/agents\">",
    ] {
        assert!(page.text.contains(text), "{text}: {}", page.text);
    }
    assert_eq!(World::new().request("POST", "/", &[], "").await.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn brand_and_links_are_on_every_page() {
    let world = World::with(&BRAND);
    let client = world.client().await;
    let mut browser = world.browser();
    let approval = browser.open(&world.authorize_url(&client, &[])).await.text;
    let sign_in = browser.open(&agents_url()).await.text;
    let agents = world.sign_in_to_agents(&mut browser, "alice").await.text;
    let error = world.get("/authorize").await.text;
    let home = world.get("/").await.text;
    for page in [approval, sign_in, agents, error, home] {
        for text in [
            "Example &#60;to-dos&#62;</p>",
            "<img src=\"/icon\"",
            "href=\"mailto:help@example.com\"",
            "href=\"https://example.com/privacy?a=1&#38;b=2\"",
        ] {
            assert!(page.contains(text), "{text}: {page}");
        }
    }
    let home = world.get("/").await.text;
    assert!(home.contains("claude mcp add <span>--transport</span> http example-to-dos "), "{home}");
}

#[tokio::test]
async fn pages_load_nothing_from_another_server() {
    let world = World::with(&BRAND);
    let page = world.get("/").await;
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(policy.contains("img-src 'self'; frame-ancestors 'none'; base-uri 'none'"), "{policy}");
    for text in ["<script", "src=\"http", "@import", "url("] {
        assert!(!page.text.contains(text), "{text}");
    }
}

#[tokio::test]
async fn logo_is_served_without_rights() {
    let is_inert = |icon: &Response| {
        let policy = icon.header("content-security-policy");
        assert_eq!((icon.status, icon.header("content-type").as_str()), (StatusCode::OK, "image/svg+xml"));
        assert!(policy.starts_with("default-src 'none';") && policy.contains("sandbox"), "{policy}");
        assert_eq!(icon.header("x-content-type-options"), "nosniff");
    };
    let default = World::new().get("/favicon.ico").await;
    is_inert(&default);
    let own = World::with(&BRAND).get("/icon").await;
    is_inert(&own);
    assert_eq!(own.text, "<svg xmlns=\"http://www.w3.org/2000/svg\"/>");
    assert_ne!(default.text, own.text);
}

#[tokio::test]
async fn page_that_ends_a_way_says_that_it_can_be_closed() {
    let page = World::new().get("/authorize").await;
    assert!(page.text.contains("You can close this window."), "{}", page.text);
}
