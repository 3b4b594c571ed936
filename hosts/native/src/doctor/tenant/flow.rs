//! The flow behind the policy, and the connector of its consent node.

use deputy::types::Scopes;
use serde_json::Value;
use tokio::join;

use super::{Unread, known, role_names, value};
use crate::{
    doctor::check::{Check, Seen, Unknown},
    management::{Management, Read},
};

/// Everything that the checks of the flow look at.
pub(super) struct Flow {
    pub(super) client_id: String,
    pub(super) scopes: Scopes,
    pub(super) application: Read,
    pub(super) policy: Read,
    /// Every role of PingOne.
    pub(super) roles: Read,
    document: Read,
    connector: Read,
    worker: Read,
    worker_roles: Read,
}

impl Flow {
    /// Reads the flow behind a policy, the connector instance of its consent node, and the worker of that with its roles.
    pub(super) async fn behind(
        policy_id: &str,
        management: &Management,
        (client_id, scopes): (&str, &Scopes),
        [application, policy, roles]: [Read; 3],
    ) -> Self {
        let document = flow_of(policy_id, management).await;
        let connection = async {
            let node = node(document.as_ref().map_err(Clone::clone)?, CONSENT).ok_or(Unread::Absent)?;
            let id = node["connectionId"].as_str().ok_or(Unread::Absent)?;
            management.one(&format!("/connectorInstances/{id}")).await
        };
        let connector = connection.await;
        let path = connector.as_ref().map_err(Clone::clone).and_then(|connector| {
            let id = value(&connector["properties"]["clientId"]).as_str().ok_or(Unread::Absent)?;
            Ok(format!("/applications/{id}"))
        });
        let (worker, worker_roles) = match path {
            Err(unread) => (Err(unread.clone()), Err(unread)),
            Ok(path) => {
                let roles = format!("{path}/roleAssignments");
                join!(management.one(&path), management.all(&roles, "roleAssignments"))
            }
        };
        let (client_id, scopes) = (client_id.to_owned(), scopes.clone());
        Self { client_id, scopes, application, policy, roles, document, connector, worker, worker_roles }
    }
}

/// The flow that the policy with this id runs. The applications of DaVinci have the policies.
async fn flow_of(policy: &str, management: &Management) -> Read {
    let applications = management.all("/davinciApplications", "davinciApplications").await?;
    for application in applications.as_array().into_iter().flatten() {
        let path =
            format!("/davinciApplications/{}/flowPolicies", application["id"].as_str().unwrap_or_default());
        let policies = management.all(&path, "flowPolicies").await?;
        let found = policies.as_array().into_iter().flatten().find(|held| held["id"] == policy);
        let Some(policy) = found else { continue };
        let flow = policy["flowDistributions"][0]["id"].as_str().ok_or(Unread::Absent)?;
        return management.one(&format!("/flows/{flow}")).await;
    }
    Err(Unread::Absent)
}

pub(super) const CHECKS: &[Check<Flow>] = &[
    Check {
        name: "flow",
        looked_at: "GET /flows/<id>: enabled, publishedVersion, trigger",
        place: "DaVinci → Flows → your flow",
        look: flow,
    },
    Check {
        name: "consent node",
        looked_at: "GET /flows/<id>: the node appConsent",
        place: "DaVinci → Flows → your flow → PingOne Scope Consent → Get User Consent",
        look: consent_node,
    },
    Check {
        name: "end of the flow",
        looked_at: "GET /flows/<id>: the nodes returnSuccessResponseRedirect and returnErrorResponseRedirect",
        place: "DaVinci → Flows → your flow → PingOne Authentication",
        look: end,
    },
    Check {
        name: "declined consent",
        looked_at: "GET /flows/<id>: errorMessage of returnErrorResponseRedirect",
        place: "DaVinci → Flows → your flow → Return Error Response (Redirect Flows) → Error Message",
        look: declined,
    },
    Check {
        name: "subject",
        looked_at: "GET /flows/<id>: idTokenClaims of returnSuccessResponseRedirect",
        place: "DaVinci → Flows → your flow → Return Success Response (Redirect Flows) → ID Token Claims",
        look: |read| {
            let node = node(known(&read.document)?, SUCCESS).ok_or_else(no_node)?;
            let is_overridden = value(&node["properties"]["idTokenClaims"])
                .as_array()
                .is_some_and(|claims| claims.iter().any(|claim| claim["name"] == "sub"));
            let seen = if is_overridden { "the flow sets sub" } else { "the flow leaves sub alone" };
            let fix = "do not set sub: Deputy compares it with that of UserInfo, and refuses the login";
            Ok(Seen::failure_unless(!is_overridden, seen, fix))
        },
    },
    Check {
        name: "consent connector",
        looked_at: "GET /connectorInstances/<id>: properties",
        place: "DaVinci → Connectors → PingOne Scope Consent",
        look: connector,
    },
    Check {
        name: "consent worker",
        looked_at: "GET /applications/<id>: enabled, roleAssignments",
        place: "Applications → PingOne DaVinci Connection → Roles",
        look: consent_worker,
    },
];

fn flow(read: &Flow) -> Result<Seen, Unknown> {
    let flow = match &read.document {
        Err(Unread::Absent) if read.policy.is_ok() => {
            return Ok(Seen::failure("the flow policy has no flow", "choose a flow in the flow policy"));
        }
        read => known(read)?,
    };
    let name = flow["name"].as_str().unwrap_or_default();
    if flow["enabled"] == false {
        return Ok(Seen::failure(format!("the flow {name} is disabled"), "enable it"));
    }
    if flow["deployedAt"].is_null() && flow["publishedVersion"].is_null() {
        return Ok(Seen::failure(format!("no version of the flow {name} is deployed"), "deploy it"));
    }
    let is_pingone_flow = flow["trigger"]["type"] == "AUTHENTICATION";
    let seen =
        format!("{name} is deployed, {} PingOne Flow", if is_pingone_flow { "as a" } else { "but not as a" });
    Ok(Seen::failure_unless(is_pingone_flow, seen, "turn PingOne Flow on in the flow's settings"))
}

fn consent_node(read: &Flow) -> Result<Seen, Unknown> {
    known(&read.application)?;
    let Some(node) = node(known(&read.document)?, CONSENT) else {
        let fix = "add Get User Consent before Return Success Response";
        return Ok(Seen::failure("the flow does not ask for consent", fix));
    };
    let property = |name: &str| value(&node["properties"][name]).as_str().unwrap_or_default();
    let (application, ours) = (property("applicationIdentifierIDForAppConsent"), &read.client_id);
    // Either may be an expression of DaVinci, which only the flow can evaluate.
    if is_text(application) && application != ours {
        let seen = format!("it asks for consent to the application {application}");
        return Ok(Seen::failure(seen, format!("let it ask for the application {ours}")));
    }
    let scopes = property("applicationConsentScopes");
    let asked: Vec<_> = scopes.split_whitespace().collect();
    let missing: Vec<_> = read.scopes.iter().filter(|scope| !asked.contains(scope)).collect();
    if is_text(scopes) && !missing.is_empty() {
        let seen = format!("it does not ask for {}", missing.join(" "));
        return Ok(Seen::failure(seen, "let it ask for every scope of API_SCOPES"));
    }
    let always = value(&node["properties"]["promptConsent"]) == true;
    Ok(Seen::ok(if always {
        "it asks for every scope, in every login"
    } else {
        "it asks for every scope, once"
    }))
}

fn end(read: &Flow) -> Result<Seen, Unknown> {
    let flow = known(&read.document)?;
    let missing: Vec<_> = [(SUCCESS, "Return Success Response"), (ERROR, "Return Error Response")]
        .into_iter()
        .filter(|(capability, _)| node(flow, capability).is_none())
        .map(|(_, name)| name)
        .collect();
    let seen = if missing.is_empty() {
        "it ends with a success or an error".to_owned()
    } else {
        format!("missing: {}", missing.join(" and "))
    };
    let fix = "end the flow with Return Success Response and Return Error Response (Redirect Flows)";
    Ok(Seen::failure_unless(missing.is_empty(), seen, fix))
}

fn declined(read: &Flow) -> Result<Seen, Unknown> {
    let flow = known(&read.document)?;
    let errors: Vec<_> =
        nodes(flow, ERROR).filter_map(|node| value(&node["properties"]["errorMessage"]).as_str()).collect();
    if nodes(flow, ERROR).next().is_none() {
        return Err(no_node());
    }
    let seen = format!("the flow ends with {}", errors.join(", "));
    let fix = "type access_denied as the error message after a declined consent, so that clients are told";
    Ok(Seen::warning_unless(errors.contains(&"access_denied"), seen, fix))
}

fn connector(read: &Flow) -> Result<Seen, Unknown> {
    let properties = known(&read.connector)?["properties"].as_object();
    let missing: Vec<_> = ["clientId", "clientSecret", "envId", "region"]
        .into_iter()
        .filter(|name| !properties.is_some_and(|properties| properties.contains_key(*name)))
        .collect();
    let seen = if missing.is_empty() {
        "client id, secret, environment id and region are set".to_owned()
    } else {
        format!("not set: {}", missing.join(" "))
    };
    let fix = "enter client id, secret, environment id and region of the worker again";
    Ok(Seen::failure_unless(missing.is_empty(), seen, fix))
}

fn consent_worker(read: &Flow) -> Result<Seen, Unknown> {
    if matches!(read.worker, Err(Unread::Absent)) && read.connector.is_ok() {
        let worker = value(&known(&read.connector)?["properties"]["clientId"]);
        return match worker.as_str() {
            Some(_) => Ok(Seen::failure(
                "its worker does not exist",
                "enter the client id of a worker in the connector",
            )),
            None => Err(Unknown("the connector names no worker".to_owned())),
        };
    }
    if known(&read.worker)?["enabled"] != true {
        return Ok(Seen::failure("the worker of the connector is disabled", "enable it"));
    }
    let roles = role_names(&read.roles, &read.worker_roles)?;
    let missing: Vec<_> = ["Environment Admin", "Identity Data Admin"]
        .into_iter()
        .filter(|role| !roles.contains(role))
        .collect();
    let seen = if roles.is_empty() {
        "it has no roles".to_owned()
    } else {
        format!("its roles are {}", roles.join(", "))
    };
    let fix = format!("give it the role {}", missing.join(" and "));
    Ok(Seen::failure_unless(missing.is_empty(), seen, fix))
}

/// The data of a node with this capability.
fn node<'a>(flow: &'a Value, capability: &str) -> Option<&'a Value> {
    nodes(flow, capability).next()
}

fn nodes<'a>(flow: &'a Value, capability: &str) -> impl Iterator<Item = &'a Value> {
    let nodes = flow["graphData"]["elements"]["nodes"].as_array().into_iter().flatten();
    nodes.map(|node| &node["data"]).filter(move |data| data["capabilityName"] == capability)
}

/// Whether the property is a text, and not an expression or nothing.
fn is_text(property: &str) -> bool {
    !property.is_empty() && !property.contains("{{") && !property.starts_with('[')
}

fn no_node() -> Unknown {
    Unknown("the flow has no such node".to_owned())
}

/// The capability of the node that asks for consent.
const CONSENT: &str = "appConsent";
const ERROR: &str = "returnErrorResponseRedirect";
const SUCCESS: &str = "returnSuccessResponseRedirect";
