# The objects of docs/pingone.md, steps 1, 2, 5 and 6. The flow and its policy are yours.

locals {
  has_key     = var.client_jwks != ""
  has_policy  = var.flow_policy_id != ""
  has_webhook = nonsensitive(var.webhook_secret != "")
}

resource "pingone_resource" "api" {
  environment_id = var.environment_id

  name        = var.resource_name
  description = "The API that Deputy's tools call"
  audience    = var.api_identifier

  access_token_validity_seconds = 3600
}

resource "pingone_resource_scope" "api" {
  for_each = var.api_scopes

  environment_id = var.environment_id
  resource_id    = pingone_resource.api.id

  name        = each.key
  description = each.value
}

data "pingone_resource_scope" "openid" {
  for_each = toset(["profile", "offline_access"])

  environment_id = var.environment_id
  resource_type  = "OPENID_CONNECT"

  name = each.key
}

resource "pingone_application" "deputy" {
  environment_id = var.environment_id

  name        = var.application_name
  description = "Deputy: an MCP server for AI agents"
  enabled     = true

  oidc_options = {
    type           = "WEB_APP"
    grant_types    = ["AUTHORIZATION_CODE", "REFRESH_TOKEN"]
    response_types = ["CODE"]

    pkce_enforcement           = "S256_REQUIRED"
    token_endpoint_auth_method = local.has_key ? "PRIVATE_KEY_JWT" : "CLIENT_SECRET_BASIC"
    jwks                       = local.has_key ? var.client_jwks : null

    redirect_uris                   = ["${var.public_url}/callback"]
    post_logout_redirect_uris       = ["${var.public_url}/agents"]
    allow_wildcard_in_redirect_uris = false

    par_requirement               = var.par_requirement
    require_signed_request_object = false

    refresh_token_type             = "OPAQUE_TOKEN"
    refresh_token_duration         = var.refresh_token_lifetime
    refresh_token_rolling_duration = max(15552000, var.refresh_token_lifetime)

    # A refresh whose response was lost can be repeated. Replay protection starts after that.
    refresh_token_rolling_grace_period_duration         = 120
    additional_refresh_token_replay_protection_enabled = true

    # Deputy calls PingOne from its server alone.
    cors_settings = {
      behavior = "ALLOW_NO_ORIGINS"
    }
  }
}

resource "pingone_application_secret" "deputy" {
  count = local.has_key ? 0 : 1

  environment_id = var.environment_id
  application_id = pingone_application.deputy.id
}

resource "pingone_application_resource_grant" "api" {
  environment_id = var.environment_id
  application_id = pingone_application.deputy.id

  resource_type      = "CUSTOM"
  custom_resource_id = pingone_resource.api.id

  scopes = [for scope in pingone_resource_scope.api : scope.id]
}

resource "pingone_application_resource_grant" "openid" {
  environment_id = var.environment_id
  application_id = pingone_application.deputy.id

  resource_type = "OPENID_CONNECT"

  scopes = [for scope in data.pingone_resource_scope.openid : scope.id]
}

resource "pingone_application_flow_policy_assignment" "deputy" {
  count = local.has_policy ? 1 : 0

  environment_id = var.environment_id
  application_id = pingone_application.deputy.id

  flow_policy_id = var.flow_policy_id
  priority       = 1
}

resource "pingone_webhook" "deputy" {
  count = local.has_webhook ? 1 : 0

  environment_id = var.environment_id

  name    = "Deputy"
  enabled = true
  format  = "ACTIVITY"

  http_endpoint_url = "${var.public_url}/pingone/events"
  http_endpoint_headers = {
    Authorization = "Bearer ${var.webhook_secret}"
  }
  verify_tls_certificates = true

  filter_options = {
    included_action_types = [
      "OAUTH_CONSENT.REVOKED",
      "SESSION.DELETED",
      "USER.DELETED",
      "USER.DISABLED",
      "USER.LOCKED",
    ]
  }
}
