{{- /* Copies away what lies on a volume: a container of a pod of copies. (dict "root" $ "user" "postgresql" "volume" "backups"
       "arguments" list "resources" r "mounts" more) */ -}}
{{- define "rulebox.uploadContainer" -}}
{{- $of := .root.Values.upload -}}
- name: upload
  image: {{ include "rulebox.imageName" (dict "root" .root "image" $of.image) }}
  imagePullPolicy: {{ $of.image.pullPolicy }}
  command:
    {{- toYaml $of.command | nindent 4 }}
  {{- with .arguments }}
  args:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  env:
    - {name: HOME, value: /tmp}
    {{- include "rulebox.authorityEnv" .root | trim | nindent 4 }}
  resources:
    {{- toYaml .resources | nindent 4 }}
  securityContext:
    {{- include "rulebox.containerSecurity" . | nindent 4 }}
  volumeMounts:
    - name: {{ .volume }}
      mountPath: /backups
      readOnly: true
    - name: upload
      mountPath: /run/rulebox/upload
      readOnly: true
    - name: tmp
      mountPath: /tmp
    {{- .mounts | trim | nindent 4 }}
{{- end -}}

{{- /* Where copies are taken away, old ones go behind that: else each that could not be taken away would push out one that is
       good. (as above, and "image" i "kind" "rulebox" "keep" 14) */ -}}
{{- define "rulebox.keepContainer" -}}
- name: prune
  image: {{ include "rulebox.imageName" (dict "root" .root "image" .image) }}
  imagePullPolicy: {{ .image.pullPolicy }}
  command: [bash, /opt/rulebox/backup/prune, --in, /backups, --kind, {{ .kind }}, --keep, {{ int64 .keep | quote }}]
  resources:
    {{- toYaml .resources | nindent 4 }}
  securityContext:
    {{- include "rulebox.containerSecurity" . | nindent 4 }}
  volumeMounts:
    - name: {{ .volume }}
      mountPath: /backups
    - name: scripts
      mountPath: /opt/rulebox/backup
      readOnly: true
    - name: tmp
      mountPath: /tmp
    {{- .mounts | trim | nindent 4 }}
{{- end -}}

{{- /* All of it, as it is there: which files a program wants is the program's. */ -}}
{{- define "rulebox.uploadVolume" -}}
- name: upload
  secret:
    secretName: {{ .Values.upload.existingSecret }}
    defaultMode: 0440
{{- end -}}

{{- define "rulebox.egressUpload" -}}
{{- if .Values.upload.enabled }}
{{- with .Values.networkPolicy.upload }}
- to:
    {{- toYaml .to | nindent 4 }}
  ports:
    {{- range .ports }}
    - {protocol: TCP, port: {{ int64 . }}}
    {{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* The claim of backups. */ -}}
{{- define "rulebox.backupClaim" -}}
{{- default (include "rulebox.part" (dict "root" . "component" "backup")) .Values.backup.volume.existingClaim -}}
{{- end -}}

{{- /* What restores on trial: an image of its own, or that of backups, which CI has verified. */ -}}
{{- define "rulebox.restoreTestImage" -}}
{{- ternary .Values.restoreTest.image .Values.backup.image (ne .Values.restoreTest.image.repository "") | toJson -}}
{{- end -}}

{{- define "rulebox.backupConfig" -}}
{{- $part := dict "root" . "component" "backup" -}}
# Copies of deploy/backup/.
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "rulebox.part" $part }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "rulebox.labels" $part | nindent 4 }}
data:
  {{- range list "backup" "catalog.sql" "prune" "rows.sql" }}
  {{ . }}: |
    {{- $.Files.Get (printf "files/backup/%s" .) | nindent 4 }}
  {{- end }}
  {{- with .Values.backup.recipients }}
  recipients: |
    {{- join "\n" . | nindent 4 }}
  {{- end }}
{{- end -}}

{{- /* The pod that makes a backup. */ -}}
{{- define "rulebox.backupPod" -}}
{{- $part := dict "root" . "component" "backup" "user" "postgresql" "workload" .Values.backup -}}
{{- $step := dict "root" . "user" "postgresql" "volume" "backups" "resources" .Values.backup.resources "mounts" (include "rulebox.authorityMounts" .) -}}
{{- $prunes := and .Values.upload.enabled (gt (int64 .Values.backup.keep) 0) -}}
metadata:
  labels:
    {{- include "rulebox.podLabels" $part | nindent 4 }}
  annotations:
    checksum/config: {{ include "rulebox.configChecksum" (include "rulebox.backupConfig" .) }}
    {{- if .Values.vault.enabled }}
    {{- include "rulebox.vaultAnnotations" (dict "root" . "role" .Values.vault.roles.backup "path" .Values.vault.paths.api "files" (include "rulebox.secretFiles" . | fromJson | values | sortAlpha)) | trim | nindent 4 }}
    vault.hashicorp.com/agent-init-first: "true"
    {{- end }}
spec:
  restartPolicy: Never
  {{- include "rulebox.podStart" $part | nindent 2 }}
  terminationGracePeriodSeconds: 60
  initContainers:
    - name: dump
      image: {{ include "rulebox.imageName" (dict "root" . "image" .Values.backup.image) }}
      imagePullPolicy: {{ .Values.backup.image.pullPolicy }}
      # The container behind it writes down that it succeeded: this image has no `rulebox`.
      command: [bash, /opt/rulebox/backup/backup, --no-record, --to, /backups, --keep, {{ ternary 0 (int64 .Values.backup.keep) .Values.upload.enabled | quote }}]
      {{- if .Values.backup.recipients }}
      args: [--recipients, /opt/rulebox/backup/recipients]
      {{- end }}
      env:
        - name: PGSERVICEFILE
          value: /run/rulebox/backup/pg_service.conf
        - name: PGSERVICE
          value: rulebox
        - name: PGDATABASE
          value: {{ .Values.postgresql.database }}
      resources:
        {{- toYaml .Values.backup.resources | nindent 8 }}
      securityContext:
        {{- include "rulebox.containerSecurity" $part | nindent 8 }}
      volumeMounts:
        - name: backups
          mountPath: /backups
        - name: scripts
          mountPath: /opt/rulebox/backup
          readOnly: true
        - name: login
          mountPath: /run/rulebox/backup
          readOnly: true
        - name: tmp
          mountPath: /tmp
        {{- include "rulebox.authorityMounts" . | trim | nindent 8 }}
    {{- if .Values.upload.enabled }}
    # Before it is written down: what is on this volume alone is lost with it.
    {{- include "rulebox.uploadContainer" (merge (dict "arguments" .Values.upload.arguments.backup) $step) | nindent 4 }}
    {{- end }}
  {{- if not $prunes }}
  containers:
  {{- end }}
    - name: record
      {{- include "rulebox.image" . | nindent 6 }}
      args: [backup, record]
      env:
        {{- include "rulebox.secretEnv" . | trim | nindent 8 }}
        {{- include "rulebox.authorityEnv" . | trim | nindent 8 }}
      resources:
        {{- toYaml .Values.backup.resources | nindent 8 }}
      securityContext:
        {{- include "rulebox.containerSecurity" $part | nindent 8 }}
      volumeMounts:
        {{- include "rulebox.secretMount" . | trim | nindent 8 }}
        {{- include "rulebox.authorityMounts" . | trim | nindent 8 }}
  {{- if $prunes }}
  containers:
    {{- include "rulebox.keepContainer" (merge (dict "image" .Values.backup.image "kind" "rulebox" "keep" .Values.backup.keep) $step) | nindent 4 }}
  {{- end }}
  volumes:
    - name: backups
      persistentVolumeClaim:
        claimName: {{ include "rulebox.backupClaim" . }}
    - name: scripts
      configMap:
        name: {{ include "rulebox.part" $part }}
        defaultMode: 0555
    - name: login
      secret:
        secretName: {{ .Values.backup.existingSecret }}
        defaultMode: 0440
        items:
          - {key: pg_service.conf, path: pg_service.conf}
    - name: tmp
      emptyDir:
        sizeLimit: 64Mi
    {{- if .Values.upload.enabled }}
    {{- include "rulebox.uploadVolume" . | nindent 4 }}
    {{- end }}
    {{- include "rulebox.secretVolume" . | trim | nindent 4 }}
    {{- include "rulebox.vaultVolume" . | trim | nindent 4 }}
    {{- include "rulebox.authorityVolumes" . | trim | nindent 4 }}
{{- end -}}

{{- /* Whether a backup is made at once. Beside being the first one, its pod is what a claim waits for whose StorageClass
       binds it to its first consumer: until then `helm --wait` would wait, for the night's backup. A claim that is bound
       needs none. Where the cluster cannot be asked, it is made. */ -}}
{{- define "rulebox.firstBackup" -}}
{{- if not .Values.backup.volume.existingClaim -}}
{{- $claim := include "rulebox.found" (dict "root" . "api" "v1" "kind" "PersistentVolumeClaim" "name" (include "rulebox.part" (dict "root" . "component" "backup"))) | fromJson -}}
{{- if ne (dig "status" "phase" "" $claim) "Bound" -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{- define "rulebox.pruneConfig" -}}
{{- $part := dict "root" . "component" "prune" -}}
# Copy of deploy/backup/prune.
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "rulebox.part" $part }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "rulebox.labels" $part | nindent 4 }}
data:
  prune: |
    {{- .Files.Get "files/backup/prune" | nindent 4 }}
{{- end -}}

{{- /* Whether the Redis that is copied may be none of this release: its names begin with that of the part. */ -}}
{{- define "rulebox.copiesForeignRedis" -}}
{{- $own := printf "^%s(-replica)?(-[0-9]+)?([.]|$)" (include "rulebox.part" (dict "root" . "component" "redis") | replace "." "[.]") -}}
{{- $host := .Values.redisBackup.host -}}
{{- if not (and .Values.redis.inCluster.enabled (or (not $host) (regexMatch $own $host))) -}}true{{- end -}}
{{- end -}}

{{- define "rulebox.redisBackupConfig" -}}
{{- $part := dict "root" . "component" "redis-backup" -}}
# Copies of deploy/backup/.
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "rulebox.part" $part }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "rulebox.labels" $part | nindent 4 }}
data:
  {{- range list "prune" "redis-backup" }}
  {{ . }}: |
    {{- $.Files.Get (printf "files/backup/%s" .) | nindent 4 }}
  {{- end }}
  {{- with .Values.redisBackup.recipients }}
  recipients: |
    {{- join "\n" . | nindent 4 }}
  {{- end }}
{{- end -}}
