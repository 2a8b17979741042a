{{- /* What all pods of this chart have in common: where they may run, and as what. */ -}}

{{- /* No service links: the variables of a Service `rampgate…` would look like settings. */ -}}
{{- define "rampgate.placement" -}}
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* One node's end must not be the end of all replicas; but one node is better than one replica. */ -}}
{{- define "rampgate.spread" -}}
- maxSkew: 1
  topologyKey: kubernetes.io/hostname
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels: {{- include "rampgate.selector" . | nindent 6 }}
{{- end }}

{{- /* What the Pod Security Standard `restricted` asks for, and more. The number is the image's user. */ -}}
{{- define "rampgate.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "rampgate.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}
