{{- /* Parts of NetworkPolicies. */ -}}

{{- /* The pods of a part of this release, as a peer: (dict "root" $ "component" "api") */ -}}
{{- define "rulebox.peer" -}}
- podSelector:
    matchLabels:
      {{- include "rulebox.selector" . | nindent 6 }}
{{- end -}}

{{- define "rulebox.policyHead" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "rulebox.part" . }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "rulebox.labels" . | nindent 4 }}
  {{- with .annotations }}
  annotations:
    {{- . | nindent 4 }}
  {{- end }}
spec:
  podSelector:
    matchLabels:
      {{- include "rulebox.selector" . | nindent 6 }}
{{- end -}}

{{- define "rulebox.egressDns" -}}
{{- with .Values.networkPolicy.dns }}
- to:
    {{- toYaml .to | nindent 4 }}
  ports:
    - {protocol: UDP, port: {{ int64 .port }}}
    - {protocol: TCP, port: {{ int64 .port }}}
{{- end }}
{{- end -}}

{{- /* To the server itself: poolers, migrations, backups. */ -}}
{{- define "rulebox.egressPostgresql" -}}
- to:
    {{- if .Values.postgresql.inCluster.enabled }}
    {{- include "rulebox.peer" (dict "root" . "component" "postgresql") | nindent 4 }}
    {{- else if .Values.postgresql.cloudnativepg.enabled }}
    - podSelector:
        matchLabels:
          cnpg.io/cluster: {{ include "rulebox.cluster" . }}
    {{- else }}
    {{- toYaml .Values.networkPolicy.postgresql.to | nindent 4 }}
    {{- end }}
  ports:
    - {protocol: TCP, port: {{ int64 (include "rulebox.postgresqlPort" .) }}}
{{- end -}}

{{- /* What the service's own URL leads to. */ -}}
{{- define "rulebox.egressDatabase" -}}
{{- if .Values.pgbouncer.enabled }}
- to:
    {{- include "rulebox.peer" (dict "root" . "component" "pgbouncer") | nindent 4 }}
  ports:
    - {protocol: TCP, port: 6432}
{{- else }}
{{ include "rulebox.egressPostgresql" . }}
{{- end }}
{{- end -}}

{{- define "rulebox.egressVault" -}}
{{- if .Values.vault.enabled }}
- to:
    {{- toYaml .Values.networkPolicy.vault.to | nindent 4 }}
  ports:
    - {protocol: TCP, port: {{ int64 .Values.networkPolicy.vault.port }}}
{{- end }}
{{- end -}}

{{- define "rulebox.ingressMetrics" -}}
{{- with .Values.networkPolicy.prometheus.from }}
- from:
    {{- toYaml . | nindent 4 }}
  ports:
    - {protocol: TCP, port: 9090}
{{- end }}
{{- end -}}

{{- /* Where the database is: poolers, migrations and backups connect to it. */ -}}
{{- define "rulebox.cluster" -}}
{{- include "rulebox.part" (dict "root" . "component" "postgresql") -}}
{{- end -}}

{{- define "rulebox.postgresqlHost" -}}
{{- if .Values.postgresql.inCluster.enabled -}}
{{- include "rulebox.part" (dict "root" . "component" "postgresql") -}}
{{- else if .Values.postgresql.cloudnativepg.enabled -}}
{{- printf "%s-rw" (include "rulebox.cluster" .) -}}
{{- else -}}
{{- .Values.postgresql.host -}}
{{- end -}}
{{- end -}}

{{- define "rulebox.postgresqlPort" -}}
{{- if or .Values.postgresql.inCluster.enabled .Values.postgresql.cloudnativepg.enabled -}}5432{{- else -}}{{- int64 .Values.postgresql.port -}}{{- end -}}
{{- end -}}
