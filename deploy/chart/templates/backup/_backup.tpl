{{- define "rulebox.backupConfig" -}}
{{- $part := dict "root" . "component" "backup" -}}
# Copies of deploy/backup/.
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "rulebox.part" $part }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "rulebox.labels" $part | nindent 4 }}
data:
  {{- range list "backup" "catalog.sql" "rows.sql" }}
  {{ . }}: |
    {{- $.Files.Get (printf "files/backup/%s" .) | nindent 4 }}
  {{- end }}
  {{- with .Values.backup.recipients }}
  recipients: |
    {{- join "\n" . | nindent 4 }}
  {{- end }}
{{- end -}}
