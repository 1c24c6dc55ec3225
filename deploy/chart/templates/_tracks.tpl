{{- /* The service is rendered once for each track: what serves, and with canary.enabled what is tried beside it, which is
       the same templates over the same values but for the image and how many pods there are. */ -}}

{{- /* Contexts, each as `.` is for a template, with `Track`, `Suffix` (of names) and `Beside`, APIs on other tracks at the least: (dict "root" . "into" (dict)) makes
       `all`, and `canary` (empty without one). It is told where to, since what a template returns is text. */ -}}
{{- define "rulebox.tracks" -}}
{{- $root := .root -}}
{{- $context := dict "Release" $root.Release "Chart" $root.Chart "Capabilities" $root.Capabilities "Files" $root.Files -}}
{{- $stable := merge (dict "Track" "stable" "Suffix" "" "Beside" 0 "Values" $root.Values) $context -}}
{{- $_ := set .into "all" (list $stable) -}}
{{- $_ := set .into "canary" dict -}}
{{- if $root.Values.canary.enabled -}}
{{- $canary := $root.Values.canary -}}
{{- $values := dict -}}
{{- range $name, $value := $root.Values }}{{ $_ := set $values $name $value }}{{ end -}}
{{- $_ := set $values "image" (include "rulebox.canaryImage" $root | fromJson) -}}
{{- range $name, $of := dict "api" $canary "executors" $canary.executors -}}
{{- $workload := deepCopy (index $root.Values $name) -}}
{{- $_ := set $workload "replicas" $of.replicas -}}
{{- /* The most is the stable track's: a second one of full size is what blue-green is. */ -}}
{{- $scales := and $canary.autoscaling $workload.autoscaling.enabled -}}
{{- $_ := set $workload "autoscaling" (merge (dict "minReplicas" $of.replicas) (omit $workload.autoscaling "minReplicas" "enabled")) -}}
{{- $_ := set $workload.autoscaling "enabled" $scales -}}
{{- $_ := set $values $name $workload -}}
{{- end -}}
{{- $second := merge (dict "Track" "canary" "Suffix" "-canary" "Beside" (include "rulebox.leastReplicas" $root.Values.api | int64) "Values" $values) $context -}}
{{- $_ := set .into "canary" $second -}}
{{- $_ := set .into "all" (list $stable $second) -}}
{{- end -}}
{{- end -}}

{{- /* As JSON: the release's, with the tag and the digest of the canary, if it has one of them. */ -}}
{{- define "rulebox.canaryImage" -}}
{{- $image := deepCopy .Values.image -}}
{{- $own := .Values.canary.image -}}
{{- if and .Values.canary.enabled (or $own.tag $own.digest) -}}
{{- $_ := set $image "tag" $own.tag -}}
{{- $_ := set $image "digest" $own.digest -}}
{{- end -}}
{{- $image | toJson -}}
{{- end -}}

{{- /* Migrations are the newer version's: tables only grow between versions that run side by side. */ -}}
{{- define "rulebox.migrationImage" -}}
image: {{ include "rulebox.imageName" (dict "image" (include "rulebox.canaryImage" . | fromJson) "tag" .Chart.AppVersion) }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- end -}}

{{- /* The pods of a part that has tracks, on all of them, as peers: (dict "root" $ "component" "api") */ -}}
{{- define "rulebox.peers" -}}
{{- include "rulebox.peer" . }}
{{- if .root.Values.canary.enabled }}
{{ include "rulebox.peer" (dict "root" .root "component" (print .component "-canary")) }}
{{- end }}
{{- end -}}
