{{- /* The name by which executors of a track are reached, and which is in their certificate. */ -}}
{{- define "rulebox.executorsName" -}}
{{- printf "%s.%s.svc.%s" (include "rulebox.part" (dict "root" . "component" (print "executor" .Suffix))) .Release.Namespace .Values.clusterDomain -}}
{{- end -}}

{{- /* The Secret of a side, `api` (of both tracks), `executor` or `executor-canary`, with ca.crt, tls.crt and tls.key. */ -}}
{{- define "rulebox.tlsSecret" -}}
{{- $tls := .root.Values.executors.tls -}}
{{- if $tls.certManager.enabled -}}
{{- printf "%s-tls" (include "rulebox.part" (dict "root" .root "component" .side)) -}}
{{- else if eq .side "executor-canary" -}}
{{- .root.Values.canary.executors.tlsSecret -}}
{{- else -}}
{{- index $tls.existingSecrets .side -}}
{{- end -}}
{{- end -}}

{{- /* As many threads as CPUs requested: without a limit of CPU, Rulebox would count those of the node. */ -}}
{{- define "rulebox.threadsEnv" -}}
{{- if not (dig "evaluation" "threads" 0 .settings) }}
- name: RULEBOX_EVALUATION__THREADS
  valueFrom:
    resourceFieldRef:
      containerName: {{ .container }}
      resource: requests.cpu
      divisor: "1"
{{- end }}
{{- end -}}

{{- define "rulebox.executorConfig" -}}
{{- $part := dict "root" . "component" (print "executor" .Suffix) -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "rulebox.part" $part }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "rulebox.labels" $part | nindent 4 }}
data:
  RULEBOX_EXECUTORS__LISTEN: {{ printf "%s:7443" .Values.listenAddress | quote }}
  RULEBOX_HEALTH__LISTEN: {{ printf "%s:9090" .Values.listenAddress | quote }}
  RULEBOX_EXECUTORS__CA_FILE: /run/rulebox/tls/ca.crt
  RULEBOX_EXECUTORS__CERTIFICATE_FILE: /run/rulebox/tls/tls.crt
  RULEBOX_EXECUTORS__KEY_FILE: /run/rulebox/tls/tls.key
  {{- include "rulebox.variables" (include "rulebox.executorSettings" . | fromJson) | trim | nindent 2 }}
{{- end -}}
