from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from services.classical.settings import ClassicalSettings
from services.orchestrator.settings import OrchestratorSettings
from services.runtime.settings import ModelServiceSettings, ServiceSettings
from services.runtime.sources import DataSettings
from services.text.settings import TextSettings
from services.vision.settings import VisionSettings

SERVICES: list[type[ServiceSettings]] = [TextSettings, VisionSettings, ClassicalSettings, OrchestratorSettings]


@pytest.mark.parametrize("settings", [*SERVICES, ServiceSettings, ModelServiceSettings, DataSettings])
def test_every_option_says_what_it_does(settings: type[ServiceSettings]) -> None:
    silent = [name for name, field in settings.model_fields.items() if len(field.description or "") < 15]
    assert silent == []


@pytest.mark.parametrize("settings", SERVICES)
def test_a_service_listens_on_this_machine_only_unless_told_otherwise(settings: type[ServiceSettings]) -> None:
    assert settings().host == "127.0.0.1"


def test_services_do_not_share_a_port() -> None:
    assert len({settings().port for settings in SERVICES}) == len(SERVICES)


@pytest.mark.parametrize("settings", SERVICES)
def test_options_come_from_the_services_own_variables(
    settings: type[ServiceSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = str(settings.model_config["env_prefix"])
    assert prefix.startswith("MARQUEE_")
    monkeypatch.setenv("PORT", "1")
    monkeypatch.setenv("HOST", "0.0.0.0")
    monkeypatch.setenv(f"{prefix}PORT", "1234")
    assert (settings().host, settings().port) == ("127.0.0.1", 1234)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "65536"),
        ("PORT", "http"),
        ("ENGINES", "0"),
        ("MAXIMUM_MESSAGE_BYTES", "10"),
        ("DEFAULT_DEADLINE_SECONDS", "0"),
        ("DRAIN_SECONDS", "-1"),
        ("EXECUTION_PROVIDER", "gpu"),
        ("LOG_LEVEL", "loud"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"MARQUEE_TEXT_{name}", value)
    with pytest.raises(ValidationError, match=name.lower()):
        TextSettings()


def test_bundles_follow_the_data_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MARQUEE_DATA_DIRECTORY", str(tmp_path))
    assert TextSettings().bundle_repository == tmp_path / "bundles"
