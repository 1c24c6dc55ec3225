{{- /* What exporters of all stores have: (dict "root" $ "store" "postgresql") */ -}}

{{- define "rulebox.exporterPort" -}}
{{- index (dict "postgresql" 9187 "redis" 9121 "pgbouncer" 9127) . -}}
{{- end -}}

{{- define "rulebox.exporterMonitor" -}}
{{- $v := .root.Values.monitoring -}}
{{- $component := printf "%s-exporter" .store -}}
{{- $part := dict "root" .root "component" $component -}}
{{- if $v.serviceMonitor.enabled }}
---
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  name: {{ include "rulebox.part" $part }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "rulebox.labels" $part | nindent 4 }}
    {{- with $v.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  selector:
    matchLabels:
      {{- include "rulebox.selector" $part | nindent 6 }}
  endpoints:
    {{- range $target := default (list "") .targets }}
    - port: metrics
      path: {{ ternary "/scrape" "/metrics" (ne $target "") }}
      interval: {{ $v.serviceMonitor.interval }}
      scrapeTimeout: {{ $v.serviceMonitor.scrapeTimeout }}
      {{- if $target }}
      params:
        target: [{{ $target | quote }}]
      {{- end }}
      relabelings:
        # The alerts go by this name of the job.
        - targetLabel: job
          replacement: rulebox-{{ $.store }}
        {{- if $target }}
        # Each is its own, not the exporter that asks it.
        - targetLabel: instance
          replacement: {{ $target | quote }}
        {{- end }}
    {{- end }}
{{- end }}
{{- end -}}

{{- define "rulebox.exporterService" -}}
{{- $component := printf "%s-exporter" .store -}}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ include "rulebox.part" (dict "root" .root "component" $component) }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "rulebox.labels" (dict "root" .root "component" $component) | nindent 4 }}
spec:
  type: ClusterIP
  selector:
    {{- include "rulebox.selector" (dict "root" .root "component" .pods) | nindent 4 }}
  ports:
    - {name: metrics, port: {{ include "rulebox.exporterPort" .store }}, targetPort: metrics, protocol: TCP}
{{- end -}}

{{- /* Its container, but for what it runs and reads: (dict "root" $ "store" "redis" "user" "exporter"). With "beside" it is in
       another's pod, and has no probe: a pod is ready when all its containers are, and what watches must not take away
       what it watches. */ -}}
{{- define "rulebox.exporterContainer" -}}
{{- $of := index .root.Values.monitoring.exporters .store -}}
name: exporter
image: {{ include "rulebox.imageName" (dict "root" .root "image" $of.image) }}
imagePullPolicy: {{ $of.image.pullPolicy }}
ports:
  - {name: metrics, containerPort: {{ include "rulebox.exporterPort" .store }}, protocol: TCP}
{{- if not .beside }}
# That it answers, not that the store does: an alert says so.
startupProbe:
  tcpSocket: {port: metrics}
  periodSeconds: 2
  failureThreshold: 30
readinessProbe:
  tcpSocket: {port: metrics}
  periodSeconds: 10
  failureThreshold: 3
livenessProbe:
  tcpSocket: {port: metrics}
  periodSeconds: 20
  timeoutSeconds: 5
  failureThreshold: 6
{{- end }}
lifecycle:
  preStop:
    sleep: {seconds: 2}
resources:
  {{- toYaml $of.resources | nindent 2 }}
securityContext:
  {{- include "rulebox.containerSecurity" . | nindent 2 }}
{{- end -}}

{{- /* Pods of this release's Redis, the primary's first: their names are those of Services that lead to one each. Whoever is
       the primary now, and however many copies there are, each is asked by itself. */ -}}
{{- define "rulebox.redisPods" -}}
{{- $of := .Values.redis.inCluster -}}
{{- $copy := ternary "redis-replica" "redis" (eq $of.primary "redis") -}}
{{- $pods := list (dict "component" $of.primary "name" (include "rulebox.part" (dict "root" . "component" (printf "%s-0" $of.primary)))) -}}
{{- range $number := until (int $of.replicas) -}}
{{- $pods = append $pods (dict "component" $copy "name" (include "rulebox.part" (dict "root" $ "component" (printf "%s-%d" $copy $number)))) -}}
{{- end -}}
{{- dict "all" $pods | toJson -}}
{{- end -}}

{{- /* Addresses that may be asked, whichever set is the primary: with two copies or more the other set has another pod when it
       has taken over, and its password must be there before. */ -}}
{{- define "rulebox.redisPasswordAddresses" -}}
{{- $addresses := .Values.monitoring.exporters.redis.addresses -}}
{{- if and (not $addresses) .Values.redis.inCluster.enabled -}}
{{- range $number := until (max 1 (int .Values.redis.inCluster.replicas) | int) -}}
{{- range $set := list "redis" "redis-replica" -}}
{{- $addresses = append $addresses (printf "redis://%s:6379" (include "rulebox.part" (dict "root" $ "component" (printf "%s-%d" $set $number)))) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- dict "all" $addresses | toJson -}}
{{- end -}}

{{- /* Where Redis is: the values say so, or those of this release. */ -}}
{{- define "rulebox.redisAddresses" -}}
{{- $addresses := .Values.monitoring.exporters.redis.addresses -}}
{{- if and (not $addresses) .Values.redis.inCluster.enabled -}}
{{- range (include "rulebox.redisPods" . | fromJson).all -}}
{{- $addresses = append $addresses (printf "redis://%s:6379" .name) -}}
{{- end -}}
{{- end -}}
{{- dict "all" $addresses | toJson -}}
{{- end -}}
