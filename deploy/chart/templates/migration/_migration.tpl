{{- /* On a first install with a PostgreSQL of this release, there is no database before the release's objects are there:
       then the migration is a Job among them, and the API's pods start anew until it is done. (As a post-install hook it
       would wait, with `helm install --wait`, for pods that wait for it.) At all other times it is a hook, done before
       any pod of the new version starts. */ -}}
{{- define "rulebox.migratesAsHook" -}}
{{- if not (and .Release.IsInstall (or .Values.postgresql.inCluster.enabled .Values.postgresql.cloudnativepg.enabled)) -}}true{{- end -}}
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
