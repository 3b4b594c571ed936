//! One environment: its application, its resource, its people.

/// What there is at the beginning.
#[derive(Clone, Debug)]
pub struct SimConfig {
    /// Where the simulator is reached: an origin.
    pub base_url: String,
    /// A UUID.
    pub environment_id: String,
    /// The one DaVinci flow policy that is assigned to the application: 32 hexadecimal digits.
    pub policy_id: String,
    /// The OIDC web application.
    pub application: Application,
    /// The custom resource.
    pub resource: Resource,
    /// Who can log in.
    pub people: Vec<Person>,
}

/// An OIDC web application with `S256_REQUIRED` and `CLIENT_SECRET_BASIC`.
#[derive(Clone, Debug)]
pub struct Application {
    /// Shown on the consent page.
    pub name: String,
    /// A UUID.
    pub client_id: String,
    /// 64 characters.
    pub client_secret: String,
    /// Compared as text; loopback addresses match with any port.
    pub redirect_uris: Vec<String>,
}

/// A custom resource, all of whose scopes are granted to the application.
#[derive(Clone, Debug)]
pub struct Resource {
    /// `aud` of its access tokens.
    pub audience: String,
    /// Its scopes.
    pub scopes: Vec<Scope>,
}

/// A scope.
#[derive(Clone, Debug)]
pub struct Scope {
    /// As it is asked for.
    pub name: String,
    /// As a person reads it.
    pub description: String,
}

/// A person who can log in.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Person {
    /// `sub`: a UUID.
    pub id: String,
    /// `preferred_username`
    pub username: String,
    /// In clear: this is a simulator.
    pub password: String,
    /// `given_name`
    pub given_name: String,
    /// `family_name`
    pub family_name: String,
    /// `email`
    pub email: String,
    /// Whether logging in is refused.
    pub locked: bool,
    /// Wrong passwords in a row.
    pub failures: u32,
    /// Does not see pages when named by `login_hint`: logs in, and approves or declines.
    pub headless: Option<bool>,
}

impl SimConfig {
    /// The environment of the demo. Its secrets are published here and good for nothing else.
    pub fn demo(base_url: &str, redirect_uri: &str, api_identifier: &str) -> Self {
        let scope =
            |name: &str, description: &str| Scope { name: name.into(), description: description.into() };
        let mut people = vec![
            person("a11ce000-0000-4000-8000-000000000001", "alice", "Alice-demo-1", "Alice", "Anders"),
            person("b0b00000-0000-4000-8000-000000000002", "bob", "Bob-demo-1", "Bob", "Brandt"),
            person("ca401000-0000-4000-8000-000000000003", "carol", "Carol-demo-1", "Carol", "Clarke"),
            person("a0700000-0000-4000-8000-000000000004", "auto", "Auto-demo-1", "Auto", "Approve"),
            person(
                "a0700000-0000-4000-8000-000000000005",
                "auto-deny",
                "Auto-deny-demo-1",
                "Auto",
                "Decline",
            ),
        ];
        people[2].locked = true;
        people[3].headless = Some(true);
        people[4].headless = Some(false);
        Self {
            base_url: base_url.trim_end_matches('/').to_owned(),
            environment_id: "5e1f0000-0000-4000-8000-00000000de90".to_owned(),
            policy_id: "d0b1c2d3e4f5061728394a5b6c7d8e9f".to_owned(),
            application: Application {
                name: "Deputy".to_owned(),
                client_id: "dec1a2e0-0000-4000-8000-000000000c1d".to_owned(),
                client_secret: "demo-secret~that.opens_nothing-but-the-simulator.0123456789abcde".to_owned(),
                redirect_uris: vec![redirect_uri.to_owned()],
            },
            resource: Resource {
                audience: api_identifier.to_owned(),
                scopes: vec![
                    scope("todo:read", "See your to-do list"),
                    scope("todo:write", "Add to-dos, check them off and delete them"),
                ],
            },
            people,
        }
    }

    /// `iss` of every token.
    pub fn issuer(&self) -> String {
        format!("{}/{}/as", self.base_url, self.environment_id)
    }
}

impl Person {
    /// A person whose names are their username.
    pub(crate) fn named(id: &str, username: &str, password: &str) -> Self {
        person(id, username, password, username, username)
    }
}

fn person(id: &str, username: &str, password: &str, given_name: &str, family_name: &str) -> Person {
    Person {
        id: id.into(),
        username: username.into(),
        password: password.into(),
        given_name: given_name.into(),
        family_name: family_name.into(),
        email: format!("{username}@example.com"),
        locked: false,
        failures: 0,
        headless: None,
    }
}
