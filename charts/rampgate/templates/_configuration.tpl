{{- /* The operator's configuration file, from the values of the same names; what each means is said there. */ -}}

{{- define "rampgate.configuration" -}}
{{- $sources := dict }}
{{- range $name, $source := .Values.sources }}
{{- $settings := omit $source "token" "ca" }}
{{- if $source.token }}{{- $_ := set $settings "tokenFile" (printf "/var/run/rampgate/sources/%s/token" $name) }}{{- end }}
{{- if $source.ca }}{{- $_ := set $settings "caFile" (printf "/var/run/rampgate/sources/%s/ca.crt" $name) }}{{- end }}
{{- $_ := set $sources $name $settings }}
{{- end }}
{{- with .Values.namespaces }}
namespaces: {{- toYaml . | nindent 2 }}
{{- end }}
sources: {{- toYaml $sources | nindent 2 }}
workers: {{ .Values.workers }}
resync: {{ .Values.resync }}
renderFlagd: {{ .Values.renderFlagd }}
nudgePods: {{ .Values.nudgePods }}
listen: ":{{ .Values.port }}"
lease: {name: {{ include "rampgate.operator" . }}, duration: {{ .Values.lease.duration }}}
{{- end }}

{{- /* The projections of the sources' tokens and certificates, into one volume; empty when there are none. */ -}}
{{- define "rampgate.credentials" -}}
{{- range $name, $source := .Values.sources }}
{{- with $source.token }}
{{- with .secret }}
- secret: {name: {{ .name }}, items: [{key: {{ .key | default "token" | quote }}, path: {{ $name }}/token}]}
{{- end }}
{{- with .serviceAccount }}
- serviceAccountToken: {audience: {{ .audience | quote }}, expirationSeconds: {{ .expirationSeconds | default 3600 }}, path: {{ $name }}/token}
{{- end }}
{{- end }}
{{- with $source.ca }}
{{- with .secret }}
- secret: {name: {{ .name }}, items: [{key: {{ .key | default "ca.crt" | quote }}, path: {{ $name }}/ca.crt}]}
{{- end }}
{{- with .configMap }}
- configMap: {name: {{ .name }}, items: [{key: {{ .key | default "ca.crt" | quote }}, path: {{ $name }}/ca.crt}]}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- /* The configuration file with all that it names, as volumes of a pod and as its container sees them. */ -}}
{{- define "rampgate.settingsVolumes" -}}
- name: settings
  configMap: {name: {{ include "rampgate.operator" . }}}
{{- with include "rampgate.credentials" . | trim }}
- name: sources
  projected:
    sources: {{- . | nindent 6 }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "rampgate.settingsMounts" -}}
- {name: settings, mountPath: /etc/rampgate, readOnly: true}
{{- if include "rampgate.credentials" . | trim }}
- {name: sources, mountPath: /var/run/rampgate/sources, readOnly: true}
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}
