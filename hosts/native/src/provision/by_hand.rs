//! The steps that an administrator does in PingOne's console. The flow comes from a template of the console, which no API has.

use deputy::config::{Config, environment};
use serde_json::Value;
use url::Url;

use super::{
    error::ProvisionError,
    report::Verb,
    run::{Held, Run},
};

/// Notes the steps that lead to a flow policy, in their order and with their values.
pub(super) async fn note(
    run: &mut Run<'_>,
    config: &Config,
    application: Option<&Held>,
) -> Result<(), ProvisionError> {
    let policies = run.list(&("/flowPolicies".to_owned(), "flowPolicies")).await?;
    let applications = run.list(&("/applications".to_owned(), "applications")).await?;
    let is_worker = |item: &&Value| item["type"] == "WORKER" && item["name"] == WORKER;
    let worker = applications.iter().find(is_worker).and_then(|worker| worker["id"].as_str());
    let client_id = application.map_or("<of the application>", |application| application.id.as_str());
    for (object, step) in [
        ("consent worker", consent_worker(worker)),
        ("connector", connector(&config.pingone.issuer, worker)),
        (
            "flow",
            "DaVinci → Flows: clone PingOne Sign On with Registration, Password Reset and Recovery, and turn PingOne Flow on in its \
             settings"
                .to_owned(),
        ),
        ("consent node", consent_node(client_id, config)),
        (
            "declined consent",
            "branch on consentStatus: the accepted consent leads to Return Success Response (Redirect Flows), and the declined one to \
             Return Error Response (Redirect Flows) with the Error Message access_denied, which has to be typed. Save and deploy"
                .to_owned(),
        ),
        ("flow policy", flow_policy(&policies)),
    ] {
        run.note(Verb::ByHand, object, step);
    }
    Ok(())
}

fn consent_worker(id: Option<&str>) -> String {
    let place = match id {
        Some(id) => format!("Applications → {WORKER} ({id}) → Roles"),
        None => format!("Applications → + → Worker, named {WORKER}, with Client Secret Basic → Roles"),
    };
    format!("{place}: Environment Admin and Identity Data Admin, for this environment")
}

fn connector(issuer: &str, worker: Option<&str>) -> String {
    let environment = environment(issuer).unwrap_or("<of the environment>");
    let host = Url::parse(issuer).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    let is_its = |(domain, _): &&(&str, &str)| host.strip_prefix("auth.pingone.") == Some(domain);
    let region = REGIONS.iter().find(is_its).map_or("<of the environment>", |(_, region)| region);
    let worker = worker.unwrap_or("<of the consent worker>");
    format!(
        "DaVinci → Connectors → + → PingOne Scope Consent: Client ID {worker}, the Client Secret of the same worker, \
         Environment ID {environment}, Region {region}"
    )
}

fn consent_node(client_id: &str, config: &Config) -> String {
    let scopes: Vec<&str> = config.api.scopes.iter().collect();
    format!(
        "in the flow, before Return Success Response: PingOne Scope Consent → Get User Consent, with the application {client_id} \
         and the scopes {}",
        scopes.join(" ")
    )
}

fn flow_policy(policies: &[Value]) -> String {
    let step = "DaVinci → Applications → + → Flow Policies → +: the flow, its latest version, 100 %. Set PINGONE_DV_POLICY_ID to the id \
                of the policy, and run the command again";
    let usable =
        |policy: &&Value| policy["enabled"] != false && policy["trigger"]["type"] == "AUTHENTICATION";
    let known: Vec<_> = policies
        .iter()
        .filter(usable)
        .filter_map(|policy| Some(format!("{} ({})", policy["id"].as_str()?, policy["name"].as_str()?)))
        .collect();
    if known.is_empty() {
        step.to_owned()
    } else {
        format!("{step}. The environment has {}", known.join(", "))
    }
}

/// The worker that PingOne makes for DaVinci.
const WORKER: &str = "PingOne DaVinci Connection";

/// The ends of PingOne's hosts, and the regions as the connector names them.
const REGIONS: [(&str, &str); 6] =
    [("asia", "AP"), ("ca", "CA"), ("com", "NA"), ("com.au", "AU"), ("eu", "EU"), ("sg", "SG")];
