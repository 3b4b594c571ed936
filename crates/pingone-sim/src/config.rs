//! The configuration of the environment: its application, its resource, its users.

/// The configuration of the environment.
#[derive(Clone, Debug)]
pub struct SimConfig {
    /// The origin at which browsers and Deputy reach the simulator.
    pub base_url: String,
    /// A UUID; part of every URL.
    pub environment_id: String,
    /// The DaVinci flow policy of the application: 32 hexadecimal digits.
    pub policy_id: String,
    /// The OIDC web application.
    pub application: Application,
    /// The custom resource.
    pub resource: Resource,
    /// Whether application and resource are left to a client of the management API.
    pub empty: bool,
    /// The worker that reads the management API.
    pub worker: Worker,
    /// The worker that writes to the management API.
    pub provisioner: Worker,
    /// The users at the start.
    pub users: Vec<User>,
}

/// An OIDC web application with `S256_REQUIRED` and `CLIENT_SECRET_BASIC`.
#[derive(Clone, Debug)]
pub struct Application {
    /// The name on the consent page.
    pub name: String,
    /// A UUID.
    pub client_id: String,
    /// The client secret, of 64 characters.
    pub client_secret: String,
    /// Redirect URIs are compared as text; loopback URIs match with any port.
    pub redirect_uris: Vec<String>,
}

/// A worker application, with `CLIENT_SECRET_BASIC`.
#[derive(Clone, Debug)]
pub struct Worker {
    /// A UUID.
    pub client_id: String,
    /// The client secret, of 64 characters.
    pub client_secret: String,
}

/// A custom resource. The application may request all of its scopes.
#[derive(Clone, Debug)]
pub struct Resource {
    /// `aud` of its access tokens.
    pub audience: String,
    /// The scopes of the resource.
    pub scopes: Vec<Scope>,
}

/// A scope of the resource.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The value in requests and tokens.
    pub name: String,
    /// The text on the consent page.
    pub description: String,
}

/// A user of the environment.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct User {
    /// `sub`: a UUID.
    pub id: String,
    /// `preferred_username`
    pub username: String,
    /// The password in clear: this is a simulator.
    pub password: String,
    /// `given_name`
    pub given_name: String,
    /// `family_name`
    pub family_name: String,
    /// `email`
    pub email: String,
    /// Whether the account is locked.
    pub locked: bool,
    /// Whether an administrator disabled the user.
    #[serde(default)]
    pub disabled: bool,
    /// The number of wrong passwords since the last login.
    pub failures: u32,
    /// Whether this user approves without seeing pages, when `login_hint` names the user. `None`: the user sees pages.
    pub headless: Option<bool>,
}

impl SimConfig {
    /// The environment of the demo. Its secrets are public, and useless elsewhere.
    pub fn demo(base_url: &str, redirect_uri: &str, api_identifier: &str) -> Self {
        let scope =
            |name: &str, description: &str| Scope { name: name.into(), description: description.into() };
        let mut users = vec![
            user("a11ce000-0000-4000-8000-000000000001", "alice", "Alice-demo-1", "Alice", "Anders"),
            user("b0b00000-0000-4000-8000-000000000002", "bob", "Bob-demo-1", "Bob", "Brandt"),
            user("ca401000-0000-4000-8000-000000000003", "carol", "Carol-demo-1", "Carol", "Clarke"),
            user("a0700000-0000-4000-8000-000000000004", "auto", "Auto-demo-1", "Auto", "Approve"),
            user("a0700000-0000-4000-8000-000000000005", "auto-deny", "Auto-deny-demo-1", "Auto", "Decline"),
        ];
        users[2].locked = true;
        users[3].headless = Some(true);
        users[4].headless = Some(false);
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
            empty: false,
            provisioner: Worker {
                client_id: "b0e2ce20-0000-4000-8000-0000000000d1".to_owned(),
                client_secret: "demo-provisioner-secret~that.opens_nothing-but-the-simulator.0123".to_owned(),
            },
            worker: Worker {
                client_id: "b0e2ce20-0000-4000-8000-0000000000d0".to_owned(),
                client_secret: "demo-worker-secret~that.opens_nothing-but-the-simulator.01234567".to_owned(),
            },
            users,
        }
    }

    /// This configuration with these scopes of the API, separated by spaces.
    #[must_use]
    pub fn with_scopes(mut self, scopes: &str) -> Self {
        let known = std::mem::take(&mut self.resource.scopes);
        let scope = |name: &str| {
            let known = known.iter().find(|scope| scope.name == name).cloned();
            known.unwrap_or_else(|| Scope { name: name.to_owned(), description: name.to_owned() })
        };
        self.resource.scopes = scopes.split_whitespace().map(scope).collect();
        self
    }

    /// This configuration without application and resource, which a client of the management API creates. The flow policy is there.
    #[must_use]
    pub fn without_application(mut self) -> Self {
        self.empty = true;
        self
    }

    /// This configuration with one more user, who has this `sub`.
    #[must_use]
    pub fn with_user(mut self, id: &str, username: &str, password: &str) -> Self {
        self.users.push(User::named(id, username, password));
        self
    }

    /// The worker with this client id.
    pub(crate) fn worker(&self, client_id: &str) -> Option<&Worker> {
        [&self.worker, &self.provisioner].into_iter().find(|worker| worker.client_id == client_id)
    }

    /// `iss` of every token.
    pub fn issuer(&self) -> String {
        format!("{}/{}/as", self.base_url, self.environment_id)
    }
}

impl Resource {
    pub(crate) fn scope(&self, name: &str) -> Option<&Scope> {
        self.scopes.iter().find(|scope| scope.name == name)
    }

    pub(crate) fn has_scope(&self, name: &str) -> bool {
        self.scope(name).is_some()
    }
}

impl User {
    /// A user whose given and family names are the username.
    pub(crate) fn named(id: &str, username: &str, password: &str) -> Self {
        user(id, username, password, username, username)
    }
}

fn user(id: &str, username: &str, password: &str, given_name: &str, family_name: &str) -> User {
    User {
        id: id.into(),
        username: username.into(),
        password: password.into(),
        given_name: given_name.into(),
        family_name: family_name.into(),
        email: format!("{username}@example.com"),
        locked: false,
        disabled: false,
        failures: 0,
        headless: None,
    }
}
