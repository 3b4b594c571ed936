variable "environment_id" {
  description = "Id of the PingOne environment."
  type        = string
}

variable "public_url" {
  description = "PUBLIC_URL of Deputy, without a slash at its end."
  type        = string

  validation {
    condition     = !endswith(var.public_url, "/")
    error_message = "public_url must not end with a slash."
  }
}

variable "api_identifier" {
  description = "API_IDENTIFIER: the audience of the API's access tokens."
  type        = string

  validation {
    condition     = !strcontains(var.api_identifier, "pingone") && !strcontains(var.api_identifier, "pingidentity")
    error_message = "PingOne refuses audiences that contain pingone or pingidentity."
  }
}

variable "api_scopes" {
  description = "API_SCOPES, with the description that users read on the consent page."
  type        = map(string)
  default = {
    "todo:read"  = "See your to-do list"
    "todo:write" = "Add to-dos, check them off and delete them"
  }
}

variable "flow_policy_id" {
  description = "PINGONE_DV_POLICY_ID: the DaVinci flow policy. Empty: none is assigned yet."
  type        = string
  default     = ""
}

variable "application_name" {
  description = "Name of the application in PingOne."
  type        = string
  default     = "Deputy"
}

variable "resource_name" {
  description = "Name of the API's resource in PingOne."
  type        = string
  default     = "Deputy API"
}

variable "client_jwks" {
  description = "JWKS with Deputy's public key, as `deputy keys` prints it, for PINGONE_CLIENT_AUTH=private_key_jwt. Empty: a client secret."
  type        = string
  default     = ""
}

variable "par_requirement" {
  description = "Whether the application requires pushed authorization requests: OPTIONAL or REQUIRED. REQUIRED is for PINGONE_PAR=on."
  type        = string
  default     = "OPTIONAL"

  validation {
    condition     = contains(["OPTIONAL", "REQUIRED"], var.par_requirement)
    error_message = "par_requirement must be OPTIONAL or REQUIRED."
  }
}

variable "refresh_token_lifetime" {
  description = "REFRESH_TOKEN_LIFETIME, in seconds."
  type        = number
  default     = 2592000
}

variable "webhook_secret" {
  description = "PINGONE_WEBHOOK_SECRET. Empty: there is no webhook."
  type        = string
  default     = ""
  sensitive   = true
}
