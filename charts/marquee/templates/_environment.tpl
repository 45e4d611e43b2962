{{/* The variables of a service. */}}

{{/* One setting as a variable: (list "text" "poll_seconds" 5). Maps and lists become JSON, which is how settings are read. */}}
{{- define "marquee.setting" -}}
{{- $value := index . 2 -}}
- name: MARQUEE_{{ index . 0 | upper }}_{{ index . 1 | upper }}
  value: {{ kindIs "string" $value | ternary $value (toJson $value) | quote }}
{{- end -}}

{{/* A setting whose value is a key of a Secret: (list "orchestrator" "store_url" "secret" "key"). */}}
{{- define "marquee.secretSetting" -}}
- name: MARQUEE_{{ index . 0 | upper }}_{{ index . 1 | upper }}
  valueFrom:
    secretKeyRef:
      name: {{ index . 2 }}
      key: {{ index . 3 }}
{{- end -}}

{{/* The variables of a pod: what the chart sets, then `extraEnv`, of which the component's own go before those of all. A name that is there
already is refused: Kubernetes would, too, but only when it applies the object. */}}
{{- define "marquee.environment" -}}
{{- $component := .component -}}
{{- $made := include (has $component (keys (include "marquee.ports" . | fromYaml)) | ternary "marquee.serviceEnvironment" "marquee.commandEnvironment") . | trim -}}
{{- $own := get (get .root.Values $component) "extraEnv" -}}
{{- $names := list -}}
{{- range $own }}{{ $names = append $names .name }}{{ end -}}
{{- $extra := list -}}
{{- range .root.Values.pods.extraEnv -}}
{{- if not (has .name $names) }}{{ $extra = append $extra . }}{{ end -}}
{{- end -}}
{{- $extra = concat $extra $own -}}
{{- $taken := list -}}
{{- range concat ($made | fromYamlArray) $extra -}}
{{- if has .name $taken -}}
{{- fail (printf "%s.extraEnv: %s is set already; use %s.settings or the value of that purpose" $component .name $component) -}}
{{- end -}}
{{- $taken = append $taken .name -}}
{{- end -}}
{{ $made }}
{{- with $extra }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* What the chart sets of a service: the settings that it decides, then `settings`. */}}
{{- define "marquee.serviceEnvironment" -}}
{{- $root := .root -}}
{{- $component := .component -}}
{{- $values := $root.Values -}}
{{- $own := get $values $component -}}
{{- $fixed := include "marquee.settings" . | fromYaml -}}
- name: MARQUEE_DATA_DIRECTORY
  value: /var/lib/marquee
{{- range $name, $value := $fixed }}
{{ include "marquee.setting" (list $component $name $value) }}
{{- end }}
{{- if and $own.models (not (hasKey $own.settings "engines")) (dig "resources" "requests" "cpu" "" $own) }}
- name: MARQUEE_{{ upper $component }}_ENGINES
  valueFrom:
    resourceFieldRef: {resource: requests.cpu, divisor: "1"}
{{- end }}
{{- if eq $component "orchestrator" }}
{{- if eq $values.store.type "postgresql" }}
{{ include "marquee.secretSetting" (list $component "store_url" $values.store.postgresql.existingSecret $values.store.postgresql.key) }}
{{- end }}
{{- with include "marquee.tokenKeysSecret" $root }}
{{ include "marquee.secretSetting" (list $component "token_keys" . $values.tokenKeys.key) }}
{{- end }}
{{- end }}
{{- if eq $component "vision" }}
{{- with include "marquee.checkpointKeysSecret" $root }}
{{ include "marquee.secretSetting" (list $component "video_checkpoint_keys" . $values.vision.checkpointKeys.key) }}
{{- end }}
{{- end }}
{{- range $name, $value := $own.settings }}
{{- if hasKey $fixed $name }}
{{- fail (printf "%s.settings.%s: the chart sets it; see the value of that purpose" $component $name) }}
{{- end }}
{{ include "marquee.setting" (list $component $name $value) }}
{{- end }}
{{- end -}}

{{/* The settings that the chart decides, without those that come from Secrets. */}}
{{- define "marquee.settings" -}}
{{- $values := .root.Values -}}
{{- $component := .component -}}
host: 0.0.0.0
port: {{ get (include "marquee.ports" . | fromYaml) $component }}
health_port: {{ include "marquee.healthPort" . }}
metrics_port: {{ include "marquee.metricsPort" . }}
log_format: json
drain_seconds: {{ $values.shutdown.drainSeconds }}
maximum_connection_age_seconds: {{ $values.connections.maximumAgeSeconds }}
maximum_connection_grace_seconds: {{ $values.connections.graceSeconds }}
{{- with $values.tracing }}
{{- if .endpoint }}
tracing_endpoint: {{ .endpoint | quote }}
tracing_sample_ratio: {{ .sampleRatio }}
{{- end }}
{{- end }}
{{- if $values.tls.enabled }}
tls_certificate_file: /etc/marquee/tls/tls.crt
tls_key_file: /etc/marquee/tls/tls.key
{{- if or (ne $component "orchestrator") $values.tls.requireClientCertificate }}
tls_client_ca_file: /etc/marquee/tls/ca.crt
{{- end }}
{{- end }}
{{- if eq $component "orchestrator" }}
tenant_from_metadata: false
{{- if eq $values.store.type "sqlite" }}
store_url: sqlite:////var/lib/marquee/marquee.sqlite
{{- end }}
{{- range $family := list "text" "vision" "classical" }}
{{ $family }}_address: {{ include "marquee.target" (dict "root" $.root "component" $family) }}
{{- end }}
{{- if $values.tls.enabled }}
mesh_tls_ca_file: /etc/marquee/tls/ca.crt
mesh_tls_certificate_file: /etc/marquee/tls/tls.crt
mesh_tls_key_file: /etc/marquee/tls/tls.key
{{- end }}
{{- else }}
bundle_repository: /var/lib/marquee/bundles
{{- with get $values $component }}
{{- if ne .models.source "image" }}
model_repository: /models
{{- end }}
{{- if and .gpu .gpu.enabled }}
execution_provider: {{ .gpu.executionProvider }}
{{- end }}
{{- end }}
{{- if and (eq $component "vision") $values.vision.facesTenants }}
faces_tenants: {{ join "," $values.vision.facesTenants | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* What the `marquee` command needs to reach the orchestrator. */}}
{{- define "marquee.commandEnvironment" -}}
- name: MARQUEE_TARGET
  value: {{ include "marquee.target" (dict "root" .root "component" "orchestrator") }}
- name: MARQUEE_DATA_DIRECTORY
  value: /var/lib/marquee
{{- if .root.Values.tls.enabled }}
- name: MARQUEE_TLS_CA_FILE
  value: /etc/marquee/tls/ca.crt
{{- if .root.Values.tls.requireClientCertificate }}
- name: MARQUEE_TLS_CERTIFICATE_FILE
  value: /etc/marquee/tls/tls.crt
- name: MARQUEE_TLS_KEY_FILE
  value: /etc/marquee/tls/tls.key
{{- end }}
{{- end }}
{{- end -}}
