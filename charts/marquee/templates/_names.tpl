{{/* Names, labels, images. Helpers that describe a component take (dict "root" $ "component" "text"). */}}

{{/* The prefix of all names. Short enough for the longest suffix, and for what a CronJob adds to the name of its Jobs. */}}
{{- define "marquee.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains "marquee" .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-marquee" (.Release.Name | trunc 32 | trimSuffix "-") -}}
{{- end -}}
{{- end -}}

{{/* Components that serve, and their gRPC ports. */}}
{{- define "marquee.ports" -}}
orchestrator: 50060
text: 50061
vision: 50062
classical: 50063
{{- end -}}

{{/* Port of the health checks and port of the metrics, the same in every container. */}}
{{- define "marquee.healthPort" -}}50070{{- end -}}
{{- define "marquee.metricsPort" -}}9464{{- end -}}

{{- define "marquee.componentName" -}}
{{- printf "%s-%s" (include "marquee.fullname" .root) .component -}}
{{- end -}}

{{/* What a pod is selected by; never changes. */}}
{{- define "marquee.releaseLabels" -}}
app.kubernetes.io/name: marquee
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}
{{- define "marquee.selectorLabels" -}}
{{ include "marquee.releaseLabels" .root }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Labels of a pod. The chart's version is not among them: it would start every pod again when only the chart has changed. */}}
{{- define "marquee.podLabels" -}}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{ include "marquee.selectorLabels" . }}
app.kubernetes.io/part-of: marquee
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
{{- end -}}

{{/* Labels of an object. */}}
{{- define "marquee.labels" -}}
{{ include "marquee.podLabels" . }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* The metadata of an object: (dict "root" $ "component" "text" "name" "…" "annotations" (dict …)); the name is the component's when
none is given, "labels" are added. */}}
{{- define "marquee.metadata" -}}
{{- $annotations := merge (default dict .annotations) .root.Values.commonAnnotations -}}
name: {{ default (include "marquee.componentName" .) .name }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- merge (include "marquee.labels" . | fromYaml) (default dict .labels) | toYaml | nindent 2 }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The image of a component, with the suffixes of its variant. */}}
{{- define "marquee.image" -}}
{{- $all := .root.Values.image -}}
{{- $own := get (get .root.Values .component) "image" | default dict -}}
{{- $name := default (join "/" (compact (list $all.registry $all.repository (printf "marquee-%s" .component)))) $own.name -}}
{{- if $own.digest -}}
{{- printf "%s@%s" $name $own.digest -}}
{{- else -}}
{{- $tag := coalesce $own.tag $all.tag .root.Chart.AppVersion -}}
{{- $values := get .root.Values .component -}}
{{- $gpu := (dig "gpu" "enabled" false $values) | ternary "-gpu" "" -}}
{{- $video := (dig "video" true $values) | ternary "" "-no-video" -}}
{{- printf "%s:%s%s%s" $name $tag $gpu $video -}}
{{- end -}}
{{- end -}}

{{/* The gRPC target of a component: every pod behind its headless Service. */}}
{{- define "marquee.host" -}}
{{- printf "%s.%s.svc.%s" (include "marquee.componentName" .) .root.Release.Namespace .root.Values.clusterDomain -}}
{{- end -}}
{{- define "marquee.target" -}}
{{- printf "dns:///%s:%v" (include "marquee.host" .) (get (include "marquee.ports" . | fromYaml) .component) -}}
{{- end -}}

{{/* Names of what several templates refer to. */}}
{{- define "marquee.tokenKeysSecret" -}}
{{- if .Values.tokenKeys.existingSecret -}}
{{- .Values.tokenKeys.existingSecret -}}
{{- else if .Values.tokenKeys.create -}}
{{- printf "%s-token-keys" (include "marquee.fullname" .) -}}
{{- end -}}
{{- end -}}
{{- define "marquee.checkpointKeysSecret" -}}
{{- with .Values.vision.checkpointKeys -}}
{{- if .existingSecret -}}
{{- .existingSecret -}}
{{- else if .create -}}
{{- printf "%s-checkpoint-keys" (include "marquee.fullname" $) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- define "marquee.tlsSecret" -}}
{{- $owner := eq .component "test" | ternary "trainer" .component -}}
{{- if eq .root.Values.tls.mode "existingSecret" -}}
{{- get .root.Values.tls.existingSecrets $owner -}}
{{- else -}}
{{- printf "%s-%s-tls" (include "marquee.fullname" .root) $owner -}}
{{- end -}}
{{- end -}}
{{- define "marquee.storeClaim" -}}
{{- default (printf "%s-store" (include "marquee.fullname" .)) .Values.store.sqlite.existingClaim -}}
{{- end -}}
{{- define "marquee.bundlesClaim" -}}
{{- default (printf "%s-bundles" (include "marquee.fullname" .)) .Values.bundles.existingClaim -}}
{{- end -}}

{{/* Whether the trainer's identity is used at all. */}}
{{- define "marquee.hasTrainer" -}}
{{- if or .Values.trainer.enabled .Values.test.enabled -}}true{{- end -}}
{{- end -}}
