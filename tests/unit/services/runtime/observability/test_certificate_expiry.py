"""The end of a certificate, as a library that knows everything about certificates sees it."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

import pytest
from cryptography import x509

from services.runtime.observability.certificate_expiry import expiry
from services.runtime.settings import ServiceSettings
from services.runtime.telemetry import Telemetry
from tests.support.certificates import Authority


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    authority = Authority()
    path = tmp_path / "tls.crt"
    path.write_bytes(b"a comment\n" + authority.issue().certificate + authority.certificate)
    return path


def test_the_first_end_of_a_chain_counts(chain: Path) -> None:
    ends = [one.not_valid_after_utc for one in x509.load_pem_x509_certificates(chain.read_bytes())]
    assert len(ends) == 2
    assert datetime.datetime.fromtimestamp(expiry(chain), datetime.UTC) == min(ends)


def test_it_is_reported_by_the_setting_that_names_the_file(chain: Path) -> None:
    page = Telemetry.from_settings(ServiceSettings(tls_certificate_file=chain), "text").metrics.expose().decode()
    [found] = re.findall(r'marquee_certificate_expiry_time_seconds{setting="tls_certificate_file"} (.+)', page)
    assert float(found) == expiry(chain)


def test_without_tls_nothing_is_reported() -> None:
    page = Telemetry.from_settings(ServiceSettings(), "text").metrics.expose().decode()
    assert "marquee_certificate" not in page


def test_a_file_without_a_certificate_costs_the_page_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "tls.crt").write_text("nothing")
    with pytest.raises(ValueError, match="no certificate"):
        expiry(tmp_path / "tls.crt")
    settings = ServiceSettings(tls_certificate_file=tmp_path / "tls.crt")
    page = Telemetry.from_settings(settings, "text").metrics.expose().decode()
    assert "marquee_build_info" in page
