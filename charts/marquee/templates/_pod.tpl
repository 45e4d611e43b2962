{{/* The parts of a pod that all components share. */}}

{{/* Seconds from the start of a pod's end until it is killed: longer than the wait and the drain, or refused. */}}
{{- define "marquee.gracePeriodSeconds" -}}
{{- with .Values.shutdown -}}
{{- $needed := add (int .preStopSeconds) (int .drainSeconds) -}}
{{- if kindIs "invalid" .gracePeriodSeconds -}}
{{- add $needed 10 -}}
{{- else if lt (int .gracePeriodSeconds) (int (add $needed 5)) -}}
{{- fail (printf "shutdown.gracePeriodSeconds: %v is too short for preStopSeconds and drainSeconds; set at least %d, or null" .gracePeriodSeconds (add $needed 5)) -}}
{{- else -}}
{{- int .gracePeriodSeconds -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What the profile "restricted" of Pod Security asks for, and a root file system nobody can write to. */}}
{{- define "marquee.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}
{{- define "marquee.securityContext" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* Metadata of a pod: everything it is found by, and hashes of the Secrets that it reads when it starts. */}}
{{- define "marquee.podMetadata" -}}
{{- $own := get .root.Values .component -}}
{{- $annotations := merge (dict) $own.podAnnotations .root.Values.pods.annotations .root.Values.commonAnnotations -}}
{{- with include "marquee.secretsChecksum" . -}}
{{- $_ := set $annotations "checksum/secrets" . -}}
{{- end -}}
labels:
  {{- merge (dict) $own.podLabels .root.Values.pods.labels (include "marquee.podLabels" . | fromYaml) | toYaml | nindent 2 }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Where a pod runs. */}}
{{- define "marquee.scheduling" -}}
{{- $root := .root -}}
{{- $all := $root.Values.pods -}}
{{- $own := get $root.Values .component -}}
{{- $gpu := (dig "gpu" "enabled" false $own) | ternary $own.gpu dict -}}
{{- with merge (dict) (default dict $gpu.nodeSelector) $own.nodeSelector $all.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with concat (default list $gpu.tolerations) $own.tolerations $all.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $gpu.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with coalesce $own.priorityClassName $all.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with include "marquee.affinity" . }}
affinity:
  {{- . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The affinity of the values and, where the volume of the bundles can be mounted on one node only, all its pods on that node. */}}
{{- define "marquee.affinity" -}}
{{- $values := .root.Values -}}
{{- $own := get $values .component -}}
{{- $affinity := deepCopy ($own.affinity | default $values.pods.affinity) -}}
{{- $sharesNode := and (eq $values.bundles.type "persistentVolumeClaim") (eq $values.bundles.accessMode "ReadWriteOnce") (ne .component "orchestrator") -}}
{{- if $sharesNode -}}
{{- $pods := get $affinity "podAffinity" | default dict -}}
{{- $required := get $pods "requiredDuringSchedulingIgnoredDuringExecution" | default list -}}
{{- $term := include "marquee.bundlesAffinity" .root | fromYaml -}}
{{- $_ := set $pods "requiredDuringSchedulingIgnoredDuringExecution" (append $required $term) -}}
{{- $_ := set $affinity "podAffinity" $pods -}}
{{- end -}}
{{- with $affinity -}}
{{- toYaml . -}}
{{- end -}}
{{- end -}}
{{- define "marquee.bundlesAffinity" -}}
topologyKey: kubernetes.io/hostname
labelSelector:
  matchLabels:
    {{- include "marquee.releaseLabels" . | nindent 4 }}
  matchExpressions:
    - {key: app.kubernetes.io/component, operator: In, values: [text, vision, classical, trainer]}
{{- end -}}

{{/* Volumes that every pod has: two folders to write to, and its certificate. */}}
{{- define "marquee.volumes" -}}
{{- $own := get .root.Values .component -}}
- name: temporary
  emptyDir:
    sizeLimit: {{ $own.temporaryStorage | default "64Mi" }}
{{- if and (eq .component "orchestrator") (eq .root.Values.store.type "sqlite") }}
- name: data
  persistentVolumeClaim:
    claimName: {{ include "marquee.storeClaim" .root }}
{{- else }}
- name: data
  emptyDir:
    sizeLimit: 1Gi
{{- end }}
{{- if has .component (list "text" "vision" "classical" "trainer") }}
- name: bundles
  {{- if eq .root.Values.bundles.type "persistentVolumeClaim" }}
  persistentVolumeClaim:
    claimName: {{ include "marquee.bundlesClaim" .root }}
  {{- else }}
  emptyDir:
    sizeLimit: {{ .root.Values.bundles.size }}
  {{- end }}
{{- end }}
{{- with $own.models }}
{{- if eq .source "persistentVolumeClaim" }}
- name: models
  persistentVolumeClaim:
    claimName: {{ .existingClaim }}
    readOnly: true
{{- else if eq .source "initContainer" }}
- name: models
  emptyDir:
    sizeLimit: {{ .size }}
{{- end }}
{{- end }}
{{- if .root.Values.tls.enabled }}
- name: tls
  secret:
    secretName: {{ include "marquee.tlsSecret" . }}
    defaultMode: 0440
{{- end }}
{{- end -}}

{{- define "marquee.volumeMounts" -}}
{{- $own := get .root.Values .component -}}
- name: temporary
  mountPath: /tmp
- name: data
  mountPath: /var/lib/marquee
{{- if has .component (list "text" "vision" "classical" "trainer") }}
# A folder in the volume, whose root may hold more than bundles, such as lost+found.
- name: bundles
  mountPath: /var/lib/marquee/bundles
  subPath: bundles
  {{- if ne .component "trainer" }}
  readOnly: true
  {{- end }}
{{- end }}
{{- if and $own.models (ne (dig "models" "source" "image" $own) "image") }}
- name: models
  mountPath: /models
  readOnly: true
{{- end }}
{{- if .root.Values.tls.enabled }}
- name: tls
  mountPath: /etc/marquee/tls
  readOnly: true
{{- end }}
{{- end -}}

{{/* The three probes. They know no TLS, hence the port of their own. */}}
{{- define "marquee.probes" -}}
{{- $port := include "marquee.healthPort" . -}}
{{- with .Values.probes.startup -}}
startupProbe:
  grpc: {port: {{ $port }}, service: liveness}
  periodSeconds: {{ .periodSeconds }}
  failureThreshold: {{ .failureThreshold }}
{{- end }}
{{- with .Values.probes.readiness }}
readinessProbe:
  grpc: {port: {{ $port }}}
  periodSeconds: {{ .periodSeconds }}
  timeoutSeconds: {{ .timeoutSeconds }}
  failureThreshold: {{ .failureThreshold }}
{{- end }}
{{- with .Values.probes.liveness }}
livenessProbe:
  grpc: {port: {{ $port }}, service: liveness}
  periodSeconds: {{ .periodSeconds }}
  timeoutSeconds: {{ .timeoutSeconds }}
  failureThreshold: {{ .failureThreshold }}
{{- end }}
{{- end -}}

{{/* Requests and limits, with the GPUs. */}}
{{- define "marquee.resources" -}}
{{- $own := get .root.Values .component -}}
{{- $resources := deepCopy $own.resources -}}
{{- if and $own.gpu $own.gpu.enabled -}}
{{- $limits := merge (dict $own.gpu.resourceName (toString $own.gpu.count)) (get $resources "limits" | default dict) -}}
{{- $_ := set $resources "limits" $limits -}}
{{- end -}}
{{- toYaml $resources -}}
{{- end -}}
