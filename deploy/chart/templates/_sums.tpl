{{- /* Arithmetic over replicas: what may be there at once, at the most, in a rolling update of all of them. */ -}}

{{- /* CPU in thousandths: `250m`, `2`. */ -}}
{{- define "rulebox.milli" -}}
{{- $text := toString . -}}
{{- if hasSuffix "m" $text -}}{{- trimSuffix "m" $text | int64 -}}{{- else -}}{{- mul (int64 $text) 1000 -}}{{- end -}}
{{- end -}}

{{- /* Memory, or room on a disk, in MiB: `512Mi`, `2Gi`, `1Ti`. */ -}}
{{- define "rulebox.mebi" -}}
{{- $text := toString . -}}
{{- if hasSuffix "Ti" $text -}}{{- mul (trimSuffix "Ti" $text | int64) 1048576 -}}
{{- else if hasSuffix "Gi" $text -}}{{- mul (trimSuffix "Gi" $text | int64) 1024 -}}{{- else -}}{{- trimSuffix "Mi" $text | int64 -}}{{- end -}}
{{- end -}}

{{- /* Replicas at the most, without those of an update. */ -}}
{{- define "rulebox.mostReplicas" -}}
{{- if .autoscaling.enabled -}}{{- int64 .autoscaling.maxReplicas -}}{{- else -}}{{- int64 .replicas -}}{{- end -}}
{{- end -}}

{{- define "rulebox.leastReplicas" -}}
{{- if .autoscaling.enabled -}}{{- int64 .autoscaling.minReplicas -}}{{- else -}}{{- int64 .replicas -}}{{- end -}}
{{- end -}}

{{- /* With those of an update: a part of a percentage is a whole pod. */ -}}
{{- define "rulebox.mostPods" -}}
{{- $most := include "rulebox.mostReplicas" . | int64 -}}
{{- $surge := toString .maxSurge -}}
{{- if hasSuffix "%" $surge -}}
{{- add $most (div (add (mul $most (trimSuffix "%" $surge | int64)) 99) 100) -}}
{{- else -}}
{{- add $most (int64 $surge) -}}
{{- end -}}
{{- end -}}

{{- /* Pods of the API at the most, on all tracks. */ -}}
{{- define "rulebox.mostApis" -}}
{{- $tracks := dict -}}
{{- include "rulebox.tracks" (dict "root" . "into" $tracks) -}}
{{- $pods := 0 -}}
{{- range $tracks.all }}{{ $pods = add $pods (include "rulebox.mostPods" .Values.api | int64) }}{{ end -}}
{{- $pods -}}
{{- end -}}

{{- /* Connections to the database that all pods of the service may want. */ -}}
{{- define "rulebox.clientConnections" -}}
{{- $a := include "rulebox.number" (dict "settings" .Values.settings "section" "database" "name" "connections" "default" 10) | int64 -}}
{{- $b := include "rulebox.number" (dict "settings" .Values.settings "section" "database" "name" "platform_connections" "default" 2) | int64 -}}
{{- mul (add $a $b) (include "rulebox.mostApis" . | int64) -}}
{{- end -}}

{{- /* Clients that the poolers take while one of them is away. */ -}}
{{- define "rulebox.poolerRoom" -}}
{{- $replicas := int64 .Values.pgbouncer.replicas -}}
{{- mul (int64 .Values.pgbouncer.maxClientConnections) (sub $replicas 1) -}}
{{- end -}}

{{- /* Connections that the server may be asked for: two logins in each pooler, one more pooler in an update. */ -}}
{{- define "rulebox.serverConnections" -}}
{{- if .Values.pgbouncer.enabled -}}
{{- mul (int64 .Values.pgbouncer.poolSize) 2 (add (int64 .Values.pgbouncer.replicas) 1) -}}
{{- else -}}
{{- include "rulebox.clientConnections" . -}}
{{- end -}}
{{- end -}}

{{- /* All pods of the release at the most, as lines of "name pods milli mebi-requested mebi-limit". */ -}}
{{- define "rulebox.workloads" -}}
{{- $v := .Values -}}
{{- $tracks := dict -}}
{{- include "rulebox.tracks" (dict "root" . "into" $tracks) -}}
{{- $all := list -}}
{{- range $tracks.all -}}
{{- $all = append $all (dict "name" (print "api" .Suffix) "pods" (include "rulebox.mostPods" .Values.api) "resources" $v.api.resources) -}}
{{- if $v.executors.isolated -}}
{{- $all = append $all (dict "name" (print "executor" .Suffix) "pods" (include "rulebox.mostPods" .Values.executors) "resources" $v.executors.resources) -}}
{{- end -}}
{{- end -}}
{{- if $v.pgbouncer.enabled -}}
{{- $all = append $all (dict "name" "pgbouncer" "pods" (add (int64 $v.pgbouncer.replicas) 1) "resources" $v.pgbouncer.resources) -}}
{{- end -}}
{{- $exporters := $v.monitoring.exporters -}}
{{- if and $v.pgbouncer.enabled $exporters.pgbouncer.enabled -}}
{{- /* Beside each pooler, in its pod. */ -}}
{{- $all = append $all (dict "name" "pgbouncer-exporter" "pods" (add (int64 $v.pgbouncer.replicas) 1) "resources" $exporters.pgbouncer.resources "beside" true) -}}
{{- end -}}
{{- range $store := list "postgresql" "redis" -}}
{{- $of := index $exporters $store -}}
{{- if $of.enabled -}}
{{- $all = append $all (dict "name" (printf "%s-exporter" $store) "pods" 2 "resources" $of.resources) -}}
{{- end -}}
{{- end -}}
{{- if $v.postgresql.inCluster.enabled -}}
{{- $all = append $all (dict "name" "postgresql" "pods" 1 "resources" $v.postgresql.inCluster.resources) -}}
{{- end -}}
{{- if $v.postgresql.cloudnativepg.enabled -}}
{{- /* One more: the operator's Jobs, which make and join instances. */ -}}
{{- $all = append $all (dict "name" "cloudnativepg" "pods" (add (int64 $v.postgresql.cloudnativepg.instances) 1) "resources" $v.postgresql.cloudnativepg.resources) -}}
{{- end -}}
{{- if $v.redis.inCluster.enabled -}}
{{- $all = append $all (dict "name" "redis" "pods" (add 1 (int64 $v.redis.inCluster.replicas)) "resources" $v.redis.inCluster.resources) -}}
{{- end -}}
{{- $all = append $all (dict "name" "migrate" "pods" 1 "resources" $v.migration.resources) -}}
{{- if $v.firstTenant.name -}}
{{- $all = append $all (dict "name" "first-tenant" "pods" 1 "resources" $v.firstTenant.resources) -}}
{{- end -}}
{{- if $v.backup.enabled -}}
{{- /* The first one, and the night's. */ -}}
{{- $all = append $all (dict "name" "backup" "pods" 2 "resources" $v.backup.resources) -}}
{{- end -}}
{{- if $v.redisBackup.enabled -}}
{{- $all = append $all (dict "name" "redis-backup" "pods" 1 "resources" $v.redisBackup.resources) -}}
{{- end -}}
{{- if $v.restoreTest.enabled -}}
{{- $all = append $all (dict "name" "restore-test" "pods" 1 "resources" $v.restoreTest.resources) -}}
{{- end -}}
{{- if $v.prune.enabled -}}
{{- $all = append $all (dict "name" "prune" "pods" 1 "resources" $v.prune.resources) -}}
{{- end -}}
{{- if $v.tests.enabled -}}
{{- $all = append $all (dict "name" "test" "pods" (mul 2 (len $tracks.all)) "resources" $v.tests.resources) -}}
{{- end -}}
{{- dict "all" $all | toJson -}}
{{- end -}}

{{- /* The sum of them: pods, thousandths of CPUs, MiB requested, MiB at the most. */ -}}
{{- define "rulebox.total" -}}
{{- $pods := 0 -}}{{- $cpu := 0 -}}{{- $requested := 0 -}}{{- $most := 0 -}}
{{- range (include "rulebox.workloads" . | fromJson).all -}}
{{- $n := int64 .pods -}}
{{- if not .beside }}{{ $pods = add $pods $n }}{{ end -}}
{{- $cpu = add $cpu (mul $n (include "rulebox.milli" .resources.requests.cpu | int64)) -}}
{{- $requested = add $requested (mul $n (include "rulebox.mebi" .resources.requests.memory | int64)) -}}
{{- $most = add $most (mul $n (include "rulebox.mebi" .resources.limits.memory | int64)) -}}
{{- end -}}
{{- dict "pods" $pods "cpu" $cpu "requested" $requested "most" $most | toJson -}}
{{- end -}}

{{- /* What the namespace may have: as the values say, or the sum and some more. */ -}}
{{- define "rulebox.quota" -}}
{{- $total := include "rulebox.total" . | fromJson -}}
{{- $with := add 100 (int64 .Values.resourceQuota.headroomPercent) -}}
{{- $hard := .Values.resourceQuota.hard -}}
{{- $more := dict -}}
{{- range $name, $of := dict "pods" "pods" "cpu" "cpu" "requested" "requested" "most" "most" -}}
{{- $_ := set $more $name (div (add (mul (int64 (index $total $of)) $with) 99) 100) -}}
{{- end -}}
{{- dict
      "pods" (default (toString $more.pods) (toString (default "" $hard.pods)))
      "requests.cpu" (default (printf "%dm" $more.cpu) (toString (default "" (index $hard "requests.cpu"))))
      "requests.memory" (default (printf "%dMi" $more.requested) (default "" (index $hard "requests.memory")))
      "limits.memory" (default (printf "%dMi" $more.most) (default "" (index $hard "limits.memory")))
    | toJson -}}
{{- end -}}
