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
