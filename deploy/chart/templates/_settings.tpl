{{- /* Settings of Rulebox as environment variables, and its secrets as files. */ -}}

{{- /* A value as a variable has it. Numbers of values files are floating-point, and 268435456 must not become 2.7e+08. */ -}}
{{- define "rulebox.settingText" -}}
{{- if kindIs "float64" . -}}
{{- printf "%.0f" . -}}
{{- else if kindIs "slice" . -}}
{{- join "," . -}}
{{- else -}}
{{- toString . -}}
{{- end -}}
{{- end -}}

{{- /* The variables of a map of sections. */ -}}
{{- define "rulebox.variables" -}}
{{- range $section, $names := . }}
{{- range $name, $value := $names }}
{{- if not (and (kindIs "slice" $value) (empty $value)) }}
RULEBOX_{{ upper $section }}__{{ upper $name }}: {{ include "rulebox.settingText" $value | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* A number among the settings, or what Rulebox takes without: (dict "settings" .Values.settings "section" "database"
       "name" "connections" "default" 10) */ -}}
{{- define "rulebox.number" -}}
{{- $section := default dict (index .settings .section) -}}
{{- if hasKey $section .name -}}
{{- include "rulebox.settingText" (index $section .name) -}}
{{- else -}}
{{- .default -}}
{{- end -}}
{{- end -}}

{{- define "rulebox.drainSeconds" -}}
{{- include "rulebox.number" (dict "settings" . "section" "api" "name" "drain_seconds" "default" 30) -}}
{{- end -}}

{{- /* The pause, the drain, and time to write down what was used and to close: more than both, or the drain is cut. */ -}}
{{- define "rulebox.graceSeconds" -}}
{{- add (int64 .workload.preStopSeconds) (int64 (include "rulebox.drainSeconds" .settings)) 15 -}}
{{- end -}}

{{- /* Settings of executors. What must be the same on both sides is the API's. */ -}}
{{- define "rulebox.executorSettings" -}}
{{- $own := deepCopy .Values.executors.settings -}}
{{- $settings := .Values.settings -}}
{{- $shared := dict -}}
{{- range $section, $names := dict "log" (list "format" "filter") "compile" (list "worker_seconds") "evaluation" (list "memory_bytes") -}}
{{- range $name := $names -}}
{{- $of := default dict (index $settings $section) -}}
{{- if hasKey $of $name -}}
{{- $_ := set $shared $section (set (default dict (index $shared $section)) $name (index $of $name)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- merge $own $shared | toJson -}}
{{- end -}}

{{- define "rulebox.secretDir" -}}
{{- if .Values.vault.enabled -}}/vault/secrets{{- else -}}/run/rulebox/secrets{{- end -}}
{{- end -}}

{{- /* Files of secrets that the service reads, by the setting: a line each, `variable file`. */ -}}
{{- define "rulebox.secretFiles" -}}
{{- $files := dict "RULEBOX_MASTER_SECRET_FILE" "master-secret" "RULEBOX_DATABASE__URL_FILE" "database-url" "RULEBOX_DATABASE__PLATFORM_URL_FILE" "platform-url" -}}
{{- if .Values.redis.enabled -}}{{- $_ := set $files "RULEBOX_REDIS__URL_FILE" "redis-url" -}}{{- end -}}
{{- if .Values.secrets.previousMasterSecret -}}{{- $_ := set $files "RULEBOX_PREVIOUS_MASTER_SECRET_FILE" "previous-master-secret" -}}{{- end -}}
{{- if .Values.secrets.otlpHeaders -}}{{- $_ := set $files "RULEBOX_TELEMETRY__OTLP_HEADERS_FILE" "otlp-headers" -}}{{- end -}}
{{- $files | toJson -}}
{{- end -}}

{{- define "rulebox.secretEnv" -}}
{{- $dir := include "rulebox.secretDir" . -}}
{{- range $variable, $file := include "rulebox.secretFiles" . | fromJson }}
- name: {{ $variable }}
  value: {{ $dir }}/{{ $file }}
{{- end }}
{{- end -}}

{{- define "rulebox.secretMount" -}}
{{- if not .Values.vault.enabled }}
- name: secrets
  mountPath: /run/rulebox/secrets
  readOnly: true
{{- end }}
{{- end -}}

{{- define "rulebox.secretVolume" -}}
{{- if not .Values.vault.enabled }}
- name: secrets
  secret:
    secretName: {{ .Values.secrets.existingSecret }}
    defaultMode: 0440
    items:
      {{- range $variable, $file := include "rulebox.secretFiles" . | fromJson }}
      - key: {{ $file }}
        path: {{ $file }}
      {{- end }}
{{- end }}
{{- end -}}

{{- /* Files of authorities that the database's and Redis' certificates are held against. */ -}}
{{- define "rulebox.authorityMounts" -}}
{{- if .Values.authorities.database.existingSecret }}
- name: database-ca
  mountPath: /run/rulebox/database-ca
  readOnly: true
{{- end }}
{{- with include "rulebox.systemAuthorityMounts" . | trim }}
{{ . }}
{{- end }}
{{- end -}}

{{- /* Of that one alone which stands in the place of the system's own. */ -}}
{{- define "rulebox.systemAuthorityMounts" -}}
{{- if .Values.authorities.system.existingSecret }}
- name: system-ca
  mountPath: /run/rulebox/system-ca
  readOnly: true
{{- end }}
{{- end -}}

{{- define "rulebox.authorityVolumes" -}}
{{- range $name := list "database" "system" }}
{{- with include "rulebox.authorityVolume" (dict "root" $ "name" $name) | trim }}
{{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "rulebox.authorityVolume" -}}
{{- $of := index .root.Values.authorities .name }}
{{- if $of.existingSecret }}
- name: {{ .name }}-ca
  secret:
    secretName: {{ $of.existingSecret }}
    defaultMode: 0444
    items:
      - key: {{ $of.key }}
        path: ca.crt
{{- end }}
{{- end -}}

{{- define "rulebox.authorityEnv" -}}
{{- if .Values.authorities.system.existingSecret }}
- name: SSL_CERT_FILE
  value: /run/rulebox/system-ca/ca.crt
{{- end }}
{{- end -}}

{{- /* Annotations by which the injector of Vault writes the files: (dict "root" $ "path" path "files" list) */ -}}
{{- define "rulebox.vaultAnnotations" -}}
{{- $vault := .root.Values.vault -}}
vault.hashicorp.com/agent-inject: "true"
vault.hashicorp.com/role: {{ .role | quote }}
# Read once, before the container starts: a Job must end, and a changed secret wants new pods.
vault.hashicorp.com/agent-pre-populate-only: "true"
vault.hashicorp.com/agent-run-as-same-user: "true"
vault.hashicorp.com/agent-set-security-context: "true"
vault.hashicorp.com/agent-service-account-token-volume-name: vault-token
vault.hashicorp.com/agent-requests-cpu: {{ $vault.resources.requests.cpu | quote }}
vault.hashicorp.com/agent-requests-mem: {{ $vault.resources.requests.memory | quote }}
vault.hashicorp.com/agent-limits-mem: {{ $vault.resources.limits.memory | quote }}
{{- range .files }}
vault.hashicorp.com/agent-inject-secret-{{ . }}: {{ $.path | quote }}
vault.hashicorp.com/agent-inject-template-{{ . }}: {{ printf "{{- with secret %q -}}{{ index .Data.data %q }}{{- end -}}" $.path . | quote }}
{{- end }}
{{- end -}}

{{- /* The token that Vault's agent logs in with. No container of Rulebox mounts it. */ -}}
{{- define "rulebox.vaultVolume" -}}
{{- if .Values.vault.enabled }}
- name: vault-token
  projected:
    defaultMode: 0440
    sources:
      - serviceAccountToken:
          path: token
          audience: {{ .Values.vault.audience }}
          expirationSeconds: 600
{{- end }}
{{- end -}}

{{- /* What tells of a Secret that it has changed, without telling what is in it. It is empty where the cluster cannot be
       asked (`helm template`): change `secrets.revision` there. (dict "root" $ "names" list) */ -}}
{{- define "rulebox.secretChecksum" -}}
{{- $seen := list .root.Values.secrets.revision -}}
{{- range .names -}}
{{- $found := include "rulebox.found" (dict "root" $.root "api" "v1" "kind" "Secret" "name" .) | fromJson -}}
{{- if $found -}}
{{- /* Of what is in it: an operator that writes a Secret again, or labels it, changes its version. */ -}}
{{- $seen = append $seen (printf "%s %s %s" . $found.metadata.uid (toJson (default dict $found.data)) | sha256sum) -}}
{{- end -}}
{{- end -}}
{{- join "\n" $seen | sha256sum -}}
{{- end -}}
