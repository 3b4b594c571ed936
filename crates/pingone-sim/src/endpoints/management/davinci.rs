//! Flow policies, flows and connector instances of `DaVinci`.

use serde_json::{Map, Value, json};

use super::collection;
use crate::{settings::Settings, simulator::Simulator};

pub(super) fn read(sim: &Simulator, settings: &Settings, path: &[&str]) -> Option<Value> {
    let policy = sim.config().policy_id.as_str();
    Some(match path {
        ["flowPolicies"] => collection("flowPolicies", vec![flow_policy(sim, settings)]),
        ["flowPolicies", id] if *id == policy => flow_policy(sim, settings),
        ["davinciApplications"] => {
            collection("davinciApplications", vec![json!({ "id": APPLICATION, "name": "Deputy" })])
        }
        ["davinciApplications", APPLICATION, "flowPolicies"] => {
            let distribution = json!([{ "id": FLOW, "version": -1, "weight": 100 }]);
            let status = if settings.tenant.policy.enabled { "enabled" } else { "disabled" };
            let policy = json!({ "id": policy, "status": status, "flowDistributions": distribution });
            collection("flowPolicies", vec![policy])
        }
        ["flows"] => collection("flows", vec![json!({ "id": FLOW, "name": "Sign on with consent" })]),
        ["flows", FLOW] => flow(sim, settings),
        ["connectorInstances"] => collection("connectorInstances", vec![connector(sim, settings)]),
        ["connectorInstances", CONNECTION] => connector(sim, settings),
        _ => return None,
    })
}

fn flow_policy(sim: &Simulator, settings: &Settings) -> Value {
    let policy = &settings.tenant.policy;
    json!({
        "id": sim.config().policy_id,
        "name": "Deputy",
        "enabled": policy.enabled,
        "trigger": { "type": policy.trigger },
    })
}

fn flow(sim: &Simulator, settings: &Settings) -> Value {
    let flow = &settings.tenant.flow;
    let mut nodes = vec![node(
        "success",
        AUTHENTICATION,
        "returnSuccessResponseRedirect",
        success(flow.overrides_subject),
    )];
    if flow.error_response {
        let properties = json!({ "errorMessage": { "value": settings.decline_error } });
        nodes.push(node("error", AUTHENTICATION, "returnErrorResponseRedirect", properties));
    }
    if flow.asks_consent {
        let mut consent =
            node("consent", "pingOneScopeConsentConnector", "appConsent", consent(sim, settings));
        consent["data"]["connectionId"] = json!(CONNECTION);
        nodes.push(consent);
    }
    let mut object = json!({
        "id": FLOW,
        "name": "Sign on with consent",
        "enabled": flow.enabled,
        "graphData": { "elements": { "nodes": nodes } },
    });
    if flow.deployed {
        object["deployedAt"] = json!("2026-01-01T00:00:00Z");
        object["publishedVersion"] = json!(1);
    }
    if let Some(trigger) = &flow.trigger {
        object["trigger"] = json!({ "type": trigger });
    }
    object
}

fn consent(sim: &Simulator, settings: &Settings) -> Value {
    let flow = &settings.tenant.flow;
    let config = sim.config();
    // In an empty environment the node asks for the application and the scopes of the request.
    let application = flow.consent_application.as_deref().unwrap_or(if config.empty {
        "{{global.parameters.application.id}}"
    } else {
        &config.application.client_id
    });
    let scopes = match &flow.consent_scopes {
        Some(scopes) => scopes.join(" "),
        None if config.empty => "{{global.parameters.authorizationRequest.scope}}".to_owned(),
        None => {
            let names: Vec<_> = config.resource.scopes.iter().map(|scope| scope.name.as_str()).collect();
            names.join(" ")
        }
    };
    json!({
        "applicationIdentifierIDForAppConsent": { "value": application },
        "applicationConsentScopes": { "value": scopes },
        "promptConsent": { "value": settings.always_prompt },
    })
}

fn success(overrides_subject: bool) -> Value {
    let claims = if overrides_subject { json!([{ "name": "sub", "value": "username" }]) } else { json!([]) };
    json!({ "idTokenClaims": { "value": claims } })
}

fn node(id: &str, connector: &str, capability: &str, properties: Value) -> Value {
    json!({ "data": {
        "id": id,
        "nodeType": "CONNECTION",
        "connectorId": connector,
        "capabilityName": capability,
        "properties": properties,
    } })
}

fn connector(sim: &Simulator, settings: &Settings) -> Value {
    let value = |name: &str| match name {
        "clientId" => WORKER.to_owned(),
        "clientSecret" => "******".to_owned(),
        "region" => "EU".to_owned(),
        _ => sim.config().environment_id.clone(),
    };
    let names = settings.tenant.connector.properties.iter();
    let properties: Map<_, _> = names.map(|name| (name.clone(), json!({ "value": value(name) }))).collect();
    json!({
        "id": CONNECTION,
        "name": "PingOne Scope Consent",
        "connector": { "id": "pingOneScopeConsentConnector" },
        "properties": properties,
    })
}

/// The worker of the consent connector.
pub(super) const WORKER: &str = "c0e5e200-0000-4000-8000-0000000000c0";
/// A flow policy of other applications.
pub(super) const OTHER_POLICY: &str = "07be4000000000000000000000000001";

const APPLICATION: &str = "da71c100000000000000000000000001";
const CONNECTION: &str = "c0e5e200000000000000000000000001";
const FLOW: &str = "f10e0000000000000000000000000001";
const AUTHENTICATION: &str = "pingOneAuthenticationConnector";
