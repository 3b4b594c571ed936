use super::*;

const GOOD: [(&str, &str); 8] = [
    ("PUBLIC_URL", "https://deputy.example"),
    ("PINGONE_ISSUER", "https://auth.pingone.eu/00000000-0000-4000-8000-000000000000/as"),
    ("PINGONE_DV_POLICY_ID", "8b560eda9614e47d163c8bb92750ac3b"),
    ("MCP_SERVER_CLIENT_ID", "client"),
    ("MCP_SERVER_CLIENT_SECRET", "canary"),
    ("API_IDENTIFIER", "https://todo.example"),
    ("API_URL", "https://todo.example"),
    ("COOKIE_ENCRYPTION_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
];

fn parse_with(changes: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    Config::parse(|name| {
        let of = |list: &[(&str, &str)]| list.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        of(changes).or_else(|| of(&GOOD))
    })
}

fn refused(changes: &[(&str, &str)]) -> Vec<String> {
    parse_with(changes).map(|_| ()).unwrap_err().0.into_iter().map(|error| error.name.into()).collect()
}

#[test]
fn a_complete_configuration_is_accepted_with_its_defaults() {
    let config = parse_with(&[]).expect("good");
    assert_eq!(config.public_url.resource(), "https://deputy.example/mcp");
    assert_eq!(config.api.scopes.to_string(), "todo:read todo:write");
    assert!(!config.api.reveal_token);
    assert_eq!(config.client_approval, ClientApproval::Loopback);
}

#[test]
fn every_wrong_variable_is_named_at_once_and_no_value_is_shown() {
    let errors = parse_with(&[
        ("PUBLIC_URL", "http://deputy.example"),
        ("MCP_SERVER_CLIENT_SECRET", " canary"),
        ("COOKIE_ENCRYPTION_KEY", "canary"),
        ("API_URL", "ftp://canary"),
    ])
    .unwrap_err();
    let names: Vec<_> = errors.0.iter().map(|error| &*error.name).collect();
    assert_eq!(names, ["PUBLIC_URL", "MCP_SERVER_CLIENT_SECRET", "API_URL", "COOKIE_ENCRYPTION_KEY"]);
    assert!(!errors.to_string().contains("canary"));
}

#[test]
fn an_issuer_that_is_not_one_is_refused() {
    for issuer in [
        "pingone",
        "http://auth.pingone.eu/x/as",
        "https://auth.pingone.eu/x/as/",
        "https://auth.pingone.eu/x",
        "https://auth.pingone.eu/x/as/.well-known/openid-configuration",
        "https://auth.pingone.eu/x/as?a=b",
    ] {
        assert_eq!(refused(&[("PINGONE_ISSUER", issuer)]), ["PINGONE_ISSUER"], "{issuer}");
    }
}

#[test]
fn rate_limits_are_on_off_or_numbers() {
    let limits = |value| parse_with(&[("RATE_LIMITS", value)]).expect("good").rate_limits;
    assert_eq!(limits("off"), None);
    assert_eq!(limits("on"), Some(RateLimits::default()));
    let few = limits("register=2,token=3").expect("on");
    assert_eq!((few.authorize.get(), few.register.get(), few.token.get()), (120, 2, 3));
    for wrong in ["no", "register", "register=0", "register=-1", "mcp=1", "register=2,", "token=99999999999"]
    {
        assert_eq!(refused(&[("RATE_LIMITS", wrong)]), ["RATE_LIMITS"], "{wrong}");
    }
}

#[test]
fn misspelled_value_of_a_switch_is_refused_with_those_allowed() {
    for (name, wrong, allowed) in [
        (
            "CLIENT_APPROVAL",
            &["Always", "allways", "true", "off", "always "][..],
            &["always", "remember"][..],
        ),
        ("CLIENT_ID_METADATA_DOCUMENTS", &["false", "no", "OFF", "0"], &["on", "off"]),
        (
            "MCP_SERVER_CLIENT_AUTH",
            &["basic", "client_secret_jwt"],
            &["client_secret_basic", "client_secret_post"],
        ),
        ("PINGONE_SEND_RESOURCE", &["no", "true", "On"], &["on", "off"]),
        ("RATE_LIMITS", &["false", "Off", "none", "authorize", "login=1"], &["on", "off", "authorize=120"]),
        ("WHO_AM_I_TOKEN", &["Full", "claim", "off"], &["claims", "full"]),
    ] {
        for wrong in wrong {
            let error = parse_with(&[(name, wrong)]).map(|_| ()).unwrap_err().to_string();
            assert!(allowed.iter().all(|allowed| error.contains(allowed)), "{name}={wrong}: {error}");
        }
    }
}

#[test]
fn a_short_key_is_refused_and_two_keys_are_accepted() {
    assert_eq!(refused(&[("COOKIE_ENCRYPTION_KEY", "AAAA")]), ["COOKIE_ENCRYPTION_KEY"]);
    let two = format!("{0},{0}", GOOD[7].1);
    assert_eq!(parse_with(&[("COOKIE_ENCRYPTION_KEY", &two)]).expect("good").keys.iter().count(), 2);
}

#[test]
fn what_would_start_and_fail_every_login_is_refused() {
    for (name, value) in [
        ("API_SCOPES", "todo:read,todo:write"),
        ("API_SCOPES", "openid"),
        ("API_SCOPES", "todo:read offline_access"),
        ("PRIVATE_USE_REDIRECT_URIS", "cursor://a/b,vscode://c/d"),
        ("PRIVATE_USE_REDIRECT_URIS", ", "),
        ("REFRESH_TOKEN_LIFETIME", "3599"),
        ("PUBLIC_URL", "https://deputy.example:443"),
    ] {
        assert_eq!(refused(&[(name, value)]), [name], "{value}");
    }
    assert!(parse_with(&[("ACCESS_TOKEN_LIFETIME", "60"), ("REFRESH_TOKEN_LIFETIME", "60")]).is_ok());
    assert!(parse_with(&[("PUBLIC_URL", "http://localhost")]).is_ok());
}

#[test]
fn a_public_url_with_a_path_is_refused_and_a_final_slash_is_not() {
    assert_eq!(refused(&[("PUBLIC_URL", "https://deputy.example/a")]), ["PUBLIC_URL"]);
    let config = parse_with(&[("PUBLIC_URL", "http://localhost:8787/")]).expect("good");
    assert_eq!(config.public_url.issuer(), "http://localhost:8787");
    assert!(config.public_url.is_loopback());
}
