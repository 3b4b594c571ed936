//! An example of each failure, for the page with switches.

use serde_json::{Value, json};
use strum::VariantArray as _;

use super::{Failure, ManagementFault, Signature};

/// Failures with values that can be tried as they are, in the order of [`Failure`].
pub(crate) fn examples() -> Vec<Failure> {
    let text = str::to_owned;
    let mut all = vec![
        Failure::AccessTokenClaim(text("aud"), json!(["https://other.example"])),
        Failure::AccessTokenAsIdToken,
        Failure::CallbackError(text("access_denied")),
        Failure::CallbackWithCodeAndError,
        Failure::CallbackParameter(text("state"), None),
        Failure::Discovery(503),
        Failure::DiscoveryAfter(20),
        Failure::DiscoveryIssuer(text("https://other.example/as")),
        Failure::IdTokenClaim(text("nonce"), Value::Null),
    ];
    all.extend(Signature::VARIANTS.iter().copied().map(Failure::IdTokenSignature));
    all.extend([
        Failure::Jwks(503),
        Failure::JwksAfter(20),
        Failure::JwksAfterMillis(500),
        Failure::JwksBody(text("<html>")),
        Failure::Management(503),
        Failure::ManagementRequest(1, ManagementFault::CutAfterwards),
        Failure::Par(400, text("{\"error\":\"invalid_request\"}")),
        Failure::RefreshInvalidGrant,
        Failure::Token(503, String::new()),
        Failure::TokenAfter(20),
        Failure::TokenBytes(2_000_000),
        Failure::TokenMember(text("id_token"), Value::Null),
        Failure::TokenResponseAfter(20_000),
        Failure::TokenRetryAfter(429, 5),
        Failure::UserInfo(503, String::new()),
        Failure::UserInfoAfter(20),
        Failure::UserInfoRedirect(text("https://other.example/")),
        Failure::UserInfoSub(text("another-user")),
    ]);
    all
}

#[cfg(test)]
mod tests {
    use strum::VariantNames as _;

    use super::*;

    #[test]
    fn every_failure_has_an_example_in_its_order() {
        let name = |failure: &Failure| match serde_json::to_value(failure).unwrap() {
            Value::Object(members) => members.keys().next().unwrap().clone(),
            name => name.as_str().unwrap().to_owned(),
        };
        let mut names: Vec<_> = examples().iter().map(name).collect();
        names.dedup();
        assert_eq!(names, Failure::VARIANTS);
    }
}
