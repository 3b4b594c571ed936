output "client_id" {
  description = "PINGONE_CLIENT_ID."
  value       = pingone_application.deputy.oidc_options.client_id
}

output "client_secret" {
  description = "PINGONE_CLIENT_SECRET, unless Deputy has a key."
  value       = one(pingone_application_secret.deputy[*].secret)
  sensitive   = true
}
