{{- define "rulebox.redisConfig" -}}
{{- $of := .root.Values.redis.inCluster -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "rulebox.part" . }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "rulebox.labels" . | nindent 4 }}
data:
  redis.conf: |
    bind * -::*
    port 6379
    dir /data
    # Sessions are here and nowhere else. Each write goes to the log; at most a second of them is lost with the machine,
    # and their clients send those bars again (409 says from which on).
    appendonly yes
    appendfsync everysec
    save ""
    # Full is full: a session that was thrown out would be lost, one that cannot be written answers 503.
    maxmemory {{ $of.maxMemory }}
    maxmemory-policy noeviction
    tcp-keepalive 60
    # There is one copy: no other that the first would wait for.
    repl-diskless-sync-delay 0
    {{- if ne .component $of.primary }}
    # A copy. It takes over by hand: README.md says how. This name leads to the primary.
    replicaof {{ include "rulebox.part" (dict "root" .root "component" "redis") }} 6379
    replica-read-only yes
    {{- end }}
    # `requirepass` and `masterauth`.
    include /run/redis/auth/auth.conf
{{- end -}}
