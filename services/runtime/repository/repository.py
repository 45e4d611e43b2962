"""The model repository of one service: folders `<name>/<version>/`, the newest version of each model loaded."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from services.runtime.errors import NotFound, Unavailable
from services.runtime.logs import get_logger
from services.runtime.repository.loader import LoadedModel, VersionRefused, load_version
from services.runtime.repository.manifest import MANIFEST_FILE, ManifestInvalid, read_manifest

_logger = get_logger(__name__)


@dataclass(frozen=True)
class VersionState:
    """One version as `ListModels` shows it; `model` is None when it was refused for `reason`."""

    name: str
    version: str
    model: LoadedModel | None
    reason: str = ""
    task: str = ""
    required: bool = True
    size_bytes: int = 0


@dataclass
class ModelRepository:
    """Models of one service by name.

    Attributes:
        root: folder of the repository.
        provider: execution provider the models run on.
    """

    root: Path
    provider: str
    versions: dict[str, VersionState] = field(default_factory=dict)

    def load_all(self) -> None:
        """Load the newest version of every model. A refused version is kept with its reason and the others go on."""
        for folder in newest_versions(self.root):
            name, version = folder.parent.name, folder.name
            size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
            try:
                model = load_version(folder, self.provider)
            except VersionRefused as error:
                _logger.error("model refused", model=name, version=version, reason=str(error))
                task, required = _describe_refused(folder)
                self.versions[name] = VersionState(name, version, None, str(error), task, required, size)
                continue
            self.versions[name] = VersionState(
                name, version, model, "", model.manifest.task, model.manifest.required, size
            )
            _logger.info(
                "model ready",
                model=name,
                version=version,
                provider=self.provider,
                milliseconds=round(model.load_seconds * 1000),
                parity=model.parity.max_difference,
            )

    def refuse(self, name: str, reason: str) -> None:
        """Take a loaded model out of service; it stays listed with the reason."""
        self.versions[name] = replace(self.versions[name], model=None, reason=reason)

    def missing_required(self) -> list[str]:
        """Return why each required model does not serve; empty when the service may be ready."""
        refused = [state.reason for state in self.versions.values() if state.required and state.model is None]
        return refused if self.versions else [f"the model repository {self.root.name} holds no model"]

    def model(self, name: str, field_name: str = "model") -> LoadedModel:
        """Return a model that serves.

        Raises:
            NotFound: no model has that name; the message lists those there are.
            Unavailable: the model was refused at load.
        """
        state = self.versions.get(name)
        if state is None:
            raise NotFound(
                field_name,
                "model",
                name[:100],
                f"this service has {', '.join(sorted(self.versions)) or 'none'}",
            )
        if state.model is None:
            raise Unavailable(
                "MODEL_NOT_READY",
                f"model {name} {state.version} does not serve: its files failed the checks at load",
            )
        return state.model


def newest_versions(root: Path) -> list[Path]:
    """Return the folder of the newest version of each model below `root`: the highest number, else the last name."""
    folders: dict[str, Path] = {}
    for manifest in sorted(root.glob(f"*/*/{MANIFEST_FILE}"), key=lambda path: _version_order(path.parent.name)):
        folders[manifest.parent.parent.name] = manifest.parent
    return [folders[name] for name in sorted(folders)]


def _version_order(version: str) -> tuple[bool, int, str]:
    return (version.isdecimal(), int(version) if version.isdecimal() else 0, version)


def _describe_refused(folder: Path) -> tuple[str, bool]:
    try:
        manifest = read_manifest(folder)
    except ManifestInvalid:
        # A manifest nobody can read must not let the service pass for ready.
        return "", True
    return manifest.task, manifest.required
