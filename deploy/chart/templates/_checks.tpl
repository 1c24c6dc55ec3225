{{- /* What cannot work is refused before anything is changed in a cluster: everything at once, and what to do. */ -}}

{{- define "rulebox.checks" -}}
{{- include "rulebox.checkStores" . -}}
{{- include "rulebox.checkConnections" . -}}
{{- include "rulebox.checkExecutors" . -}}
{{- include "rulebox.checkMemory" . -}}
{{- include "rulebox.checkResources" . -}}
{{- include "rulebox.checkPeers" . -}}
{{- include "rulebox.checkQuota" . -}}
{{- include "rulebox.checkScaling" . -}}
{{- include "rulebox.checkExporters" . -}}
{{- include "rulebox.checkImages" . -}}
{{- end -}}

{{- define "rulebox.checkStores" -}}
{{- $v := .Values -}}
{{- if and $v.postgresql.inCluster.enabled $v.postgresql.cloudnativepg.enabled -}}
{{ "\n- postgresql.inCluster.enabled and postgresql.cloudnativepg.enabled are both true: a release has one PostgreSQL. Turn one of them off." }}
{{- end -}}
{{- if and (not $v.postgresql.inCluster.enabled) (not $v.postgresql.cloudnativepg.enabled) (not $v.postgresql.host) -}}
{{ "\n- postgresql.host is empty: name the server, or have the chart make one (postgresql.cloudnativepg.enabled, or postgresql.inCluster.enabled for staging)." }}
{{- end -}}
{{- if and $v.redis.inCluster.enabled (not $v.redis.enabled) -}}
{{ "\n- redis.inCluster.enabled is true and redis.enabled is false: a Redis that nobody asks. Set both or none." }}
{{- end -}}
{{- $tracks := dict -}}
{{- include "rulebox.tracks" (dict "root" . "into" $tracks) -}}
{{- $pods := 0 -}}
{{- range $tracks.all }}{{ $pods = add $pods (include "rulebox.mostReplicas" .Values.api | int64) }}{{ end -}}
{{- if and (gt (int64 $pods) 1) (not $v.redis.enabled) -}}
{{ printf "\n- redis.enabled is false and there may be %d pods of the API. Without Redis each has sessions and limits of its own: a session is lost on the next pod, and a tenant has its limits %d times. Set redis.enabled, or api.autoscaling.enabled=false and api.replicas=1 without a canary." $pods $pods }}
{{- end -}}
{{- if and $v.backup.enabled (not $v.backup.recipients) (not $v.backup.unencrypted) -}}
{{ "\n- backup.recipients is empty: backups would be as readable as the database. Name public keys of age (and backup.image.repository and backup.image.tag of one with age: rulebox-backup), or say backup.unencrypted=true." }}
{{- end -}}
{{- if and $v.backup.enabled $v.backup.recipients (eq $v.backup.image.repository "postgres") -}}
{{ "\n- backup.recipients is set, and the image postgres has no age to encrypt for them: set backup.image.repository to rulebox-backup (deploy/image/README.md) and backup.image.tag to its version (empty: the chart's), or to another that has it." }}
{{- end -}}
{{- if and $v.redisBackup.enabled (not $v.redisBackup.existingClaim) (not $v.backup.enabled) (not $v.backup.volume.existingClaim) -}}
{{ "\n- redisBackup.existingClaim is empty, and there is no volume of backups: name the claim that copies go to, or set backup.enabled." }}
{{- end -}}
{{- if and $v.redisBackup.enabled $v.redisBackup.recipients (eq $v.redisBackup.image.repository "redis") -}}
{{ "\n- redisBackup.recipients is set, and the image redis has no age to encrypt for them: set redisBackup.image to one of yours, made from it with the package age." }}
{{- end -}}
{{- if and $v.restoreTest.enabled (eq (include "rulebox.restoreTestImage" . | fromJson).repository "postgres") -}}
{{ "\n- restoreTest.enabled, and backup.image is postgres, which has no restore-test: set backup.image.repository (or restoreTest.image.repository) to rulebox-backup (deploy/image/README.md), and its tag to its version (empty: the chart's)." }}
{{- end -}}
{{- if and $v.upload.enabled (not $v.backup.enabled) (not $v.redisBackup.enabled) -}}
{{ "\n- upload.enabled, and nothing is copied: set backup.enabled or redisBackup.enabled." }}
{{- end -}}
{{- if and $v.prune.enabled (not $v.prune.existingClaim) -}}
{{ "\n- prune.existingClaim is empty: name the claim that copies are taken to." }}
{{- end -}}
{{- if and $v.redisBackup.enabled (not $v.redis.inCluster.enabled) (not $v.redisBackup.host) -}}
{{ "\n- redisBackup.host is empty, and this release has no Redis of its own: name the one to copy." }}
{{- end -}}
{{- if and $v.restoreTest.enabled (not $v.backup.enabled) (not $v.backup.volume.existingClaim) -}}
{{ "\n- restoreTest.enabled, and there are no backups here: set backup.enabled, or backup.volume.existingClaim where they are." }}
{{- end -}}
{{- if and $v.restoreTest.enabled $v.backup.recipients (not $v.restoreTest.identitySecret) -}}
{{ "\n- restoreTest.identitySecret is empty, and backups are encrypted (backup.recipients): no test could open one. Name a Secret with the private key of one of them." }}
{{- end -}}
{{- if and $v.vault.enabled $v.externalSecrets.enabled -}}
{{ "\n- vault.enabled and externalSecrets.enabled are both true: secrets come one way. Turn one of them off." }}
{{- end -}}
{{- end -}}

{{- define "rulebox.checkConnections" -}}
{{- $v := .Values -}}
{{- $clients := include "rulebox.clientConnections" . | int64 -}}
{{- $pods := include "rulebox.mostApis" . | int64 -}}
{{- if $v.pgbouncer.enabled -}}
{{- $room := include "rulebox.poolerRoom" . | int64 -}}
{{- if gt $clients $room -}}
{{ printf "\n- Too many connections for PgBouncer: %d pods of the API at the most (maxReplicas and maxSurge) want %d connections (settings.database.connections + platform_connections, each pod), and with one of %d poolers away there is room for %d (pgbouncer.maxClientConnections). Raise pgbouncer.maxClientConnections or pgbouncer.replicas, or lower api.autoscaling.maxReplicas or settings.database.connections." $pods $clients (int64 $v.pgbouncer.replicas) $room }}
{{- end -}}
{{- end -}}
{{- $server := include "rulebox.serverConnections" . | int64 -}}
{{- $free := sub (int64 $v.postgresql.maxConnections) (int64 $v.postgresql.reservedConnections) -}}
{{- if gt $server $free -}}
{{- if $v.pgbouncer.enabled -}}
{{ printf "\n- Too many connections for PostgreSQL: PgBouncer may ask for %d (pgbouncer.poolSize, for each of two logins, in %d poolers and one more during an update), and PostgreSQL has %d (postgresql.maxConnections less reservedConnections). Lower pgbouncer.poolSize or pgbouncer.replicas, or raise postgresql.maxConnections here and in the server." $server (int64 $v.pgbouncer.replicas) $free }}
{{- else -}}
{{ printf "\n- Too many connections for PostgreSQL: %d pods of the API at the most want %d, and PostgreSQL has %d (postgresql.maxConnections less reservedConnections). Set pgbouncer.enabled, or lower settings.database.connections or the number of pods." $pods $server $free }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "rulebox.checkExecutors" -}}
{{- if .Values.executors.isolated -}}
{{- $most := include "rulebox.number" (dict "settings" .Values.executors.settings "section" "executors" "name" "connections" "default" 256) | int64 -}}
{{- $pods := include "rulebox.mostPods" .Values.api | int64 -}}
{{- if gt (mul 2 $pods) $most -}}
{{ printf "\n- Too few connections for an executor: %d pods of the API may each have one, and two while certificates change; it takes %d. Set executors.settings.executors.connections to %d or more." $pods $most (mul 2 $pods) }}
{{- end -}}
{{- $tls := .Values.executors.tls -}}
{{- if and $tls.certManager.enabled (not $tls.certManager.issuerRef.name) (ne $tls.certManager.issuerRef.kind "Issuer") -}}
{{ "\n- executors.tls.certManager.issuerRef.kind is not Issuer, and there is no name: the chart makes an Issuer of its own when the name is empty. Give the name of the one to use, which must sign for nothing else." }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* A pod that may take in more than its limit is killed under load, with all that it was answering. */ -}}
{{- define "rulebox.checkMemory" -}}
{{- $s := .Values.settings -}}
{{- $bodies := include "rulebox.number" (dict "settings" $s "section" "api" "name" "bodies_in_flight_bytes" "default" 536870912) | int64 -}}
{{- $answers := include "rulebox.number" (dict "settings" $s "section" "evaluation" "name" "answers_in_flight_bytes" "default" 1073741824) | int64 -}}
{{- $sum := add $bodies $answers -}}
{{- if not .Values.redis.enabled -}}
{{- $sum = add $sum (include "rulebox.number" (dict "settings" $s "section" "sessions" "name" "in_process_bytes" "default" 268435456) | int64) -}}
{{- end -}}
{{- if not .Values.executors.isolated -}}
{{- $sum = add $sum (include "rulebox.runtimeBytes" $s | int64) -}}
{{- end -}}
{{- $needed := add 256 (div $sum 1048576) -}}
{{- $limit := include "rulebox.mebi" .Values.api.resources.limits.memory | int64 -}}
{{- if gt $needed $limit -}}
{{ printf "\n- Too little memory for the API: its settings let a pod take %d MiB (256 for itself; settings.api.bodies_in_flight_bytes, settings.evaluation.answers_in_flight_bytes, without Redis sessions.in_process_bytes, and with executors.isolated=false loaded modules and compile workers), and its limit is %d MiB. Raise api.resources.limits.memory, or lower these settings." $needed $limit }}
{{- end -}}
{{- if and .Values.codeCache.enabled (not .Values.executors.isolated) -}}
{{- $cache := div (include "rulebox.number" (dict "settings" $s "section" "code_cache" "name" "bytes" "default" 1073741824) | int64) 1048576 -}}
{{- $room := include "rulebox.mebi" .Values.codeCache.sizeLimit | int64 -}}
{{- if ge $cache $room -}}
{{ printf "\n- codeCache.sizeLimit is too small: the service may keep %d MiB of compiled code (settings.code_cache.bytes), and a pod that has more than %d MiB is ended. Raise codeCache.sizeLimit, or lower that setting." $cache $room }}
{{- end -}}
{{- end -}}
{{- if .Values.executors.isolated -}}
{{- $needed := add 256 (div (include "rulebox.runtimeBytes" .Values.executors.settings | int64) 1048576) -}}
{{- $limit := include "rulebox.mebi" .Values.executors.resources.limits.memory | int64 -}}
{{- if gt $needed $limit -}}
{{ printf "\n- Too little memory for executors: their settings let a pod take %d MiB (256 for itself; executors.settings.evaluation.loaded_bytes, and 300 for each of compile.workers), and their limit is %d MiB. Raise executors.resources.limits.memory, or lower these settings." $needed $limit }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* What the API server refuses of a pod, when its Deployment has been taken. */ -}}
{{- define "rulebox.checkResources" -}}
{{- $v := .Values -}}
{{- $all := (include "rulebox.workloads" . | fromJson).all -}}
{{- if $v.vault.enabled }}{{ $all = append $all (dict "name" "vault" "resources" $v.vault.resources) }}{{ end -}}
{{- $largest := ternary (dig "max" "memory" "" $v.limitRange.container) "" $v.limitRange.enabled -}}
{{- range $all -}}
{{- $limit := include "rulebox.mebi" .resources.limits.memory | int64 -}}
{{- if gt (include "rulebox.mebi" .resources.requests.memory | int64) $limit -}}
{{ printf "\n- %s: more memory is requested (%s) than the limit (%s). Raise its resources.limits.memory, or request less." .name .resources.requests.memory .resources.limits.memory }}
{{- end -}}
{{- if .resources.limits.cpu -}}
{{- if gt (include "rulebox.milli" .resources.requests.cpu | int64) (include "rulebox.milli" .resources.limits.cpu | int64) -}}
{{ printf "\n- %s: more CPU is requested (%s) than the limit (%s). Take the limit away, or request less." .name .resources.requests.cpu .resources.limits.cpu }}
{{- end -}}
{{- end -}}
{{- if $largest -}}
{{- if gt $limit (include "rulebox.mebi" $largest | int64) -}}
{{ printf "\n- %s: a limit of memory (%s) above limitRange.container.max (%s): its pods would not be made. Raise that, or lower this." .name .resources.limits.memory $largest }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $redis := $v.redis.inCluster -}}
{{- if $redis.enabled -}}
{{- $most := ternary (mul 1024 (trimSuffix "gb" $redis.maxMemory | int64)) (trimSuffix "mb" $redis.maxMemory | int64) (hasSuffix "gb" $redis.maxMemory) -}}
{{- if ge (int64 $most) (include "rulebox.mebi" $redis.resources.limits.memory | int64) -}}
{{ printf "\n- redis.inCluster.maxMemory is %s, and its limit of memory %s: it would be killed before it is full. Raise redis.inCluster.resources.limits.memory, or lower maxMemory." $redis.maxMemory $redis.resources.limits.memory }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* What running modules takes: loaded ones, and workers that compile (300 MiB for the worst module that is taken). */ -}}
{{- define "rulebox.runtimeBytes" -}}
{{- $loaded := include "rulebox.number" (dict "settings" . "section" "evaluation" "name" "loaded_bytes" "default" 536870912) | int64 -}}
{{- $workers := include "rulebox.number" (dict "settings" . "section" "compile" "name" "workers" "default" 2) | int64 -}}
{{- add $loaded (mul $workers 314572800) -}}
{{- end -}}

{{- /* networkPolicy.ingress.from as values.yaml has it. */ -}}
{{- define "rulebox.ingressNginxPeers" -}}
{{- dict "namespaceSelector" (dict "matchLabels" (dict "kubernetes.io/metadata.name" "ingress-nginx")) "podSelector" (dict "matchLabels" (dict "app.kubernetes.io/name" "ingress-nginx")) | list | toJson -}}
{{- end -}}

{{- /* What the settings have pods connect to must be let through. */ -}}
{{- define "rulebox.checkPeers" -}}
{{- $v := .Values -}}
{{- $p := $v.networkPolicy -}}
{{- if $p.enabled -}}
{{- if and (dig "telemetry" "otlp_endpoint" "" $v.settings) (not $p.otlp.to) -}}
{{ "\n- settings.telemetry.otlp_endpoint is set and networkPolicy.otlp.to is empty: traces would be dropped at the pod. Say which pods or addresses the collector is." }}
{{- end -}}
{{- if and (dig "alertmanager" "urls" "" $v.settings) (not $p.alertmanager.to) -}}
{{ "\n- settings.alertmanager.urls is set and networkPolicy.alertmanager.to is empty: alerts would be dropped at the pod. Say which pods or addresses Alertmanager is." }}
{{- end -}}
{{- if and (dig "webhooks" "proxy" "" $v.settings) (not $p.egressProxy.to) -}}
{{ "\n- settings.webhooks.proxy is set and networkPolicy.egressProxy.to is empty: webhooks would be dropped at the pod. Say which pods or addresses the proxy is." }}
{{- end -}}
{{- if and (not $v.postgresql.inCluster.enabled) (not $v.postgresql.cloudnativepg.enabled) (not $p.postgresql.to) -}}
{{ "\n- networkPolicy.postgresql.to is empty, and PostgreSQL is none of this release: say which pods or addresses it is." }}
{{- end -}}
{{- if and $v.redis.enabled (not $v.redis.inCluster.enabled) (not $p.redis.to) -}}
{{ "\n- networkPolicy.redis.to is empty, and Redis is none of this release: say which pods or addresses it is." }}
{{- end -}}
{{- if and $v.redisBackup.enabled $v.redisBackup.host (include "rulebox.copiesForeignRedis" .) (not $p.redis.to) -}}
{{ printf "\n- networkPolicy.redis.to is empty, and redisBackup.host, %s, is none of this release: say which pods or addresses it is." $v.redisBackup.host }}
{{- end -}}
{{- if and $v.httpRoute.enabled (eq (toJson $p.ingress.from) (include "rulebox.ingressNginxPeers" . | fromJsonArray | toJson)) -}}
{{ "\n- httpRoute.enabled is true, and networkPolicy.ingress.from lets in ingress-nginx alone: what the Gateway sends would be dropped at the pod. Say which pods or addresses the Gateway's are." }}
{{- end -}}
{{- if and $v.oidc (not $p.oidc.to) -}}
{{ "\n- oidc has issuers and networkPolicy.oidc.to is empty: their keys could not be read. Say which pods or addresses they are." }}
{{- end -}}
{{- if and $v.upload.enabled (not $p.upload.to) -}}
{{ "\n- upload.enabled is true and networkPolicy.upload.to is empty: copies would get nowhere. Say which pods or addresses they are taken to." }}
{{- end -}}
{{- if and $v.vault.enabled (not $p.vault.to) -}}
{{ "\n- vault.enabled is true and networkPolicy.vault.to is empty: the agent could not log in. Say which pods or addresses Vault is." }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "rulebox.checkQuota" -}}
{{- if .Values.resourceQuota.enabled -}}
{{- $total := include "rulebox.total" . | fromJson -}}
{{- $quota := include "rulebox.quota" . | fromJson -}}
{{- $has := dict "pods" (int64 $quota.pods) "requests.cpu" (include "rulebox.milli" (index $quota "requests.cpu") | int64) "requests.memory" (include "rulebox.mebi" (index $quota "requests.memory") | int64) "limits.memory" (include "rulebox.mebi" (index $quota "limits.memory") | int64) -}}
{{- range $name, $wants := dict "pods" $total.pods "requests.cpu" $total.cpu "requests.memory" $total.requested "limits.memory" $total.most -}}
{{- if gt (int64 $wants) (int64 (index $has $name)) -}}
{{ printf "\n- The quota of the namespace is too small: resourceQuota.hard has %v of %s, and all pods at their most, in an update of all, want %v (CPU in thousandths, memory in MiB). Pods beyond it would not be made. Raise resourceQuota.hard, leave %s out of it so that the chart computes it, or lower maxReplicas." (index $has $name) $name $wants $name }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "rulebox.checkExporters" -}}
{{- $of := .Values.monitoring.exporters -}}
{{- if and $of.redis.enabled (not (include "rulebox.redisAddresses" . | fromJson).all) -}}
{{ "\n- monitoring.exporters.redis.enabled is true, Redis is none of this release, and monitoring.exporters.redis.addresses is empty: say where it is, redis://host:6379 or rediss://host:6379." }}
{{- end -}}
{{- if and $of.postgresql.enabled (hasPrefix "verify" $of.postgresql.sslMode) (not .Values.authorities.database.existingSecret) -}}
{{ printf "\n- monitoring.exporters.postgresql.sslMode is %s, and authorities.database.existingSecret is empty: there is nothing to hold the certificate against." $of.postgresql.sslMode }}
{{- end -}}
{{- end -}}

{{- /* What a kubelet would find out: images without a version, and Rulebox's own with that of another, which values.yaml has. */ -}}
{{- define "rulebox.checkImages" -}}
{{- $v := .Values -}}
{{- $images := dict -}}
{{- if or $v.backup.enabled $v.prune.enabled }}{{ $_ := set $images "backup.image" $v.backup.image }}{{ end -}}
{{- if $v.redisBackup.enabled }}{{ $_ := set $images "redisBackup.image" $v.redisBackup.image }}{{ end -}}
{{- if $v.upload.enabled }}{{ $_ := set $images "upload.image" $v.upload.image }}{{ end -}}
{{- if $v.pgbouncer.enabled }}{{ $_ := set $images "pgbouncer.image" $v.pgbouncer.image }}{{ end -}}
{{- if $v.postgresql.inCluster.enabled }}{{ $_ := set $images "postgresql.inCluster.image" $v.postgresql.inCluster.image }}{{ end -}}
{{- if $v.redis.inCluster.enabled }}{{ $_ := set $images "redis.inCluster.image" $v.redis.inCluster.image }}{{ end -}}
{{- range $name, $of := $v.monitoring.exporters -}}
{{- if $of.enabled }}{{ $_ := set $images (printf "monitoring.exporters.%s.image" $name) $of.image }}{{ end -}}
{{- end -}}
{{- range $name, $image := $images -}}
{{- if not $image.digest -}}
{{- if include "rulebox.ownImage" $image -}}
{{- if has $image.tag (list "18.1" "v1.25.1-p0") -}}
{{ printf "\n- %s.tag is %s, which is no version of %s: set it to that of the image, or to nothing for the chart's (%s)." $name $image.tag $image.repository $.Chart.AppVersion }}
{{- end -}}
{{- else if not $image.tag -}}
{{ printf "\n- %s has no tag and no digest: set %s.tag to a version of %s." $name $name $image.repository }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "rulebox.checkScaling" -}}
{{- $tracks := dict -}}
{{- include "rulebox.tracks" (dict "root" . "into" $tracks) -}}
{{- range $track := $tracks.all -}}
{{- range $name, $of := dict "api" .Values.api "executors" .Values.executors -}}
{{- if and $of.autoscaling.enabled (gt (int64 $of.autoscaling.minReplicas) (int64 $of.autoscaling.maxReplicas)) -}}
{{- if eq $track.Track "stable" -}}
{{ printf "\n- %s.autoscaling.minReplicas is more than maxReplicas." $name }}
{{- else -}}
{{ printf "\n- The canary starts with more pods (%d) than %s.autoscaling.maxReplicas (%d), which is the most of each track." (int64 $of.autoscaling.minReplicas) $name (int64 $of.autoscaling.maxReplicas) }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .Values.canary.weight (not .Values.canary.enabled) -}}
{{ printf "\n- canary.weight is %d and canary.enabled is false: requests would be sent to nobody. Set canary.weight=0, or canary.enabled." (int64 .Values.canary.weight) }}
{{- end -}}
{{- end -}}
