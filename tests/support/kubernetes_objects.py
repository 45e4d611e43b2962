"""Objects of a mesh as the chart makes them and a cluster completes them."""

from __future__ import annotations

from typing import Any

from tests.support.kubernetes_api import FakeCluster, Object

NAMESPACE = "media"
RELEASE = "marquee"
PORTS = {"orchestrator": 50060, "text": 50061, "vision": 50062, "classical": 50063}
_CHECKSUM = "sha256:" + "0" * 64


def labels(component: str, release: str = RELEASE) -> dict[str, str]:
    """The labels that everything of a component carries."""
    return {
        "app.kubernetes.io/name": "marquee",
        "app.kubernetes.io/instance": release,
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/version": "0.7.0",
    }


def fill(cluster: FakeCluster, release: str = RELEASE, namespace: str = NAMESPACE, replicas: int = 1) -> None:
    """Put a whole mesh into a cluster, all pods ready, and what a healthy cluster has around it."""
    core, apps = f"/api/v1/namespaces/{namespace}", f"/apis/apps/v1/namespaces/{namespace}"
    cluster.put("/api/v1/namespaces", namespace_object(namespace))
    for place, component in enumerate(PORTS):
        cluster.put(f"{apps}/deployments", deployment(component, replicas, release))
        addresses = []
        for number in range(replicas):
            addresses.append(f"10.0.{place}.{number + 1}")
            cluster.put(f"{core}/pods", pod(component, number, release, address=addresses[-1]))
        cluster.put(f"{core}/services", service(component, release))
        slices = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
        cluster.put(slices, endpoint_slice(f"{release}-{component}", addresses))
    for policy in policies(release):
        cluster.put(f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies", policy)
    cluster.put(f"/apis/batch/v1/namespaces/{namespace}/cronjobs", cron_job(release))
    _fill_system(cluster)


def _fill_system(cluster: FakeCluster) -> None:
    system = "/api/v1/namespaces/kube-system"
    dns = service("dns", RELEASE) | {"metadata": {"name": "kube-dns", "labels": {"k8s-app": "kube-dns"}}}
    cluster.put(f"{system}/services", dns)
    slices = "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices"
    cluster.put(slices, endpoint_slice("kube-dns", ["10.9.0.2", "10.9.0.3"]))
    metadata = {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}
    kind = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "provisioner": "example.com/disk"}
    cluster.put("/apis/storage.k8s.io/v1/storageclasses", {**kind, "metadata": metadata})
    template = {"metadata": {"labels": {"app": "cni"}}, "spec": {"containers": [{"name": "cni", "image": "cni:1"}]}}
    cluster.put(
        "/apis/apps/v1/namespaces/kube-system/daemonsets",
        {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": {"name": "cilium"},
            "spec": {"selector": {"matchLabels": {"app": "cni"}}, "template": template},
        },
    )


def namespace_object(name: str, level: str = "restricted") -> Object:
    """A namespace with a Pod Security level."""
    enforce = {"pod-security.kubernetes.io/enforce": level} if level else {}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": enforce}}


def container(component: str, *, environment: dict[str, str] | None = None) -> Object:
    """The container of a service, with the chart's ports and probes."""
    probe = {"grpc": {"port": 50070}, "periodSeconds": 2}
    return {
        "name": component,
        "image": f"registry.example.com/marquee-{component}:0.7.0",
        "ports": [
            {"name": "grpc", "containerPort": PORTS[component], "protocol": "TCP"},
            {"name": "metrics", "containerPort": 9464, "protocol": "TCP"},
            {"name": "health", "containerPort": 50070, "protocol": "TCP"},
        ],
        "env": [{"name": name, "value": value} for name, value in (environment or {}).items()],
        "startupProbe": probe,
        "readinessProbe": probe,
        "livenessProbe": {"grpc": {"port": 50070, "service": "liveness"}},
        "resources": {"requests": {"cpu": "250m", "memory": "256Mi"}},
    }


def deployment(
    component: str,
    replicas: int = 1,
    release: str = RELEASE,
    *,
    ready: int | None = None,
    generation: int = 1,
    environment: dict[str, str] | None = None,
) -> Object:
    """A Deployment whose rollout is over, unless fewer pods are ready."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": f"{release}-{component}", "labels": labels(component, release), "generation": generation},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels(component, release)},
            "template": {
                "metadata": {"labels": labels(component, release)},
                "spec": {"containers": [container(component, environment=environment)]},
            },
        },
        "status": {
            "observedGeneration": generation,
            "replicas": replicas,
            "updatedReplicas": replicas,
            "readyReplicas": replicas if ready is None else ready,
        },
    }


def pod(
    component: str,
    number: int = 0,
    release: str = RELEASE,
    *,
    address: str = "10.0.0.1",
    ready: bool = True,
    state: dict[str, Any] | None = None,
    restarts: int = 0,
    environment: dict[str, str] | None = None,
) -> Object:
    """A pod that runs, unless its container's state says otherwise."""
    image = f"registry.example.com/marquee-{component}:0.7.0"
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"{release}-{component}-{number}", "labels": labels(component, release)},
        "spec": {"nodeName": "node-1", "containers": [container(component, environment=environment)]},
        "status": {
            "phase": "Running",
            "podIP": address,
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            "containerStatuses": [
                {
                    "name": component,
                    "image": image,
                    "imageID": f"{image}@{_CHECKSUM}" if ready else "",
                    "ready": ready,
                    "restartCount": restarts,
                    "state": state or {"running": {"startedAt": "2026-11-01T08:00:00Z"}},
                }
            ],
        },
    }


def service(component: str, release: str = RELEASE) -> Object:
    """A headless Service."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": f"{release}-{component}", "labels": labels(component, release)},
        "spec": {"clusterIP": "None", "ports": [{"name": "grpc", "port": PORTS.get(component, 53)}]},
    }


def endpoint_slice(name: str, addresses: list[str]) -> Object:
    """An EndpointSlice of a Service."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": f"{name}-x", "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [one], "conditions": {"ready": True}} for one in addresses],
        "ports": [{"name": "grpc", "port": 50060, "protocol": "TCP"}],
    }


def policies(release: str = RELEASE) -> list[Object]:
    """The chart's policies: deny everything, then the mesh's arrows."""

    def policy(name: str, spec: Object) -> Object:
        return {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": f"{release}-{name}"},
            "spec": {"policyTypes": ["Ingress", "Egress"], **spec},
        }

    def pods(component: str) -> Object:
        found = labels(component, release)
        del found["app.kubernetes.io/version"]
        return {"matchLabels": found}

    everything = {"app.kubernetes.io/name": "marquee", "app.kubernetes.io/instance": release}
    models = [name for name in PORTS if name != "orchestrator"]
    egress = [
        {"to": [{"podSelector": pods(name)}], "ports": [{"protocol": "TCP", "port": PORTS[name]}]} for name in models
    ]
    dns = {"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}]}
    found = [policy("default-deny", {"podSelector": {"matchLabels": everything}})]
    clients = {"from": [{"podSelector": {}}], "ports": [{"protocol": "TCP", "port": PORTS["orchestrator"]}]}
    own = {"podSelector": pods("orchestrator"), "ingress": [clients], "egress": [*egress, dns]}
    found.append(policy("orchestrator", own))
    for name in models:
        source = [{"podSelector": pods("orchestrator")}]
        ingress = [{"from": source, "ports": [{"protocol": "TCP", "port": PORTS[name]}]}]
        found.append(policy(name, {"podSelector": pods(name), "ingress": ingress}))
    return found


def cron_job(release: str = RELEASE) -> Object:
    """The suspended CronJob that fits bundles."""
    trainer = {"name": "trainer", "image": "registry.example.com/marquee-trainer:0.7.0", "args": ["train"]}
    pods = {"restartPolicy": "Never", "containers": [trainer]}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": f"{release}-train", "labels": labels("trainer", release)},
        "spec": {
            "schedule": "0 4 * * *",
            "suspend": True,
            "jobTemplate": {
                "metadata": {"labels": labels("trainer", release)},
                "spec": {
                    "backoffLimit": 0,
                    "template": {"metadata": {"labels": labels("trainer", release)}, "spec": pods},
                },
            },
        },
    }
