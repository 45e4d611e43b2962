"""Finds RPCs by name and turns JSON into their requests, from the descriptor set that comes with the contracts."""

from __future__ import annotations

import difflib
import functools
import importlib.resources
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf import descriptor_pb2, json_format, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool

_SERVICES = {
    "marquee.entertainment.": "orchestrator",
    "marquee.text.": "text",
    "marquee.vision.": "vision",
    "marquee.classical.": "classical",
}


class ContractError(ValueError):
    """A method or a request does not fit the contracts; the message says what would."""


@dataclass(frozen=True)
class Method:
    """One RPC.

    Attributes:
        name: "package.Service/Method".
        descriptor: what protobuf knows of it.
        service: short name of the service that answers it; empty when every model service does.
    """

    name: str
    descriptor: MethodDescriptor
    service: str

    @property
    def path(self) -> str:
        """The path on the wire."""
        return f"/{self.name}"

    @property
    def streaming(self) -> bool:
        """The answer is a stream."""
        return bool(self.descriptor.server_streaming)

    @property
    def response_type(self) -> str:
        """Full name of the answer's message."""
        return str(self.descriptor.output_type.full_name)


class Contracts:
    """All RPCs of a descriptor set.

    Args:
        content: a serialised `google.protobuf.FileDescriptorSet` that contains its imports.
    """

    def __init__(self, content: bytes) -> None:
        self._pool = DescriptorPool()
        self._methods: dict[str, Method] = {}
        files = list(descriptor_pb2.FileDescriptorSet.FromString(content).file)
        for file in _imports_first(files):
            self._pool.Add(file)
        for file in files:
            for service in file.service:
                name = f"{file.package}.{service.name}"
                owner = next((owner for prefix, owner in _SERVICES.items() if name.startswith(prefix)), "")
                for descriptor in self._pool.FindServiceByName(name).methods:
                    method = Method(f"{name}/{descriptor.name}", descriptor, owner)
                    self._methods[method.name] = method

    @staticmethod
    @functools.cache
    def load() -> Contracts:
        """Return the contracts of this release."""
        return Contracts((importlib.resources.files("marquee") / "descriptor_set.binpb").read_bytes())

    @property
    def names(self) -> list[str]:
        """Names of all RPCs that can be called."""
        return sorted(name for name, one in self._methods.items() if not one.descriptor.client_streaming)

    def method(self, name: str) -> Method:
        """Find an RPC by "package.Service/Method". A dot instead of the slash will do, and so will a unique end of it.

        Raises:
            ContractError: there is none, or more than one, or its requests are a stream.
        """
        wanted = name.strip().lstrip("/")
        if "/" not in wanted:
            wanted = "/".join(wanted.rsplit(".", 1))
        exact = self._methods.get(wanted)
        found = (
            [exact]
            if exact
            else [one for one in self._methods.values() if one.name.endswith((f".{wanted}", f"/{wanted}"))]
        )
        if len(found) > 1:
            raise ContractError(f"{name!r} is ambiguous: {', '.join(one.name for one in found)}")
        if not found:
            near = difflib.get_close_matches(wanted, self._methods, 3, 0.5)
            same = [one for one in self._methods if one.rpartition("/")[2].lower() == wanted.rpartition("/")[2].lower()]
            hint = ", ".join(dict.fromkeys([*same, *near])) or "`marquee load --list` names them all"
            raise ContractError(f"no RPC {name!r}; did you mean: {hint}")
        if found[0].descriptor.client_streaming:
            raise ContractError(f"{found[0].name} takes a stream of requests; only single requests can be sent here")
        return found[0]

    def message_class(self, full_name: str) -> Any:
        """Return the class of a message."""
        return message_factory.GetMessageClass(self._pool.FindMessageTypeByName(full_name))

    def serialise(self, method: Method, request: Mapping[str, Any]) -> bytes:
        """Return the bytes of a request given as JSON, as protobuf's JSON mapping has it (bytes are base64).

        Raises:
            ContractError: the request does not fit; the message names the field and what is allowed.
        """
        kind = method.descriptor.input_type
        message = self.message_class(kind.full_name)()
        try:
            json_format.ParseDict(dict(request), message)
        except json_format.ParseError as error:
            raise ContractError(_better_message(str(error), kind)) from error
        content: bytes = message.SerializeToString()
        return content

    def check_path(self, method: Method, path: str) -> FieldDescriptor:
        """Return the field of the method's answer that a dotted path names.

        Raises:
            ContractError: there is no such field, or it cannot be compared with a value.
        """
        kind: Descriptor | None = method.descriptor.output_type
        field: FieldDescriptor | None = None
        for name in path.split("."):
            if kind is None or (field is not None and field.is_repeated):
                raise ContractError(f"{path!r}: {name!r} is not in a single message")
            if name not in kind.fields_by_name:
                raise ContractError(f"{kind.name} has no field {name!r}; it has: {', '.join(kind.fields_by_name)}")
            field = kind.fields_by_name[name]
            kind = field.message_type
        assert field is not None
        if field.is_repeated or field.message_type is not None:
            raise ContractError(f"{path!r} is a list or a message; only single values can be expected")
        return field


def _imports_first(files: list[descriptor_pb2.FileDescriptorProto]) -> Iterator[descriptor_pb2.FileDescriptorProto]:
    by_name = {file.name: file for file in files}
    done: set[str] = set()

    def visit(name: str) -> Iterator[descriptor_pb2.FileDescriptorProto]:
        if name in done or name not in by_name:
            return
        done.add(name)
        for imported in by_name[name].dependency:
            yield from visit(imported)
        yield by_name[name]

    for file in files:
        yield from visit(file.name)


def _better_message(message: str, kind: Descriptor) -> str:
    """Say protobuf's complaint in our words: which field, and what there is."""
    unknown = re.search(r'Message type "([^"]+)" has no field named "([^"]+)"(?: at "([^"]+)")?', message)
    if unknown:
        described = _find(kind, unknown[1])
        allowed = ", ".join(described.fields_by_name) if described else ""
        near = difflib.get_close_matches(unknown[2], list(described.fields_by_name) if described else [], 1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        return f"{unknown[1].rpartition('.')[2]} has no field {unknown[2]!r}{hint}; allowed: {allowed}"
    return message.removeprefix("Failed to parse ")


def _find(kind: Descriptor, full_name: str) -> Descriptor | None:
    todo, seen = [kind], set()
    while todo:
        one = todo.pop()
        if one.full_name == full_name:
            return one
        if one.full_name not in seen:
            seen.add(one.full_name)
            todo += [field.message_type for field in one.fields if field.message_type is not None]
    return None
