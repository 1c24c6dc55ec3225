{{- /* What both ways of reaching the API have in common: groups of addresses, and which limits and times each has. */ -}}

{{- /* By the name of the Ingress behind the part: its paths, which are regular expressions (use-regex makes all paths of a
       host such), and what it says to the controller. deploy/gateway/routes.conf has the same. */ -}}
{{- define "rulebox.ingressGroups" -}}
{{- $of := .Values.ingress -}}
{{- $unheld := dict "proxy-buffering" "off" "proxy-request-buffering" "off" -}}
{{- $open := dict "limit-connections" (int64 $of.limits.open) -}}
{{- dict
  "api" (dict
    "paths" (list "/")
    "annotations" (dict "proxy-body-size" $of.bodies.small "proxy-read-timeout" (int64 $of.seconds.answer)))
  "api-bars" (dict
    "paths" (list "/v1/evaluate$" "/v1/sessions/[^/]+/bars$")
    "annotations" (dict "proxy-body-size" $of.bodies.bars "proxy-request-buffering" "off" "proxy-read-timeout" (int64 $of.seconds.evaluation)))
  "api-evaluate" (dict
    "paths" (list "/v1/rules/[^/]+/evaluate$")
    "streams" true
    "annotations" (merge (dict "backend-protocol" "GRPC" "service-upstream" "true" "proxy-body-size" "0" "proxy-read-timeout" (int64 $of.seconds.stream) "proxy-send-timeout" (int64 $of.seconds.stream)) $open $unheld))
  "api-feed" (dict
    "paths" (list "/v1/violations/stream$")
    "annotations" (merge (dict "proxy-body-size" $of.bodies.small "proxy-read-timeout" (int64 $of.seconds.feed)) $open $unheld))
  "api-sessions" (dict
    "paths" (list "/v1/sessions/[^/]+/stream$")
    "annotations" (merge (dict "proxy-body-size" $of.bodies.small "proxy-read-timeout" (int64 $of.seconds.stream) "proxy-send-timeout" (int64 $of.seconds.stream)) $open $unheld))
  | toJson -}}
{{- end -}}

{{- /* Of every group. */ -}}
{{- define "rulebox.ingressAnnotations" -}}
{{- $of := .Values.ingress -}}
{{- $all := dict
  "use-regex" "true"
  "ssl-redirect" "true"
  "force-ssl-redirect" "true"
  "limit-rps" (int64 $of.limits.requestsPerSecond)
  "limit-burst-multiplier" (int64 $of.limits.burstMultiplier)
  "limit-connections" (int64 $of.limits.connections)
  "proxy-connect-timeout" "2"
  "proxy-send-timeout" "30"
  "proxy-next-upstream" "error timeout"
  "proxy-next-upstream-tries" "2"
  "proxy-next-upstream-timeout" "10"
  "proxy-request-buffering" "on"
  "proxy-buffering" "on"
  "proxy-max-temp-file-size" "0" -}}
{{- with $of.cors.origins -}}
{{- /* The controller's defaults are any origin, and credentials. */ -}}
{{- $_ := merge $all (dict
  "enable-cors" "true"
  "cors-allow-origin" (join "," .)
  "cors-allow-credentials" "false"
  "cors-allow-methods" "GET, HEAD, POST, PATCH, DELETE"
  "cors-allow-headers" "authorization, content-type, content-encoding, accept, idempotency-key, if-match, last-event-id, traceparent, tracestate, x-rulebox-track"
  "cors-expose-headers" "etag, location, ratelimit, ratelimit-policy, retry-after, www-authenticate, x-request-id"
  "cors-max-age" "600") -}}
{{- end -}}
{{- $all | toJson -}}
{{- end -}}

{{- /* The canary, if there is one, with the weight that it has: as JSON, empty without one. */ -}}
{{- define "rulebox.gatewayCanary" -}}
{{- $canary := default dict .Values.canary -}}
{{- if $canary.enabled -}}
{{- dict "weight" (int64 $canary.weight) | toJson -}}
{{- else -}}
{}
{{- end -}}
{{- end -}}

{{- define "rulebox.ingressTlsSecret" -}}
{{- $of := .Values.ingress -}}
{{- if and $of.certManager.enabled (not $of.tlsSecret) -}}
{{- include "rulebox.part" (dict "root" . "component" "tls") -}}
{{- else -}}
{{- required "ingress.tlsSecret is empty: keys go over this address, so it has a certificate. Name its Secret, or set ingress.certManager." $of.tlsSecret -}}
{{- end -}}
{{- end -}}
