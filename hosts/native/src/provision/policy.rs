//! The flow policy: its assignment to the application, and its flow.

use deputy::config::Config;
use serde_json::{Value, json};

use super::{
    by_hand,
    compare::reference,
    error::ProvisionError,
    report::Verb,
    run::{Held, RequiredObject, Run},
};
use crate::doctor::{
    check::{Finding, Verdict},
    tenant,
};

/// Assigns the flow policy to the application. A policy that does not exist, or is of no use, is left to the operator.
pub(super) async fn ensure(
    run: &mut Run<'_>,
    config: &Config,
    application: Option<&Held>,
    policy_id: Option<&str>,
) -> Result<(), ProvisionError> {
    let Some(id) = policy_id else {
        return by_hand::note(run, config, application).await;
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
    assign(run, application, id, &label).await?;
    if !run.applies {
        look_at_flow(run, config, application, id).await;
    }
    Ok(())
}

/// Compares the flow, which only an administrator can change, as far as the worker may read it.
async fn look_at_flow(run: &mut Run<'_>, config: &Config, application: &Held, id: &str) {
    let scopes = &config.api.scopes;
    for finding in tenant::flow_findings(run.management, &application.id, scopes, id).await {
        let Finding { name, place, verdict, seen, fix, .. } = finding;
        let fix = fix.map(|fix| format!(". To end it: {fix} ({place})")).unwrap_or_default();
        let verb = match verdict {
            Verdict::Ok => Verb::Ok,
            Verdict::Failure | Verdict::Warning => Verb::ByHand,
            Verdict::Skipped => Verb::Unknown,
        };
        let detail = seen + &fix;
        // Without the role that reads flows, every check has the same reason.
        let is_said = run.lines.iter().any(|line| line.verb == Verb::Unknown && line.detail == detail);
        if !is_said {
            run.note(verb, name, detail);
        }
    }
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
        detail: String::new(),
        body: json!({ "flowPolicy": reference(id), "priority": 1 }),
        properties: &|_| Vec::new(),
        is_unique: true,
    };
    run.ensure(&required, found).await?;
    Ok(())
}
