{{- define "deputy.name" -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "deputy.selector" -}}
app.kubernetes.io/name: deputy
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "deputy.labels" -}}
{{ include "deputy.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "deputy.kind" -}}
{{- if .Values.audit.enabled -}}StatefulSet{{- else -}}Deployment{{- end -}}
{{- end -}}

{{- /* A secret in a ConfigMap could be read by everyone who may read ConfigMaps. */ -}}
{{- define "deputy.checkConfig" -}}
{{- range list "ADMIN_TOKEN" "COOKIE_ENCRYPTION_KEY" "MCP_SERVER_CLIENT_SECRET" "PINGONE_CLIENT_KEY" "PINGONE_CLIENT_SECRET" "PINGONE_WEBHOOK_SECRET" "PINGONE_WORKER_CLIENT_SECRET" "SERVER_KEY" "STORE_URL" -}}
{{- if hasKey $.Values.config . -}}
{{- fail (printf "config.%s is a secret, and a ConfigMap keeps none. Put it into the Secret %s, and its name into secrets" . $.Values.existingSecret) -}}
{{- end -}}
{{- end -}}
{{- range list "ADMIN_LISTEN" "AUDIT" "AUDIT_MAX_MB" "DATA_DIR" "DRAIN_SECONDS" "LISTEN" "LOG_FORMAT" "METRICS_LISTEN" "OPENAPI" "OPENAPI_OVERLAY" "STORE_CONNECTIONS" -}}
{{- if hasKey $.Values.config . -}}
{{- fail (printf "the chart sets %s itself; remove config.%s, and look for a value of the chart instead" . .) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /*
A value as the text of a variable. Helm reads a number of YAML as a floating-point one, and `on` and `off` as booleans: a number with
many digits and the zeros before a number are lost by then, so an identifier has to be a text.
*/ -}}
{{- define "deputy.text" -}}
{{- if or (kindIs "float64" .value) (kindIs "int64" .value) (kindIs "int" .value) -}}
{{- if or (regexMatch "(_ID|_IDENTIFIER|tag)$" .name) (ge (float64 .value) 9007199254740992.0) -}}
{{- fail (printf "%s is a number, whose digits YAML does not keep. Write it in quotes: %s: \"…\"" .name (last (splitList "." .name))) -}}
{{- end -}}
{{- if eq (float64 .value) (floor .value) -}}{{- int64 .value -}}{{- else -}}{{- .value -}}{{- end -}}
{{- else if kindIs "bool" .value -}}
{{- ternary "on" "off" .value -}}
{{- else if kindIs "string" .value -}}
{{- .value -}}
{{- else -}}
{{- toJson .value -}}
{{- end -}}
{{- end -}}
