//! Deputy's host on Cloudflare Workers. [`host`] has the parts of the core's `Host`, [`store`] its `Store` with KV for
//! clients and a Durable Object for every other record, [`grant_index`] its index of grants, and [`rate_limits`] its rate
//! limits.
//!
//! A Worker exports a function `respond` that calls [`serve`]. The build adds the classes `RecordObject` of
//! `record_object.js` and `GrantIndexObject` of `grant_index_object.js` to its module.

mod audit;
mod binding;
mod calls;
mod clients;
mod encoding;
mod grant_index;
mod host;
mod metrics;
mod objects;
mod rate_limits;
mod store;

use std::cell::RefCell;

use axum::Router;
use deputy::{
    Build, Server,
    config::{self, Config, ConfigError, ConfigErrors, Names},
    host::{Capacity, Host},
};
use worker::{
    Env,
    js_sys::{JSON, Object, Reflect},
    wasm_bindgen::{JsCast as _, JsValue},
    web_sys::Request,
};

pub use grant_index::WorkersGrantIndex;
pub use host::WorkersRuntime;
pub use rate_limits::RateLimits;
pub use store::WorkersStore;

/// A Worker calls it when its module starts.
pub use workers_runtime::start;

/// The tools of a Worker, such as the function that makes a Deputy with them.
pub trait Tools {
    /// The configuration with these variables.
    fn config(&self, variable: &dyn Fn(&str) -> Option<String>) -> Result<Config, ConfigErrors> {
        Config::parse(variable)
    }

    /// Deputy with these tools.
    fn server(&self, config: Config, host: Host) -> Server;
}

impl<F: Fn(Config, Host) -> Server> Tools for F {
    fn server(&self, config: Config, host: Host) -> Server {
        self(config, host)
    }
}

/// Responds to a request with a Deputy that has `tools`, and the variables and bindings of `env`. Returns a response, or a
/// promise of one.
pub fn serve(request: Request, env: Env, tools: impl Tools + 'static) -> JsValue {
    workers_runtime::serve(request, move || router(&env, &tools))
}

thread_local! {
    /// The server of this isolate. Variables and bindings are the same for every request.
    static ROUTER: RefCell<Option<Router>> = const { RefCell::new(None) };
}

fn router(env: &Env, tools: &impl Tools) -> Result<Router, String> {
    if let Some(router) = ROUTER.with_borrow(Clone::clone) {
        return Ok(router);
    }
    let variable = |name: &str| variable(env, name);
    let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    let mut wrong = check_names(env, is_set).err().unwrap_or_default();
    let operations =
        subrequests(variable("SUBREQUESTS")).map_err(|error| wrong.push(error)).unwrap_or_default();
    let config = match tools.config(&variable) {
        Ok(config) if wrong.is_empty() => config,
        result => {
            wrong.extend(result.err().into_iter().flat_map(|errors| errors.0));
            return Err(ConfigErrors(wrong).to_string());
        }
    };
    if config.rate_limits.is_some_and(|limits| limits != config::RateLimits::default()) {
        return Err("RATE_LIMITS: must be on or off; wrangler.jsonc has the limits, at ratelimits".to_owned());
    }
    let host =
        host::host(env, operations).map_err(|error| format!("a binding is missing or wrong: {error}"))?;
    metrics::enable(env);
    let router = tools.server(config, host).with_build(BUILD).router_with_admin();
    ROUTER.with_borrow_mut(|slot| *slot = Some(router.clone()));
    Ok(router)
}

/// The build of this Worker. `scripts/workers.sh` names the commit.
const BUILD: Build = Build {
    version: env!("CARGO_PKG_VERSION"),
    commit: option_env!("DEPUTY_COMMIT"),
    target: option_env!("DEPUTY_BUILD"),
};

/// The text of a variable or of a secret. A variable that is JSON, such as a number or a list, counts as its JSON text.
fn variable(env: &Env, name: &str) -> Option<String> {
    let value = Reflect::get(env, &name.into()).ok().filter(|value| !value.is_null_or_undefined())?;
    value.as_string().or_else(|| JSON::stringify(&value).ok()?.as_string())
}

/// The value of `SUBREQUESTS`: the subrequests that the plan of the account has for a request.
fn subrequests(value: Option<String>) -> Result<usize, ConfigError> {
    let Some(value) = value.filter(|value| !value.is_empty()) else {
        return Ok(Capacity::default().operations);
    };
    let number = value.parse().ok().filter(|number| (50..=10_000).contains(number));
    number.ok_or_else(|| ConfigError {
        name: "SUBREQUESTS".into(),
        problem: "must be a whole number from 50 to 10000".into(),
    })
}

/// Rejects misspelled names among the Worker's variables, secrets and bindings.
fn check_names(env: &Env, is_set: impl Fn(&str) -> bool) -> Result<(), Vec<ConfigError>> {
    let bindings = [
        "AUDIT_QUEUE",
        "AUTHORIZE_RATE",
        "GRANTS",
        "METRICS",
        "OAUTH_KV",
        "RECORDS",
        "REGISTER_RATE",
        "SUBREQUESTS",
        "TOKEN_RATE",
    ];
    let names: Vec<String> =
        Object::keys(env.unchecked_ref::<Object>()).iter().filter_map(|name| name.as_string()).collect();
    let names = names.iter().map(String::as_str);
    for unknown in Names::new(bindings.map(str::to_owned)).check(names, is_set)? {
        // A binding with any other name may belong to the tools.
        if unknown.meant.is_some() {
            tracing::warn!("the variable {unknown}");
        }
    }
    Ok(())
}
