{{/* Keys that the chart makes once. */}}

{{/* Value of a key that is made at the first install and read from the cluster afterwards: (dict "root" $ "secret" … "key" … "new" …).
In base64. The first value is remembered, as every call would make another one. */}}
{{- define "marquee.keptKey" -}}
{{- $secret := lookup "v1" "Secret" .root.Release.Namespace .secret -}}
{{- $kept := dig "data" .key "" $secret -}}
{{- if $kept -}}
{{- $kept -}}
{{- else -}}
{{- $made := get .root.Values.global "marqueeMade" | default dict -}}
{{- if not (hasKey $made .secret) -}}
{{- $_ := set $made .secret (b64enc .new) -}}
{{- $_ := set .root.Values.global "marqueeMade" $made -}}
{{- end -}}
{{- get $made .secret -}}
{{- end -}}
{{- end -}}

{{- define "marquee.tokenKeys" -}}
{{- include "marquee.keptKey" (dict "root" . "secret" (include "marquee.tokenKeysSecret" .) "key" .Values.tokenKeys.key "new" (randAlphaNum 64)) -}}
{{- end -}}
{{- define "marquee.checkpointKeys" -}}
{{- include "marquee.keptKey" (dict "root" . "secret" (include "marquee.checkpointKeysSecret" .) "key" .Values.vision.checkpointKeys.key "new" (randBytes 32)) -}}
{{- end -}}

{{/* Hash of what a component reads from Secrets when it starts, so that an upgrade after a rotation starts its pods again. Settings need
no hash: they are part of the pod's template, and `kubectl rollout undo` brings them back with it. */}}
{{- define "marquee.secretsChecksum" -}}
{{- $root := .root -}}
{{- $values := $root.Values -}}
{{- $parts := list -}}
{{- if eq .component "orchestrator" -}}
  {{- if eq $values.store.type "postgresql" -}}
    {{- $parts = append $parts (include "marquee.existingSecret" (list $root $values.store.postgresql.existingSecret $values.store.postgresql.key)) -}}
  {{- end -}}
  {{- if $values.tokenKeys.existingSecret -}}
    {{- $parts = append $parts (include "marquee.existingSecret" (list $root $values.tokenKeys.existingSecret $values.tokenKeys.key)) -}}
  {{- else if $values.tokenKeys.create -}}
    {{- $parts = append $parts (include "marquee.tokenKeys" $root) -}}
  {{- end -}}
{{- else if eq .component "vision" -}}
  {{- with $values.vision.checkpointKeys -}}
    {{- if .existingSecret -}}
      {{- $parts = append $parts (include "marquee.existingSecret" (list $root .existingSecret .key)) -}}
    {{- else if .create -}}
      {{- $parts = append $parts (include "marquee.checkpointKeys" $root) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- with $parts -}}
{{- join "," . | sha256sum -}}
{{- end -}}
{{- end -}}

{{/* A key of a Secret in the cluster, in base64; where it cannot be read, its name. */}}
{{- define "marquee.existingSecret" -}}
{{- $root := index . 0 -}}
{{- $secret := lookup "v1" "Secret" $root.Release.Namespace (index . 1) -}}
{{- dig "data" (index . 2) (printf "%s/%s" (index . 1) (index . 2)) $secret -}}
{{- end -}}
