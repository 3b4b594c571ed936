//! The flow policy, and its assignment to the application.

use super::{Tenant, Unread, items, known};
use crate::doctor::check::{Check, Seen, Unknown};

pub(super) const CHECKS: &[Check<Tenant>] = &[
    Check {
        name: "flow policy",
        looked_at: "GET /flowPolicies/<PINGONE_DV_POLICY_ID>: enabled, trigger",
        place: "DaVinci → Applications → your application → Flow Policies",
        look: flow_policy,
    },
    Check {
        name: "policy assignment",
        looked_at: "GET /applications/<PINGONE_CLIENT_ID>/flowPolicyAssignments",
        place: "Applications → Deputy → Policies → DaVinci Policies",
        look: |tenant| {
            let is_assigned = assigned(tenant)?.contains(&tenant.config.pingone.policy_id.as_str());
            let seen = if is_assigned {
                "the policy is assigned"
            } else {
                "the policy is not assigned to the application"
            };
            Ok(Seen::failure_unless(is_assigned, seen, "assign the policy, and remove PingOne policies"))
        },
    },
    Check {
        name: "policy order",
        looked_at: "GET /applications/<PINGONE_CLIENT_ID>/flowPolicyAssignments: priority",
        place: "Applications → Deputy → Policies → DaVinci Policies",
        look: |tenant| {
            let assigned = assigned(tenant)?;
            let ours = tenant.config.pingone.policy_id.as_str();
            if !assigned.contains(&ours) {
                return Err(Unknown("the policy is not assigned".to_owned()));
            }
            let is_first = assigned.first() == Some(&ours);
            let seen = if is_first { "the policy is the first" } else { "another policy comes before it" };
            let fix = "move the policy to the top, so that a request without acr_values asks for consent too";
            Ok(Seen::warning_unless(is_first, seen, fix))
        },
    },
    Check {
        name: "PingOne policies",
        looked_at: "GET /applications/<PINGONE_CLIENT_ID>/signOnPolicyAssignments",
        place: "Applications → Deputy → Policies → PingOne Policies",
        look: |tenant| {
            known(&tenant.application)?;
            let count = items(&tenant.sign_on_policies)?.len();
            let seen = if count == 0 {
                "no PingOne policy is assigned".to_owned()
            } else {
                format!("{count} assigned")
            };
            Ok(Seen::failure_unless(count == 0, seen, "remove them: their logins ask for no consent"))
        },
    },
];

fn flow_policy(tenant: &Tenant) -> Result<Seen, Unknown> {
    let policy = match &tenant.policy {
        Err(Unread::Absent) => {
            return Ok(Seen::failure(
                "the environment has no flow policy PINGONE_DV_POLICY_ID",
                "copy PINGONE_DV_POLICY_ID from the flow policy: 32 hexadecimal digits",
            ));
        }
        read => known(read)?,
    };
    if policy["enabled"] == false {
        return Ok(Seen::failure("the flow policy is disabled", "enable it"));
    }
    let trigger = policy["trigger"]["type"].as_str().unwrap_or("missing");
    let fix = "make a flow policy of the type PingOne, for a flow with the setting PingOne Flow";
    Ok(Seen::failure_unless(
        trigger == "AUTHENTICATION",
        format!("it is enabled, and its trigger is {trigger}"),
        fix,
    ))
}

/// The ids of the assigned flow policies, in their order.
fn assigned(tenant: &Tenant) -> Result<Vec<&str>, Unknown> {
    known(&tenant.application)?;
    let mut assignments: Vec<_> = items(&tenant.assignments)?.iter().collect();
    assignments.sort_by_key(|assignment| assignment["priority"].as_u64());
    Ok(assignments.into_iter().filter_map(|assignment| assignment["flowPolicy"]["id"].as_str()).collect())
}
