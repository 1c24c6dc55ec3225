{{- /* Who connects to the server itself. */ -}}
{{- define "rulebox.databaseClients" -}}
{{- if .Values.pgbouncer.enabled }}
{{- include "rulebox.peer" (dict "root" . "component" "pgbouncer") }}
{{- else }}
{{- include "rulebox.peers" (dict "root" . "component" "api") }}
{{- if .Values.firstTenant.name }}
{{ include "rulebox.peer" (dict "root" . "component" "first-tenant") }}
{{- end }}
{{- if .Values.restoreTest.enabled }}
{{ include "rulebox.peer" (dict "root" . "component" "restore-test") }}
{{- end }}
{{- end }}
{{- if .Values.migration.enabled }}
{{ include "rulebox.peer" (dict "root" . "component" "migrate") }}
{{ include "rulebox.peer" (dict "root" . "component" "migrate-install") }}
{{- end }}
{{- if .Values.backup.enabled }}
{{ include "rulebox.peer" (dict "root" . "component" "backup") }}
{{- end }}
{{- if .Values.monitoring.exporters.postgresql.enabled }}
{{ include "rulebox.peer" (dict "root" . "component" "postgresql-exporter") }}
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
  # A database whose making was cut off, or failed, has not all logins, and the image would take it for a whole one: it is
  # made anew. `init.sh` says when it is whole.
  start.sh: |
    #!/bin/sh
    set -eu
    unfinished=$(dirname "$PGDATA")/unfinished
    if [ -e "$unfinished" ]; then rm -rf "$PGDATA"; fi
    if [ ! -s "$PGDATA/PG_VERSION" ]; then : >"$unfinished"; fi
    exec docker-entrypoint.sh postgres "$@"
  # Runs once, over an empty volume.
  init.sh: |
    #!/bin/sh
    set -eu
    for login in superuser owner service platform; do
      if [ ! -s "/run/rulebox/postgresql/$login-password" ]; then
        echo "the Secret has no $login-password, or an empty one" >&2
        exit 1
      fi
    done
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
    rm -f "$(dirname "$PGDATA")/unfinished"
  # Copies of deploy/postgres/roles.sql and deploy/backup/login.sql.
  roles.sql: |
    {{- .Files.Get "files/roles.sql" | nindent 4 }}
  login.sql: |
    {{- .Files.Get "files/backup/login.sql" | nindent 4 }}
{{- end -}}
