//! The assignment of the flow policy, and the steps that an administrator does in PingOne's console.

use deputy::config::Config;
use serde_json::{Value, json};

use super::{
    compare::reference,
    error::ProvisionError,
    report::Verb,
    run::{Held, RequiredObject, Run},
};

/// Assigns the flow policy to the application. A policy that does not exist, or is of no use, is left to the operator.
pub(super) async fn ensure(
    run: &mut Run<'_>,
    config: &Config,
    application: Option<&Held>,
    policy_id: Option<&str>,
) -> Result<(), ProvisionError> {
    let Some(id) = policy_id else {
        let policies = run.list(&("/flowPolicies".to_owned(), "flowPolicies")).await?;
        by_hand(run, config, application, &policies);
        return Ok(());
    };
    let label = format!("flow policy {id}");
    let path = format!("/flowPolicies/{id}");
    let Some(policy) = run.management.find(&path).await.map_err(ProvisionError::of)? else {
        run.note(
            Verb::ByHand,
            &label,
            "the environment has none: copy PINGONE_DV_POLICY_ID from DaVinci again",
        );
        return Ok(());
    };
    if policy["enabled"] == false {
        run.note(Verb::ByHand, &label, "it is disabled: enable it in DaVinci");
        return Ok(());
    }
    if policy["trigger"]["type"] != "AUTHENTICATION" {
        let step = "it is not of the type PingOne: turn PingOne Flow on in the settings of its flow, and make the policy anew";
        run.note(Verb::ByHand, &label, step);
        return Ok(());
    }
    let Some(application) = application else {
        run.note(Verb::Create, &format!("assignment of the {label}"), "");
        return Ok(());
    };
    assign(run, application, id, &label).await
}

async fn assign(run: &mut Run<'_>, application: &Held, id: &str, label: &str) -> Result<(), ProvisionError> {
    let below = |name: &str| format!("/applications/{}/{name}", application.id);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let sign_on = (below("signOnPolicyAssignments"), "signOnPolicyAssignments");
    let sign_on_policies = run.list(&sign_on).await?;
    for assignment in &sign_on_policies {
        let object = format!("assignment of the PingOne policy {}", text(&assignment["signOnPolicy"]["id"]));
        let path = format!("{}/{}", sign_on.0, text(&assignment["id"]));
        run.prune(&object, &path, "its logins ask for no consent, and exclude flow policies").await?;
    }
    let collection = (below("flowPolicyAssignments"), "flowPolicyAssignments");
    let assignments = run.list(&collection).await?;
    let found = assignments.iter().find(|assignment| assignment["flowPolicy"]["id"] == id).cloned();
    let object = format!("assignment of the {label}");
    if found.is_none() && !sign_on_policies.is_empty() && !run.prunes {
        run.note(
            Verb::ByHand,
            &object,
            "remove the PingOne policies of the application, or run again with --prune",
        );
        return Ok(());
    }
    let priority = found.as_ref().and_then(|found| found["priority"].as_u64()).unwrap_or(1);
    for other in assignments.iter().filter(|other| other["flowPolicy"]["id"] != id) {
        if other["priority"].as_u64().unwrap_or(1) > priority {
            continue;
        }
        let object = format!("assignment of the flow policy {}", text(&other["flowPolicy"]["id"]));
        let path = format!("{}/{}", collection.0, text(&other["id"]));
        run.prune(&object, &path, "a request without acr_values would use it, and ask for no consent")
            .await?;
    }
    let required = RequiredObject {
        object,
        collection,
        is_it: &|item| item["flowPolicy"]["id"] == id,
        check: &|_| Ok(()),
        body: json!({ "flowPolicy": reference(id), "priority": 1 }),
        properties: &|_| Vec::new(),
        is_unique: true,
    };
    run.ensure(&required, found).await?;
    Ok(())
}

/// The steps in DaVinci. The flow itself comes from a template of PingOne's console, which no API has.
fn by_hand(run: &mut Run<'_>, config: &Config, application: Option<&Held>, policies: &[Value]) {
    let scopes: Vec<&str> = config.api.scopes.iter().collect();
    let client_id = application.map_or("the application", |application| application.id.as_str());
    let consent = format!(
        "DaVinci → Flows: clone PingOne Sign On with Registration, Password Reset and Recovery; turn PingOne Flow on; add PingOne \
         Scope Consent → Get User Consent before the success, with the application {client_id} and the scopes {}; end a declined \
         consent with the error access_denied; deploy",
        scopes.join(" ")
    );
    let mut policy = "DaVinci → Applications → Flow Policies: make one for the flow, and set PINGONE_DV_POLICY_ID to its id"
        .to_owned();
    let usable =
        |policy: &&Value| policy["enabled"] != false && policy["trigger"]["type"] == "AUTHENTICATION";
    let known: Vec<_> = policies
        .iter()
        .filter(usable)
        .filter_map(|policy| Some(format!("{} ({})", policy["id"].as_str()?, policy["name"].as_str()?)))
        .collect();
    if !known.is_empty() {
        policy = format!("{policy}. The environment has {}", known.join(", "));
    }
    for (object, step) in [
        (
            "connector",
            "DaVinci → Connectors → PingOne Scope Consent: client id, secret, environment id and region of a worker with the roles \
             Environment Admin and Identity Data Admin, such as PingOne DaVinci Connection",
        ),
        ("flow", consent.as_str()),
        ("flow policy", policy.as_str()),
    ] {
        run.note(Verb::ByHand, object, step);
    }
}
