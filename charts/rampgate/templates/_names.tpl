{{- /* What things are called. With a release named `rampgate` these are the names of manifests/. */ -}}

{{- define "rampgate.name" -}}
{{ .Values.nameOverride | default .Release.Name | trunc 53 | trimSuffix "-" }}
{{- end }}

{{- define "rampgate.operator" -}}
{{ include "rampgate.name" . }}-operator
{{- end }}

{{- define "rampgate.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (include "rampgate.operator" .) }}
{{- end }}

{{- define "rampgate.user" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "rampgate.serviceAccount" . }}
{{- end }}

{{- define "rampgate.image" -}}
{{ .Values.image.repository }}{{ with .Values.image.digest }}@{{ . }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- /* The labels of everything. */ -}}
{{- define "rampgate.labels" -}}
app.kubernetes.io/name: rampgate
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end }}

{{- /* What tells the pods of one component from all others: include "rampgate.selector" (list . "operator"). */ -}}
{{- define "rampgate.selector" -}}
app.kubernetes.io/name: rampgate
app.kubernetes.io/instance: {{ (index . 0).Release.Name | quote }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}
