{{- define "rulebox.pgbouncerConfig" -}}
{{- $part := dict "root" . "component" "pgbouncer" -}}
{{- $p := .Values.pgbouncer -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "rulebox.part" $part }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "rulebox.labels" $part | nindent 4 }}
data:
  # deploy/data/pgbouncer.ini says why these.
  pgbouncer.ini: |
    [databases]
    {{ .Values.postgresql.database }} = host={{ include "rulebox.postgresqlHost" . }} port={{ include "rulebox.postgresqlPort" . }} dbname={{ .Values.postgresql.database }}

    [pgbouncer]
    listen_addr = *
    listen_port = 6432
    unix_socket_dir =
    auth_type = scram-sha-256
    auth_file = /run/pgbouncer/userlist/userlist.txt
    pool_mode = transaction
    default_pool_size = {{ int64 $p.poolSize }}
    max_client_conn = {{ int64 $p.maxClientConnections }}
    query_wait_timeout = {{ int64 $p.queryWaitSeconds }}
    server_login_retry = 1
    # A server that is gone without a word is found out, and a failover seen.
    server_connect_timeout = 3
    dns_max_ttl = 5
    tcp_keepalive = 1
    tcp_keepidle = 10
    tcp_keepintvl = 3
    tcp_keepcnt = 3
    server_lifetime = 600
    server_idle_timeout = 300
    idle_transaction_timeout = 60
    # Logins, and probes, are not news.
    log_connections = 0
    log_disconnections = 0
    {{- if .Values.monitoring.exporters.pgbouncer.enabled }}
    # deploy/monitoring/exporters/pgbouncer.ini says why these.
    stats_users = rulebox_monitor
    ignore_startup_parameters = extra_float_digits
    {{- end }}
    server_tls_sslmode = {{ $p.serverTls.mode }}
    {{- if $p.serverTls.existingSecret }}
    server_tls_ca_file = /run/pgbouncer/server-tls/ca.crt
    {{- end }}
    client_tls_sslmode = {{ $p.clientTls.mode }}
    {{- if $p.clientTls.existingSecret }}
    client_tls_cert_file = /run/pgbouncer/client-tls/tls.crt
    client_tls_key_file = /run/pgbouncer/client-tls/tls.key
    {{- end }}
{{- end -}}
