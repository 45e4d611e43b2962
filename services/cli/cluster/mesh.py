"""The ways into a mesh's services: gRPC over a tunnel through the API server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import grpc

from marquee.common.v1 import model_repository_pb2 as repository_pb
from marquee.common.v1.model_repository_pb2_grpc import ModelRepositoryServiceStub
from marquee_client import MarqueeClient, Tls, Unavailable
from services.cli.channels import open_channel
from services.cli.cluster.api import Object, connect
from services.cli.cluster.options import Where
from services.cli.cluster.release import ORCHESTRATOR, Release, component_of, find_release, name_of, port_of
from services.cli.cluster.tunnel import PickPod, Tunnel
from services.cli.cluster.workload_settings import setting_of
from services.cli.failures import EXIT_WRONG_INPUT, CommandFailed
from services.cli.settings import command_settings
from services.cli.tls import command_tls, tls_problem

_SECONDS = 10.0
# A tunnel takes several round trips to an API server, perhaps far away, before the first byte of the pod arrives; the
# client's own patience is that of a data centre.
_LONG_WAY = [
    ("grpc.min_reconnect_backoff_ms", 10_000),  # also the longest wait for a connection
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),
]


def chosen_release(where: Where) -> Release:
    """Connect to the cluster and find the mesh that is meant."""
    return find_release(connect(where.context, where.namespace), where)


def any_ready_pod(release: Release, component: str) -> PickPod:
    """Return a choice of whichever pod of a component is ready when a connection is made."""
    return lambda: (release.namespace, name_of(release.ready_pod(component)))


def this_pod(release: Release, pod: Object) -> PickPod:
    """Return the choice of one pod, ready or not."""
    return lambda: (release.namespace, name_of(pod))


@contextmanager
def orchestrator(release: Release, tell: Callable[[str], None] = lambda _: None) -> Iterator[MarqueeClient]:
    """Connect to the orchestrator of a mesh; a pod that goes away is replaced by the next ready one.

    Raises:
        CommandFailed: no pod of it is ready, or it cannot be reached.
    """
    pod = release.ready_pod(ORCHESTRATOR)  # fails at once when none is ready
    tls = _tls(release, pod)
    with (
        Tunnel(release.api, any_ready_pod(release, ORCHESTRATOR), port_of(pod, "grpc"), tell=tell) as tunnel,
        MarqueeClient(tunnel.address, timeout=command_settings().timeout, tls=tls, channel_options=_LONG_WAY) as client,
    ):
        try:
            yield client
        except Unavailable as error:
            if error.reason:  # a Marquee service said so
                raise
            problem = tunnel.failure or (tls_problem(tunnel.address) if tls is None else None)
            if problem is None:
                raise
            raise problem from error


def loaded_models(release: Release, pod: Object) -> repository_pb.ListModelsResponse | None:
    """Ask a pod of a model service for its models; None when it does not answer."""
    with _repository(release, pod) as repository:
        try:
            return repository.ListModels(repository_pb.ListModelsRequest(), timeout=_SECONDS)
        except grpc.RpcError:
            return None


def loaded_bundles(release: Release, pod: Object) -> list[repository_pb.Bundle] | None:
    """Ask a pod of a model service for its bundles, newest first; None when it does not answer."""
    with _repository(release, pod) as repository:
        try:
            return list(repository.ListBundles(repository_pb.ListBundlesRequest(), timeout=_SECONDS).bundles)
        except grpc.RpcError:
            return None


@contextmanager
def _repository(release: Release, pod: Object) -> Iterator[ModelRepositoryServiceStub]:
    options = [("grpc.use_local_subchannel_pool", 1)]
    tls = _tls(release, pod)
    with (
        Tunnel(release.api, this_pod(release, pod), port_of(pod, "grpc")) as tunnel,
        open_channel(tunnel.address, options, tls) as channel,
    ):
        yield ModelRepositoryServiceStub(channel)


def _tls(release: Release, pod: Object) -> Tls | None:
    """Return how to speak TLS with a pod, whose certificate is for the name of its Service.

    Raises:
        CommandFailed: it speaks TLS, and the commands were not told how.
    """
    tls, component = command_tls(), component_of(pod)
    variable = f"MARQUEE_{component.upper()}_TLS_CERTIFICATE_FILE"
    if not setting_of(release, pod, variable):
        return None  # whatever the variables say about other meshes
    if tls is None:
        raise CommandFailed(
            f"release {release.name} speaks TLS and the commands were not given any certificates",
            "MARQUEE_TLS_CA_FILE, MARQUEE_TLS_CERTIFICATE_FILE and MARQUEE_TLS_KEY_FILE name the files. A certificate "
            f"that the services accept is the trainer's: kubectl get secret --namespace {release.namespace} "
            f"--selector {release.selector('trainer')} --output yaml",
            EXIT_WRONG_INPUT,
        )
    service = f"{name_of(release.deployment(component))}.{release.namespace}.svc"
    return tls if tls.server_name else replace(tls, server_name=service)
