"""Decodes the `google.rpc.Status` that travels with every refusal.

The few messages needed are described here instead of taken from googleapis-common-protos, so that the client
needs two packages only. They live in a pool of their own, so nothing clashes where that one is installed too.
The contracts: https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import any_pb2, duration_pb2, message_factory
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError

from marquee_client.errors import FieldViolation, QuotaViolation, Resource

_TEXT = FieldDescriptorProto.TYPE_STRING
_INTEGER = FieldDescriptorProto.TYPE_INT32
_MESSAGE = FieldDescriptorProto.TYPE_MESSAGE


@dataclass
class StatusDetails:
    """What a refusal says beyond its code; empty where the server sent nothing."""

    message: str = ""
    reason: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    field_violations: list[FieldViolation] = field(default_factory=list)
    quota_violations: list[QuotaViolation] = field(default_factory=list)
    retry_after: float | None = None
    resource: Resource | None = None


def decode_status_details(content: bytes) -> StatusDetails:
    """Return what a `grpc-status-details-bin` trailer says; empty details when it is broken.

    Details of unknown types are skipped.
    """
    details = StatusDetails()
    try:
        status = _MESSAGES["Status"].FromString(content)
        details.message = status.message
        for packed in status.details:
            _read_detail(packed.type_url.rpartition("/")[2], packed.value, details)
    except DecodeError:
        return StatusDetails()
    return details


def _read_detail(type_name: str, value: bytes, details: StatusDetails) -> None:
    name = type_name.removeprefix("google.rpc.")
    message_class = _MESSAGES.get(name)
    if message_class is None:
        return
    message = message_class.FromString(value)
    match name:
        case "ErrorInfo":
            details.reason, details.metadata = message.reason, dict(message.metadata)
        case "BadRequest":
            details.field_violations += [FieldViolation(one.field, one.description) for one in message.field_violations]
        case "QuotaFailure":
            details.quota_violations += [QuotaViolation(one.subject, one.description) for one in message.violations]
        case "RetryInfo":
            details.retry_after = message.retry_delay.seconds + message.retry_delay.nanos / 1e9
        case "ResourceInfo":
            details.resource = Resource(message.resource_type, message.resource_name)


def _message(
    name: str, fields: Sequence[FieldDescriptorProto], nested: Sequence[DescriptorProto] = ()
) -> DescriptorProto:
    return DescriptorProto(name=name, field=fields, nested_type=nested)


def _field(
    number: int,
    name: str,
    kind: FieldDescriptorProto.Type.ValueType = _TEXT,
    type_name: str = "",
    repeated: bool = False,
) -> FieldDescriptorProto:
    label = FieldDescriptorProto.LABEL_REPEATED if repeated else FieldDescriptorProto.LABEL_OPTIONAL
    described = FieldDescriptorProto(name=name, number=number, type=kind, label=label)
    if type_name:
        described.type_name = type_name
    return described


def _described_messages() -> dict[str, Any]:
    metadata_entry = _message("MetadataEntry", [_field(1, "key"), _field(2, "value")])
    metadata_entry.options.map_entry = True
    messages = [
        _message(
            "Status",
            [
                _field(1, "code", _INTEGER),
                _field(2, "message"),
                _field(3, "details", _MESSAGE, ".google.protobuf.Any", repeated=True),
            ],
        ),
        _message(
            "ErrorInfo",
            [
                _field(1, "reason"),
                _field(2, "domain"),
                _field(3, "metadata", _MESSAGE, ".google.rpc.ErrorInfo.MetadataEntry", repeated=True),
            ],
            [metadata_entry],
        ),
        _message("RetryInfo", [_field(1, "retry_delay", _MESSAGE, ".google.protobuf.Duration")]),
        _message(
            "QuotaFailure",
            [_field(1, "violations", _MESSAGE, ".google.rpc.QuotaFailure.Violation", repeated=True)],
            [_message("Violation", [_field(1, "subject"), _field(2, "description")])],
        ),
        _message(
            "BadRequest",
            [_field(1, "field_violations", _MESSAGE, ".google.rpc.BadRequest.FieldViolation", repeated=True)],
            [_message("FieldViolation", [_field(1, "field"), _field(2, "description")])],
        ),
        _message(
            "ResourceInfo",
            [
                _field(1, "resource_type"),
                _field(2, "resource_name"),
                _field(3, "owner"),
                _field(4, "description"),
            ],
        ),
    ]
    file = FileDescriptorProto(
        name="marquee_client/status_details.proto",
        package="google.rpc",
        syntax="proto3",
        dependency=["google/protobuf/any.proto", "google/protobuf/duration.proto"],
        message_type=messages,
    )
    pool = DescriptorPool()
    pool.AddSerializedFile(any_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(duration_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return {
        message.name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"google.rpc.{message.name}"))
        for message in messages
    }


_MESSAGES = _described_messages()
