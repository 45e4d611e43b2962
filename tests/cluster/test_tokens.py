"""The keys that sign page tokens are replaced, and pages that people have open go on."""

from __future__ import annotations

import base64

import pytest

from marquee_client import InvalidArgument
from services.cli.cluster.mesh import orchestrator
from tests.cluster.mesh import TOKEN_KEYS, Mesh


def set_keys(mesh: Mesh, *keys: str) -> None:
    """Write the Secret, and upgrade: its hash is in the pods' annotations, so that they start anew."""
    content = base64.b64encode(",".join(keys).encode()).decode()
    path = f"/api/v1/namespaces/{mesh.namespace}/secrets/{TOKEN_KEYS}"
    mesh.cluster.api.patch(path, {"data": {"token-keys": content}})
    mesh.helm.upgrade()
    mesh.cluster.rolled_out(mesh.release, "orchestrator")


def test_page_tokens_outlive_a_rotation(mesh: Mesh) -> None:
    first, second = "first-" + "k" * 40, "second-" + "k" * 40
    with orchestrator(mesh.release) as client:
        page = client.recommend("user-3", page_size=5)
    assert page.next_page_token

    set_keys(mesh, second, first)
    with orchestrator(mesh.release) as client:
        following = client.recommend("user-3", page_size=5, page_token=page.next_page_token)
        new = client.recommend("user-4", page_size=5)
    assert following.items
    assert not {item.item_id for item in following.items} & {item.item_id for item in page.items}

    set_keys(mesh, second)
    with orchestrator(mesh.release) as client:
        assert client.recommend("user-4", page_size=5, page_token=new.next_page_token).items
        with pytest.raises(InvalidArgument):
            client.recommend("user-3", page_size=5, page_token=page.next_page_token)
