//! The tenant, as the management API shows it to a worker that only reads.

mod application;
mod environment;
mod flow;
mod grants;
mod policy;

use deputy::{config::Config, host::Timestamp, types::Scopes};
use serde_json::Value;
use tokio::join;

use super::{
    check::{Finding, Group, Seen, Unknown, judge},
    network::Documents,
};
use crate::management::{Management, Probe, Read, SignInError, Unread, Worker};
use flow::Flow;

/// Everything that the checks of this group look at.
struct Tenant {
    config: Config,
    /// Whether Deputy pushes its authorization requests.
    pushes: bool,
    now: Timestamp,
    application: Read,
    grants: Read,
    /// Every resource of the environment.
    resources: Read,
    /// The scopes of the resource whose audience is the API.
    api_scopes: Read,
    openid_scopes: Read,
    assignments: Read,
    sign_on_policies: Read,
    policy: Read,
    products: Read,
    subscriptions: Read,
    roles: Read,
    /// The role assignments of the worker that reads.
    worker_roles: Read,
}

pub(super) async fn findings(
    probe: &Probe,
    config: &Config,
    documents: &Documents,
    worker: Option<Worker>,
) -> Vec<Finding> {
    let skipped = |reason: &str| vec![Finding::skipped(Group::Tenant, reason)];
    let Some(worker) = worker else {
        return skipped(
            "set PINGONE_WORKER_CLIENT_ID and PINGONE_WORKER_CLIENT_SECRET to look at the tenant; docs/doctor.md",
        );
    };
    let Ok(discovery) = &documents.discovery else {
        return skipped("PingOne's discovery document cannot be used");
    };
    let client_id = worker.client_id.clone();
    let management =
        match Management::sign_in(probe, &config.pingone, &discovery.token_endpoint, worker).await {
            Ok(management) => management,
            Err(error @ SignInError::Address) => return skipped(&error.to_string()),
            Err(error) => return vec![no_token(&error.to_string())],
        };
    let reader = Reader { probe, management };
    let pushes = !matches!(discovery.push_endpoint(&config.pingone), Ok(None));
    let tenant = reader.tenant(config, pushes, &client_id).await;
    let known = [&tenant.application, &tenant.policy, &tenant.roles].map(Clone::clone);
    let ours = (&*config.pingone.client_id, &config.api.scopes);
    let flow = Flow::behind(&config.pingone.policy_id, &reader.management, ours, known).await;
    let judged = |checks| judge(Group::Tenant, checks, &tenant);
    [
        judged(application::CHECKS),
        judged(grants::CHECKS),
        judged(policy::CHECKS),
        judge(Group::Tenant, flow::CHECKS, &flow),
        judged(environment::CHECKS),
    ]
    .concat()
}

/// The findings about the flow behind a policy, which asks the users of an application for consent to scopes.
pub(crate) async fn flow_findings(
    management: &Management,
    client_id: &str,
    scopes: &Scopes,
    policy_id: &str,
) -> Vec<Finding> {
    let (application, policy) = (format!("/applications/{client_id}"), format!("/flowPolicies/{policy_id}"));
    let read = join!(management.one(&application), management.one(&policy), management.roles());
    let flow = Flow::behind(policy_id, management, (client_id, scopes), read.into()).await;
    judge(Group::Tenant, flow::CHECKS, &flow)
}

fn no_token(seen: &str) -> Finding {
    let fix = "copy PINGONE_WORKER_CLIENT_ID and PINGONE_WORKER_CLIENT_SECRET from a worker of this environment with Client \
               Secret Basic, and give it the role Configuration Read Only and, if PingOne offers it, DaVinci Admin Read Only";
    let check = ("worker", "token endpoint: client_credentials", "Applications → your worker → Roles");
    Finding::new(Group::Tenant, check, Ok(Seen::failure(seen, fix)))
}

/// Reads the management API.
struct Reader<'a> {
    probe: &'a Probe,
    management: Management,
}

impl Reader<'_> {
    async fn one(&self, path: &str) -> Read {
        self.management.one(path).await
    }

    async fn all(&self, path: &str, name: &str) -> Read {
        self.management.all(path, name).await
    }

    async fn tenant(&self, config: &Config, pushes: bool, worker: &str) -> Tenant {
        let application = format!("/applications/{}", config.pingone.client_id);
        let below = |name: &str| format!("{application}/{name}");
        let (grants, assignments, sign_on) =
            (below("grants"), below("flowPolicyAssignments"), below("signOnPolicyAssignments"));
        let policy = format!("/flowPolicies/{}", config.pingone.policy_id);
        let worker_roles = format!("/applications/{worker}/roleAssignments");
        let (
            application,
            grants,
            assignments,
            sign_on_policies,
            policy,
            products,
            subscriptions,
            roles,
            worker_roles,
            resources,
        ) = join!(
            self.one(&application),
            self.all(&grants, "grants"),
            self.all(&assignments, "flowPolicyAssignments"),
            self.all(&sign_on, "signOnPolicyAssignments"),
            self.one(&policy),
            self.one("/billOfMaterials"),
            self.all("/subscriptions", "subscriptions"),
            self.management.roles(),
            self.all(&worker_roles, "roleAssignments"),
            self.resources(config),
        );
        let (resources, api_scopes, openid_scopes) = resources;
        Tenant {
            config: config.clone(),
            pushes,
            now: self.probe.host().now(),
            application,
            grants,
            resources,
            api_scopes,
            openid_scopes,
            assignments,
            sign_on_policies,
            policy,
            products,
            subscriptions,
            roles,
            worker_roles,
        }
    }

    /// The resources, and the scopes of the API's and of OpenID Connect's.
    async fn resources(&self, config: &Config) -> (Read, Read, Read) {
        let resources = self.all("/resources", "resources").await;
        let id = |name: &str, value: &str| {
            let found = resources
                .as_ref()
                .map_err(Clone::clone)?
                .as_array()
                .into_iter()
                .flatten()
                .find(|item| item[name] == value);
            Ok(found.ok_or(Unread::Absent)?["id"].as_str().unwrap_or_default().to_owned())
        };
        let scopes = async |id: Result<String, Unread>| {
            self.all(&format!("/resources/{}/scopes", id?), "scopes").await
        };
        let (api, openid) = (id("audience", &config.api.identifier), id("type", "OPENID_CONNECT"));
        let (api, openid) = join!(scopes(api), scopes(openid));
        (resources, api, openid)
    }
}

/// A property of DaVinci, which may be wrapped in an object.
fn value(property: &Value) -> &Value {
    property.get("value").unwrap_or(property)
}

/// The document, or the reason why a check of it is skipped.
fn known(read: &Read) -> Result<&Value, Unknown> {
    read.as_ref().map_err(|unread| unread.clone().into())
}

/// The items of a collection, or the reason why a check of them is skipped.
fn items(read: &Read) -> Result<&[Value], Unknown> {
    Ok(known(read)?.as_array().map(Vec::as_slice).unwrap_or_default())
}

/// The texts in a list.
fn texts(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The names of the roles in role assignments, in alphabetical order. `roles` are all of PingOne.
fn role_names<'a>(roles: &'a Read, assignments: &Read) -> Result<Vec<&'a str>, Unknown> {
    let roles = items(roles)?;
    let name =
        |id: &Value| roles.iter().find(|role| role["id"] == *id).and_then(|role| role["name"].as_str());
    let mut names: Vec<_> =
        items(assignments)?.iter().filter_map(|assignment| name(&assignment["role"]["id"])).collect();
    names.sort_unstable();
    names.dedup();
    Ok(names)
}
