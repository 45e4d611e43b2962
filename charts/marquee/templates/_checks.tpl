{{/* Values that fit the schema and still do not fit each other: refused, with what to do. */}}
{{- define "marquee.checks" -}}
{{- $values := .Values -}}
{{- if eq $values.store.type "sqlite" -}}
  {{- if $values.orchestrator.autoscaling.enabled -}}
    {{- fail "orchestrator.autoscaling.enabled: SQLite allows one orchestrator; set store.type=postgresql and store.postgresql.existingSecret" -}}
  {{- end -}}
  {{- if gt (int $values.orchestrator.replicas) 1 -}}
    {{- fail "orchestrator.replicas: SQLite allows one orchestrator; set store.type=postgresql and store.postgresql.existingSecret" -}}
  {{- end -}}
{{- else -}}
  {{- if not $values.store.postgresql.existingSecret -}}
    {{- fail "store.postgresql.existingSecret: name the Secret that holds the address; make one with kubectl create secret generic marquee-store --from-literal=url=postgresql://…" -}}
  {{- end -}}
  {{- if not (include "marquee.tokenKeysSecret" .) -}}
    {{- fail "tokenKeys: all orchestrators need the same keys; set tokenKeys.existingSecret, or tokenKeys.create=true" -}}
  {{- end -}}
{{- end -}}
{{- if and $values.trainer.enabled (eq $values.bundles.type "emptyDir") -}}
  {{- fail "bundles.type: pods do not see what the trainer writes into an emptyDir; set bundles.type=persistentVolumeClaim, or trainer.enabled=false" -}}
{{- end -}}
{{- $_ := include "marquee.gracePeriodSeconds" . -}}
{{- range $component, $port := include "marquee.ports" . | fromYaml -}}
  {{- $own := get $values $component -}}
  {{- if and $own.autoscaling.enabled (gt (int $own.autoscaling.minReplicas) (int $own.autoscaling.maxReplicas)) -}}
    {{- fail (printf "%s.autoscaling.minReplicas is above maxReplicas" $component) -}}
  {{- end -}}
  {{- if and (eq (toString $own.rollingUpdate.maxSurge) "0") (eq (toString $own.rollingUpdate.maxUnavailable) "0") -}}
    {{- fail (printf "%s.rollingUpdate: maxSurge and maxUnavailable must not both be 0" $component) -}}
  {{- end -}}
  {{- with $own.models -}}
    {{- if and (eq .source "persistentVolumeClaim") (not .existingClaim) -}}
      {{- fail (printf "%s.models.existingClaim: name the volume with the models" $component) -}}
    {{- end -}}
    {{- if and (eq .source "initContainer") (not .image) -}}
      {{- fail (printf "%s.models.image: name the image that holds the models" $component) -}}
    {{- end -}}
  {{- end -}}
  {{- if and $values.tls.enabled (eq (get $own.settings "front" | toString) "native") -}}
    {{- fail (printf "%s.settings.front: the native front knows no TLS; leave it out, or set tls.enabled=false" $component) -}}
  {{- end -}}
{{- end -}}
{{- if and $values.tls.enabled (eq $values.tls.mode "existingSecret") -}}
  {{- range $component, $secret := $values.tls.existingSecrets -}}
    {{- if and (not $secret) (or (ne $component "trainer") (include "marquee.hasTrainer" $)) -}}
      {{- fail (printf "tls.existingSecrets.%s: name the Secret with tls.crt, tls.key and ca.crt" $component) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}
