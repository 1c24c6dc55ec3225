{{- define "rulebox.ownDatabase" -}}
{{- if or .Values.postgresql.inCluster.enabled .Values.postgresql.cloudnativepg.enabled -}}true{{- end -}}
{{- end -}}

{{- /* While a PostgreSQL of this release is not ready (a first install, and one that failed and is tried again), a hook
       would wait for what is made behind it: then the migration is a Job among the release's objects, and the API's pods
       start anew until it is done. (As a post-install hook it would wait, with `helm install --wait`, for pods that wait
       for it.) At all other times, and where the cluster cannot be asked, it is a hook, done before any pod of the new
       version starts. */ -}}
{{- define "rulebox.migratesAsHook" -}}
{{- if not (include "rulebox.ownDatabase" .) -}}true
{{- else if not .Release.IsInstall -}}
{{- /* Every namespace has this account: without it, nothing can be said. */ -}}
{{- $asked := include "rulebox.found" (dict "root" . "api" "v1" "kind" "ServiceAccount" "name" "default") | fromJson -}}
{{- $ready := 0 -}}
{{- if .Values.postgresql.inCluster.enabled -}}
{{- $ready = include "rulebox.found" (dict "root" . "api" "apps/v1" "kind" "StatefulSet" "name" (include "rulebox.cluster" .)) | fromJson | dig "status" "readyReplicas" 0 -}}
{{- else -}}
{{- $ready = include "rulebox.found" (dict "root" . "api" "postgresql.cnpg.io/v1" "kind" "Cluster" "name" (include "rulebox.cluster" .)) | fromJson | dig "status" "readyInstances" 0 -}}
{{- end -}}
{{- if or (not $asked) (gt (int64 $ready) 0) -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{- /* What the hook needs is made before it, and gone when it is done: (dict "root" $ "weight" -10). As hooks they do not
       depend on what an earlier release left. */ -}}
{{- define "rulebox.hookBefore" -}}
{{- if include "rulebox.migratesAsHook" .root -}}
helm.sh/hook: pre-install,pre-upgrade
helm.sh/hook-weight: {{ .weight | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}
{{- end -}}

{{- /* Seconds that Jobs of a revision stay when they are done: long enough to read their logs, and gone before they are in
       the way of a rollback to that revision, which would make them again. */ -}}
{{- define "rulebox.installTtl" -}}1800{{- end -}}
