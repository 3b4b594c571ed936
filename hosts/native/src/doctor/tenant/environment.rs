//! The products of the environment, its webhooks, and the worker that reads it.

use deputy::host::PingOneEvent;
use strum::VariantArray as _;

use super::{Tenant, items, known, role_names, texts};
use crate::{
    doctor::check::{Check, Seen, Unknown},
    management::is_needed,
};

pub(super) const CHECKS: &[Check<Tenant>] = &[
    Check {
        name: "DaVinci",
        looked_at: "GET /billOfMaterials",
        place: "Environments → your environment → Services",
        look: |tenant| {
            let products = known(&tenant.products)?["products"].as_array();
            let has_davinci =
                products.into_iter().flatten().any(|product| product["type"] == "PING_ONE_DAVINCI");
            let seen =
                if has_davinci { "the environment has DaVinci" } else { "the environment lacks DaVinci" };
            Ok(Seen::failure_unless(has_davinci, seen, "add DaVinci to the services of the environment"))
        },
    },
    Check {
        name: "webhook",
        looked_at: "GET /subscriptions",
        place: "Integrations → Webhooks",
        look: webhook,
    },
    Check {
        name: "worker",
        looked_at: "GET /applications/<PINGONE_WORKER_CLIENT_ID>/roleAssignments",
        place: "Applications → your worker → Roles",
        look: |tenant| {
            let roles = role_names(&tenant.roles, &tenant.worker_roles)?;
            let more: Vec<_> = roles.iter().filter(|role| !role.ends_with("Read Only")).copied().collect();
            let seen = format!("the roles of the worker that reads are {}", roles.join(", "));
            let fix = format!(
                "remove {}: Configuration Read Only and DaVinci Admin Read Only suffice",
                more.join(", ")
            );
            Ok(Seen::warning_unless(more.is_empty(), seen, fix))
        },
    },
];

/// The webhook that tells Deputy of users and sessions that ended.
fn webhook(tenant: &Tenant) -> Result<Seen, Unknown> {
    let url = tenant.config.public_url.at("/pingone/events");
    let all = items(&tenant.subscriptions)?;
    let found = all.iter().find(|webhook| webhook["httpEndpoint"]["url"] == url.as_str());
    let ours = tenant.config.pingone.webhook.as_ref();
    let Some(webhook) = found else {
        if ours.is_some() {
            let seen = format!("PINGONE_WEBHOOK_SECRET is set, and no webhook sends events to {url}");
            return Ok(Seen::warning(seen, "make the webhook, as docs/pingone.md describes it"));
        }
        let reason =
            "Deputy has no webhook (PINGONE_WEBHOOK_SECRET): it asks PingOne about a login now and then";
        return Err(Unknown(reason.to_owned()));
    };
    let Some(ours) = ours else {
        let fix = "set PINGONE_WEBHOOK_SECRET to the secret of the webhook";
        return Ok(Seen::failure("a webhook sends events, and Deputy refuses them without a secret", fix));
    };
    if webhook["enabled"] != true {
        return Ok(Seen::warning("the webhook is disabled", "enable it"));
    }
    if webhook["verifyTlsCertificates"] == false {
        return Ok(Seen::warning(
            "PingOne does not verify the certificate of Deputy",
            "let it verify certificates",
        ));
    }
    let actions = texts(&webhook["filterOptions"]["includedActionTypes"]);
    let needed = PingOneEvent::VARIANTS.iter().filter(|event| is_needed(**event, ours)).map(<&str>::from);
    let missing: Vec<_> = needed.filter(|action| !actions.contains(action)).collect();
    let seen = if missing.is_empty() {
        format!("it sends {}", actions.join(", "))
    } else {
        format!("it does not send {}", missing.join(", "))
    };
    Ok(Seen::warning_unless(missing.is_empty(), seen, "add these events to it"))
}
