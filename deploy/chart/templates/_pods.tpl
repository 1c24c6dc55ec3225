{{- /* What every pod and every container has: the "restricted" level of Pod Security, and more. */ -}}

{{- /* (dict "root" $ "user" "rulebox") */ -}}
{{- define "rulebox.podSecurity" -}}
{{- $id := int64 (index .root.Values.userIds .user) -}}
runAsNonRoot: true
runAsUser: {{ $id }}
runAsGroup: {{ $id }}
fsGroup: {{ $id }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "rulebox.containerSecurity" -}}
{{- $id := int64 (index .root.Values.userIds .user) -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: {{ $id }}
runAsGroup: {{ $id }}
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- /* The beginning of a pod: (dict "root" $ "component" "api" "user" "rulebox" "workload" .Values.api) */ -}}
{{- define "rulebox.podStart" -}}
serviceAccountName: {{ include "rulebox.part" . }}
automountServiceAccountToken: false
# Variables of Services would be read as settings: one named `rulebox` makes RULEBOX_PORT.
enableServiceLinks: false
{{- include "rulebox.pullSecrets" .root }}
securityContext:
  {{- include "rulebox.podSecurity" . | nindent 2 }}
{{- include "rulebox.placement" . }}
{{- end -}}

{{- /* What tells of a ConfigMap that it has changed: of what is in it, not of its labels, or every version of the chart would
       start PostgreSQL, Redis and the poolers anew. */ -}}
{{- define "rulebox.configChecksum" -}}
{{- (. | fromYaml).data | toJson | sha256sum -}}
{{- end -}}

{{- /* Where pods may be, in which order they go, and what runs them. */ -}}
{{- define "rulebox.placement" -}}
{{- with .workload.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with include "rulebox.priorityClass" . }}
priorityClassName: {{ . }}
{{- end }}
{{- with .workload.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .workload.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "rulebox.priorityClass" -}}
{{- if .workload.priorityClassName -}}
{{- .workload.priorityClassName -}}
{{- else -}}
{{- $component := trimSuffix "-canary" .component -}}
{{- if and .root.Values.priorityClasses.create (hasKey .root.Values.priorityClasses.values $component) -}}
{{- include "rulebox.className" (dict "root" .root "component" $component) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Of the whole cluster, where another namespace may have a release of the same name. */ -}}
{{- define "rulebox.className" -}}
{{- printf "%s-%s" .root.Release.Namespace (include "rulebox.part" .) -}}
{{- end -}}

{{- /* Apart from each other: over zones and nodes, and not two on one node if there is another. With "deployment" true,
       each ReplicaSet is spread by itself, so that a rolling update does not end lopsided. */ -}}
{{- define "rulebox.spread" -}}
topologySpreadConstraints:
  {{- range $key, $when := dict "topology.kubernetes.io/zone" .workload.spread.zones "kubernetes.io/hostname" .workload.spread.nodes }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    whenUnsatisfiable: {{ $when }}
    labelSelector:
      matchLabels:
        {{- include "rulebox.selector" $ | nindent 8 }}
    {{- if $.deployment }}
    matchLabelKeys: [pod-template-hash]
    {{- end }}
  {{- end }}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- include "rulebox.selector" . | nindent 14 }}
{{- end -}}

{{- /* Probes of Rulebox: (dict "probes" .Values.api.probes). Alive is who answers; ready is who has its store. */ -}}
{{- define "rulebox.probes" -}}
startupProbe:
  httpGet: {path: /startupz, port: health}
  {{- toYaml .probes.startup | nindent 2 }}
readinessProbe:
  httpGet: {path: /readyz, port: health}
  {{- toYaml .probes.readiness | nindent 2 }}
livenessProbe:
  httpGet: {path: /livez, port: health}
  {{- toYaml .probes.liveness | nindent 2 }}
{{- end -}}

{{- define "rulebox.pdb" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "rulebox.part" . }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "rulebox.labels" . | nindent 4 }}
spec:
  # Never `minAvailable`: with as many pods as that, no node could be drained.
  maxUnavailable: {{ .workload.podDisruptionBudget.maxUnavailable }}
  # A pod that is not ready protects nobody.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "rulebox.selector" . | nindent 6 }}
{{- end -}}

{{- /* (dict "root" $ "component" "api" "workload" .Values.api "metric" name) */ -}}
{{- define "rulebox.hpa" -}}
{{- $scaling := .workload.autoscaling -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ include "rulebox.part" . }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "rulebox.labels" . | nindent 4 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "rulebox.part" . }}
  minReplicas: {{ int64 $scaling.minReplicas }}
  maxReplicas: {{ int64 $scaling.maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: {{ int64 $scaling.cpuUtilization }}
    - type: Resource
      resource:
        name: memory
        target:
          type: Utilization
          averageUtilization: {{ int64 $scaling.memoryUtilization }}
    {{- if $scaling.podsMetric.enabled }}
    - type: Pods
      pods:
        metric:
          name: {{ $scaling.podsMetric.name }}
        target:
          type: AverageValue
          averageValue: {{ $scaling.podsMetric.averageValue | quote }}
    {{- end }}
  behavior:
    {{- toYaml $scaling.behavior | nindent 4 }}
{{- end -}}
