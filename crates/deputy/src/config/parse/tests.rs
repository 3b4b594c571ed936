use super::*;
use crate::config::DefaultValue;
use crate::config::{ClientApproval, ClientAuth, RateLimits, Syntax, variables};

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

fn problems(changes: &[(&str, &str)]) -> Vec<String> {
    parse_with(changes).map(|_| ()).unwrap_err().0.iter().map(ToString::to_string).collect()
}

#[test]
fn complete_configuration_has_the_documented_defaults() {
    let config = parse_with(&[]).expect("good");
    assert_eq!(config.public_url.resource(), "https://deputy.example/mcp");
    assert_eq!(config.api.scopes.to_string(), "todo:read todo:write");
    assert!(!config.api.reveal_token);
    assert_eq!(config.client_approval, ClientApproval::Loopback);
    assert_eq!(config.rate_limits, Some(RateLimits::default()));
    assert_eq!(config.access_token_lifetime.as_secs(), 28_800);
    assert_eq!(config.refresh_token_lifetime.as_secs(), 30 * 86_400);
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
fn missing_variable_is_refused_with_what_to_set() {
    assert_eq!(
        problems(&[("PINGONE_DV_POLICY_ID", ""), ("MCP_SERVER_CLIENT_SECRET", "")]),
        [
            "PINGONE_DV_POLICY_ID: is not set. Set it to the id of the DaVinci flow policy that users log in with, such as \
             0123456789abcdef0123456789abcdef",
            "PINGONE_CLIENT_SECRET: is not set. Set it, or MCP_SERVER_CLIENT_SECRET, its former name, to the client secret of \
             Deputy's application at PingOne: text without white space around it",
        ]
    );
}

/// Names of today, with those of the server that Deputy replaces.
const RENAMED: [(&str, &str); 3] = [
    ("PINGONE_CLIENT_ID", "MCP_SERVER_CLIENT_ID"),
    ("PINGONE_CLIENT_SECRET", "MCP_SERVER_CLIENT_SECRET"),
    ("SERVER_KEY", "COOKIE_ENCRYPTION_KEY"),
];

#[test]
fn name_and_former_name_set_the_same_variable() {
    let of = |changes: &[(&str, &str)]| {
        let config = parse_with(changes).expect("good");
        let ClientAuth::Basic(secret) = &config.pingone.client_auth else { panic!("{config:?}") };
        let secret = secret.expose().clone();
        (config.pingone.client_id, secret, config.keys.newest().tokens.mac::<32>(&[]))
    };
    let renamed = RENAMED.map(|(name, former)| {
        let value = GOOD.iter().find(|(good, _)| *good == former).expect("good").1;
        [(name, value), (former, "")]
    });
    assert_eq!(of(&renamed.concat()), of(&[]));
    let both = renamed.map(|[new, _]| new);
    assert_eq!(of(&both), of(&[]), "both names with the same value");
    let post = parse_with(&[("PINGONE_CLIENT_AUTH", "client_secret_post")]).expect("good");
    assert!(matches!(post.pingone.client_auth, ClientAuth::Post(_)));
}

#[test]
fn different_values_of_the_two_names_are_refused() {
    for (name, former) in RENAMED.into_iter().chain([("PINGONE_CLIENT_AUTH", "MCP_SERVER_CLIENT_AUTH")]) {
        let expected = format!(
            "{name}: has another value than {former}, which is its former name; remove one of the two"
        );
        assert_eq!(problems(&[(name, "canary 1"), (former, "canary 2")]), [expected]);
    }
}

#[test]
fn wrong_value_is_refused_under_the_name_that_is_set() {
    for name in ["SERVER_KEY", "COOKIE_ENCRYPTION_KEY"] {
        let unset = [("COOKIE_ENCRYPTION_KEY", "")].into_iter().filter(|(other, _)| *other != name);
        let changes: Vec<_> = unset.chain([(name, "canary")]).collect();
        assert_eq!(refused(&changes), [name]);
        assert!(!problems(&changes).concat().contains("canary"));
    }
}

#[test]
fn documented_examples_and_defaults_are_valid() {
    for variable in variables() {
        assert_eq!(variable.secret, variable.example.is_none(), "{}", variable.name);
        let former = variable.former_name.map(|former| (former, ""));
        let default = match variable.default {
            DefaultValue::Value(value) => Some(value),
            DefaultValue::Native(_) | DefaultValue::Required => None,
        };
        for value in variable.example.into_iter().chain(default) {
            let changes: Vec<_> = former.into_iter().chain([(variable.name, value)]).collect();
            assert_eq!(parse_with(&changes).map(|_| ()), Ok(()), "{}={value}", variable.name);
        }
    }
}

#[test]
fn client_key_takes_the_place_of_the_client_secret() {
    let method = ("PINGONE_CLIENT_AUTH", "private_key_jwt");
    let no_secret = ("MCP_SERVER_CLIENT_SECRET", "");
    assert_eq!(refused(&[method, no_secret]), ["PINGONE_CLIENT_KEY"]);
    assert_eq!(refused(&[no_secret, ("PINGONE_CLIENT_KEY", CLIENT_KEY)]), ["PINGONE_CLIENT_SECRET"]);
    let config = parse_with(&[method, no_secret, ("PINGONE_CLIENT_KEY", CLIENT_KEY)]).expect("good");
    assert!(matches!(config.pingone.client_auth, ClientAuth::Key(_)));
    let private: serde_json::Value = serde_json::from_str(CLIENT_KEY).expect("JSON");
    assert!(!format!("{config:?}").contains(&private["d"].as_str().expect("a key")[..20]));
}

const CLIENT_KEY: &str = include_str!("../../../../../tests/requests/pingone_client_key.json");

#[test]
fn documented_words_and_bounds_are_those_accepted() {
    // One of the words needs the key.
    let key = ("PINGONE_CLIENT_KEY", CLIENT_KEY);
    let refused_with =
        |name: &str, value: String| parse_with(&[key, (name, &value)]).err().map(|errors| errors.to_string());
    for variable in variables() {
        match &variable.syntax {
            Syntax::Choice(choices) => {
                assert!(choices.len() > 1);
                for (word, _) in *choices {
                    assert_eq!(refused_with(variable.name, (*word).to_owned()), None);
                    assert!(refused_with(variable.name, format!("{word} ")).is_some());
                }
            }
            Syntax::Seconds(range) => {
                let (least, most) = (*range.start(), *range.end());
                for value in [least - 1, most + 1] {
                    let error = refused_with(variable.name, value.to_string()).expect("out of bounds");
                    assert!(error.contains(&variable.syntax.to_string()), "{error}");
                }
                for value in [least, most].map(|value| value.to_string()) {
                    // Refresh tokens live at least as long as access tokens.
                    let both =
                        ["ACCESS_TOKEN_LIFETIME", "REFRESH_TOKEN_LIFETIME"].map(|name| (name, &*value));
                    assert_eq!(parse_with(&both).map(|_| ()), Ok(()), "{value}");
                }
            }
            Syntax::Text(_) => {}
        }
    }
}

#[test]
fn malformed_issuer_is_refused() {
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
fn short_key_is_refused_and_two_keys_are_accepted() {
    assert_eq!(refused(&[("COOKIE_ENCRYPTION_KEY", "AAAA")]), ["COOKIE_ENCRYPTION_KEY"]);
    let two = format!("{0},{0}", GOOD[7].1);
    assert_eq!(parse_with(&[("COOKIE_ENCRYPTION_KEY", &two)]).expect("good").keys.iter().count(), 2);
}

#[test]
fn value_that_would_fail_every_login_is_refused() {
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
fn public_url_may_end_with_a_slash_and_not_with_a_path() {
    assert_eq!(refused(&[("PUBLIC_URL", "https://deputy.example/a")]), ["PUBLIC_URL"]);
    let config = parse_with(&[("PUBLIC_URL", "http://localhost:8787/")]).expect("good");
    assert_eq!(config.public_url.issuer(), "http://localhost:8787");
    assert!(config.public_url.is_loopback());
}
