"""How long the mesh's certificates are valid."""

from __future__ import annotations

import base64
import binascii
import datetime
import ssl
from collections.abc import Iterator

from services.cli.cluster.api import Object
from services.cli.cluster.checks import Check, Level
from services.cli.cluster.release import Release, name_of

_FEW_DAYS = 14
_SEQUENCE, _VERSION, _UTC_TIME = 0x30, 0xA0, 0x17


def check_certificates(release: Release) -> Iterator[Check]:
    """Look at the Secrets that the pods mount as certificates, by cert-manager's word where it manages them."""
    names = _mounted_secrets(release)
    if not names:
        yield Check("certificates", Level.OK, "the services speak plaintext: none is used")
        return
    managed = {str(one["spec"]["secretName"]): one for one in _managed(release)}
    for name in sorted(names):
        if name in managed:
            yield _of_certificate(managed[name])
        else:
            yield from _of_secret(release, name)


def end_of(certificate: bytes) -> datetime.datetime:
    """Return when a certificate in DER form ends.

    Raises:
        ValueError: it is no certificate.
    """
    try:
        rest = _inside(_inside(certificate)[1])[1]  # of Certificate, of TBSCertificate
        fields: list[bytes] = []
        while rest and len(fields) < 6:
            tag, content, rest = _element(rest)
            if tag != _VERSION:  # absent in version 1
                fields.append(content)
        _, _, end = _element(fields[3])  # serial, algorithm, issuer, then validity: begin and end
        tag, content, _ = _element(end)
        form = "%y%m%d%H%M%SZ" if tag == _UTC_TIME else "%Y%m%d%H%M%SZ"
        return datetime.datetime.strptime(content.decode("ascii"), form).replace(tzinfo=datetime.UTC)
    except (IndexError, ValueError) as error:
        raise ValueError("no certificate in DER form") from error


def _element(content: bytes) -> tuple[int, bytes, bytes]:
    """Return tag, content and what follows of the first element in DER form."""
    tag, length, place = content[0], content[1], 2
    if length & 0x80:
        count = length & 0x7F
        length, place = int.from_bytes(content[2 : 2 + count]), 2 + count
    if place + length > len(content):
        raise ValueError("cut off")
    return tag, content[place : place + length], content[place + length :]


def _inside(content: bytes) -> tuple[int, bytes]:
    tag, inner, _ = _element(content)
    if tag != _SEQUENCE:
        raise ValueError("no sequence")
    return tag, inner


def _managed(release: Release) -> list[Object]:
    found = release.api.find(f"{release.path('certificates', 'cert-manager.io/v1')}")
    return list((found or {}).get("items") or [])


def _mounted_secrets(release: Release) -> set[str]:
    names = set()
    for deployment in release.deployments.values():
        for volume in deployment["spec"]["template"]["spec"].get("volumes") or []:
            sources = [volume, *((volume.get("projected") or {}).get("sources") or [])]
            for source in sources:
                secret = source.get("secret") or {}
                name = str(secret.get("secretName") or secret.get("name") or "")
                if name and "tls" in f"{volume['name']} {name}":
                    names.add(name)
    return names


def _of_certificate(certificate: Object) -> Check:
    status = certificate.get("status") or {}
    name = f"certificate {name_of(certificate)}"
    conditions: list[Object] = status.get("conditions") or []
    ready: Object = next((one for one in conditions if one["type"] == "Ready"), {})
    if ready.get("status") != "True":
        said = f"{name} is not ready: {ready.get('message', 'cert-manager has not looked at it')}"
        return Check("certificates", Level.FAIL, said, f"kubectl describe certificate {name_of(certificate)}")
    return _judged(name, datetime.datetime.fromisoformat(status["notAfter"]), "cert-manager should have renewed it.")


def _of_secret(release: Release, name: str) -> Iterator[Check]:
    found = release.api.find(f"{release.path('secrets')}/{name}")
    if found is None:
        yield Check("certificates", Level.FAIL, f"there is no Secret {name}, which pods mount", "Make it, then wait.")
        return
    try:
        chain = base64.b64decode((found.get("data") or {}).get("tls.crt", "")).decode("ascii")
        first = chain[: chain.index("-----END CERTIFICATE-----") + 25]
        end = end_of(ssl.PEM_cert_to_DER_cert(first[first.index("-----BEGIN CERTIFICATE-----") :]))
    except (ValueError, binascii.Error):
        yield Check("certificates", Level.FAIL, f"Secret {name} has no certificate in tls.crt", "Write a new one.")
        return
    yield _judged(f"Secret {name}", end, "Write a new certificate into it, then restart the pods.")


def _judged(name: str, end: datetime.datetime, advice: str) -> Check:
    days = (end - datetime.datetime.now(datetime.UTC)).total_seconds() / 86400
    if days < 0:
        return Check("certificates", Level.FAIL, f"{name} ended {-days:.0f} days ago", advice)
    if days < _FEW_DAYS:
        return Check("certificates", Level.WARN, f"{name} ends in {days:.0f} days", advice)
    return Check("certificates", Level.OK, f"{name} is valid for {days:.0f} days")
