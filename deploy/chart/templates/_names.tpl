{{- /* Names and labels. Selectors never change: Kubernetes refuses to change those of a Deployment. */ -}}

{{- define "rulebox.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 38 | trimSuffix "-" -}}
{{- end -}}

{{- /* What all names begin with. Short enough for the longest suffix and the hash behind it in a label of pods: 63 in all. */ -}}
{{- define "rulebox.fullname" -}}
{{- $name := include "rulebox.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 38 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 38 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 38 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- /* The name of a part: (dict "root" $ "component" "api") */ -}}
{{- define "rulebox.part" -}}
{{- printf "%s-%s" (include "rulebox.fullname" .root) .component -}}
{{- end -}}

{{- define "rulebox.releaseSelector" -}}
app.kubernetes.io/name: {{ include "rulebox.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- /* (dict "root" $ "component" "api") */ -}}
{{- define "rulebox.selector" -}}
{{ include "rulebox.releaseSelector" .root }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- /* Of pods: nothing that changes with the chart's version alone, which would roll them. */ -}}
{{- define "rulebox.podLabels" -}}
{{ include "rulebox.selector" . }}
app.kubernetes.io/part-of: rulebox
{{- end -}}

{{- define "rulebox.labels" -}}
{{ include "rulebox.podLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- /* (dict "root" $ "image" .Values.pgbouncer.image "tag" default): a digest wins over a tag. Rulebox's own images are of the
       chart's version, unless they say another; one without any is refused (rulebox.checkImages). */ -}}
{{- define "rulebox.imageName" -}}
{{- $image := .image -}}
{{- $name := $image.repository -}}
{{- if $image.registry -}}{{- $name = printf "%s/%s" $image.registry $name -}}{{- end -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $name $image.digest -}}
{{- else -}}
{{- $tag := default .tag $image.tag -}}
{{- if and (not $tag) (include "rulebox.ownImage" $image) -}}{{- $tag = .root.Chart.AppVersion -}}{{- end -}}
{{- printf "%s:%s" $name (default "" $tag) -}}
{{- end -}}
{{- end -}}

{{- /* Whether an image is one of deploy/image. */ -}}
{{- define "rulebox.ownImage" -}}
{{- if has (base .repository) (list "rulebox" "rulebox-backup" "rulebox-pgbouncer") -}}true{{- end -}}
{{- end -}}

{{- define "rulebox.image" -}}
image: {{ include "rulebox.imageName" (dict "image" .Values.image "tag" .Chart.AppVersion) }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- end -}}

{{- define "rulebox.pullSecrets" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{- /* An account for nobody but this workload. No role is bound to any of them: nothing here asks the cluster's API. */ -}}
{{- define "rulebox.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "rulebox.part" . }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "rulebox.labels" . | nindent 4 }}
  {{- $annotations := merge dict (default dict .annotations) (default dict .root.Values.serviceAccountAnnotations) }}
  {{- with $annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end -}}

{{- /* What the cluster has of this name, as JSON: nothing where it cannot be asked (`helm template`), so what hangs on this
       says what it does then. (dict "root" $ "api" "v1" "kind" "Secret" "name" name) */ -}}
{{- define "rulebox.found" -}}
{{- lookup .api .kind .root.Release.Namespace .name | default dict | toJson -}}
{{- end -}}
