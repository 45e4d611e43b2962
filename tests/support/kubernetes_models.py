"""Holds objects against the client's models, which refuse unknown fields and quantities that are no strings."""

from __future__ import annotations

from typing import Any

from kubernetes import client

_MODELS = {
    ("v1", "Pod"): "V1Pod",
    ("v1", "Service"): "V1Service",
    ("v1", "ConfigMap"): "V1ConfigMap",
    ("v1", "Secret"): "V1Secret",
    ("v1", "Namespace"): "V1Namespace",
    ("v1", "PersistentVolumeClaim"): "V1PersistentVolumeClaim",
    ("apps/v1", "Deployment"): "V1Deployment",
    ("apps/v1", "DaemonSet"): "V1DaemonSet",
    ("autoscaling/v1", "Scale"): "V1Scale",
    ("autoscaling/v2", "HorizontalPodAutoscaler"): "V2HorizontalPodAutoscaler",
    ("authorization.k8s.io/v1", "SelfSubjectAccessReview"): "V1SelfSubjectAccessReview",
    ("batch/v1", "CronJob"): "V1CronJob",
    ("batch/v1", "Job"): "V1Job",
    ("discovery.k8s.io/v1", "EndpointSlice"): "V1EndpointSlice",
    ("networking.k8s.io/v1", "NetworkPolicy"): "V1NetworkPolicy",
    ("storage.k8s.io/v1", "StorageClass"): "V1StorageClass",
}
_CUSTOM = {("cert-manager.io/v1", "Certificate")}


def check_shape(found: dict[str, Any]) -> None:
    """Fail unless an object has the shape that Kubernetes gives its kind."""
    kind = (str(found["apiVersion"]), str(found["kind"]))
    if kind not in _CUSTOM:
        getattr(client, _MODELS[kind]).model_validate(found)
