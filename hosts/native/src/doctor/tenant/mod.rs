//! The tenant, as the management API shows it to a worker that only reads.

mod application;
mod environment;
mod flow;
mod grants;
mod policy;

use deputy::{config::Config, host::Timestamp};
use serde_json::Value;
use tokio::join;

use super::{
    check::{Finding, Group, Seen, Unknown, judge},
    network::Documents,
};
use crate::management::{Management, Probe, Read, SignInError, Unread, Worker};

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
    flow: Read,
    connector: Read,
    connector_worker: Read,
    connector_roles: Read,
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
    [application::CHECKS, grants::CHECKS, policy::CHECKS, flow::CHECKS, environment::CHECKS]
        .iter()
        .flat_map(|checks| judge(Group::Tenant, checks, &tenant))
        .collect()
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
            flow,
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
            self.flow(config),
        );
        let (resources, api_scopes, openid_scopes) = resources;
        let (flow, connector, connector_worker, connector_roles) = flow;
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
            flow,
            connector,
            connector_worker,
            connector_roles,
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

    /// The flow behind the policy, the connector instance of its consent node, and the worker of that with its roles.
    async fn flow(&self, config: &Config) -> (Read, Read, Read, Read) {
        let flow = self.flow_of(&config.pingone.policy_id).await;
        let connection = async {
            let node =
                flow::node(flow.as_ref().map_err(Clone::clone)?, flow::CONSENT).ok_or(Unread::Absent)?;
            let id = node["connectionId"].as_str().ok_or(Unread::Absent)?;
            self.one(&format!("/connectorInstances/{id}")).await
        };
        let connector = connection.await;
        let worker = connector.as_ref().map_err(Clone::clone).and_then(|connector| {
            let id = value(&connector["properties"]["clientId"]).as_str().ok_or(Unread::Absent)?;
            Ok(format!("/applications/{id}"))
        });
        let (application, roles) = match worker {
            Err(unread) => (Err(unread.clone()), Err(unread)),
            Ok(path) => {
                let roles = format!("{path}/roleAssignments");
                join!(self.one(&path), self.all(&roles, "roleAssignments"))
            }
        };
        (flow, connector, application, roles)
    }

    /// The flow that the policy with this id runs. The applications of DaVinci have the policies.
    async fn flow_of(&self, policy: &str) -> Read {
        let applications = self.all("/davinciApplications", "davinciApplications").await?;
        for application in applications.as_array().into_iter().flatten() {
            let path = format!(
                "/davinciApplications/{}/flowPolicies",
                application["id"].as_str().unwrap_or_default()
            );
            let policies = self.all(&path, "flowPolicies").await?;
            let found = policies.as_array().into_iter().flatten().find(|held| held["id"] == policy);
            let Some(policy) = found else { continue };
            let flow = policy["flowDistributions"][0]["id"].as_str().ok_or(Unread::Absent)?;
            return self.one(&format!("/flows/{flow}")).await;
        }
        Err(Unread::Absent)
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

/// The names of the roles in role assignments, in alphabetical order.
fn role_names<'a>(tenant: &'a Tenant, assignments: &Read) -> Result<Vec<&'a str>, Unknown> {
    let roles = items(&tenant.roles)?;
    let name =
        |id: &Value| roles.iter().find(|role| role["id"] == *id).and_then(|role| role["name"].as_str());
    let mut names: Vec<_> =
        items(assignments)?.iter().filter_map(|assignment| name(&assignment["role"]["id"])).collect();
    names.sort_unstable();
    names.dedup();
    Ok(names)
}
