{{- /* Who connects to the server itself. */ -}}
{{- define "rulebox.databaseClients" -}}
{{- if .Values.pgbouncer.enabled }}
{{- include "rulebox.peer" (dict "root" . "component" "pgbouncer") }}
{{- else }}
{{- include "rulebox.peer" (dict "root" . "component" "api") }}
{{- if .Values.firstTenant.name }}
{{ include "rulebox.peer" (dict "root" . "component" "first-tenant") }}
{{- end }}
{{- end }}
{{- if .Values.migration.enabled }}
{{ include "rulebox.peer" (dict "root" . "component" "migrate") }}
{{ include "rulebox.peer" (dict "root" . "component" "migrate-install") }}
{{- end }}
{{- if .Values.backup.enabled }}
{{ include "rulebox.peer" (dict "root" . "component" "backup") }}
{{- end }}
{{- end -}}

{{- define "rulebox.postgresqlConfig" -}}
{{- $part := dict "root" . "component" "postgresql" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "rulebox.part" $part }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "rulebox.labels" $part | nindent 4 }}
data:
  # Runs once, over an empty volume.
  init.sh: |
    #!/bin/sh
    set -eu
    secret() { cat "/run/rulebox/postgresql/$1"; }
    PGPASSWORD=$(secret superuser-password)
    export PGPASSWORD
    psql --username=postgres --dbname=postgres --quiet --set=database="$RULEBOX_DATABASE_NAME" \
      --set=owner_password="$(secret owner-password)" --set=service_password="$(secret service-password)" \
      --set=platform_password="$(secret platform-password)" --file=/opt/rulebox/postgresql/roles.sql
    if [ -s /run/rulebox/postgresql/backup-password ]; then
      psql --username=postgres --dbname="$RULEBOX_DATABASE_NAME" --quiet \
        --set=backup_password="$(secret backup-password)" --file=/opt/rulebox/postgresql/login.sql
    fi
  # Copies of deploy/postgres/roles.sql and deploy/backup/login.sql.
  roles.sql: |
    {{- .Files.Get "files/roles.sql" | nindent 4 }}
  login.sql: |
    {{- .Files.Get "files/backup/login.sql" | nindent 4 }}
{{- end -}}
