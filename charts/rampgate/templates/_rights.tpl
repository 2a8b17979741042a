{{- /* All that the operator may do where it watches; manifests/rbac/operator.yaml has the same rules, with the reason of each. */ -}}
{{- define "rampgate.rules" -}}
- apiGroups: [rampgate.dev]
  resources: [experiments]
  verbs: [get, list, watch]
- apiGroups: [rampgate.dev]
  resources: [experiments/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch, create, patch]
- apiGroups: [apps]
  resources: [controllerrevisions]
  verbs: [list, create, delete]
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch]
{{- if .Values.nudgePods }}
- apiGroups: [""]
  resources: [pods]
  verbs: [list, patch]
{{- end }}
{{- end }}

{{- define "rampgate.subjects" -}}
- {kind: ServiceAccount, name: {{ include "rampgate.serviceAccount" . }}, namespace: {{ .Release.Namespace }}}
{{- end }}
