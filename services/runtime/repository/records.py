"""What the repository knows of each model and version, and what follows from it; nothing here loads or waits."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from services.runtime.repository.folders import VersionFolder
from services.runtime.repository.policy import VersionPolicy, in_order
from services.runtime.repository.serving import ServingModel
from services.runtime.repository.states import State, VersionState


@dataclass
class VersionRecord:
    """One version.

    Attributes:
        folder: what lies on disk; None when it vanished.
        serving: what serves; None when nothing does.
        served_fingerprint: of the files that `serving` was made from.
        loading: whether it is being loaded.
        verified_bytes: how much of its files the load in progress has verified; what the last one had, when none is.
        leaving: how many replaced or unloaded forms of it are still held by requests in flight.
        refused_fingerprint: of the files that were refused last, and why.
    """

    name: str
    version: str
    folder: VersionFolder | None = None
    serving: ServingModel | None = None
    served_fingerprint: str = ""
    loading: bool = False
    verified_bytes: int = 0
    leaving: int = 0
    refused_fingerprint: str = ""
    reason: str = ""

    @property
    def refused(self) -> bool:
        """Whether the files that lie on disk now were refused."""
        return self.folder is not None and self.folder.fingerprint == self.refused_fingerprint

    @property
    def stale(self) -> bool:
        """Whether files lie on disk that were neither loaded nor refused."""
        return (
            self.folder is not None
            and not self.refused
            and (self.serving is None or self.served_fingerprint != self.folder.fingerprint)
        )

    @property
    def state(self) -> State:
        """How the version is. One whose newer files were refused is READY while the older form serves."""
        if self.serving is not None:
            return State.READY
        if self.loading:
            return State.LOADING
        if self.leaving:
            return State.UNLOADING
        return State.FAILED if self.refused else State.UNLOADED

    def verified(self, count: int) -> None:
        """Note how many bytes the load in progress has verified; called from the thread that loads."""
        self.verified_bytes = count

    def serve(self, serving: ServingModel, fingerprint: str) -> None:
        """Put a loaded form into service."""
        self.serving, self.served_fingerprint = serving, fingerprint
        self.refused_fingerprint = self.reason = ""

    def refuse(self, fingerprint: str, reason: str) -> None:
        """Remember that files were refused; they are not tried again until they change or somebody asks."""
        self.refused_fingerprint, self.reason = fingerprint, reason

    def forgive(self) -> None:
        """Try refused files again."""
        self.refused_fingerprint = self.reason = ""

    def describe(self, policy: VersionPolicy, default: bool) -> VersionState:
        """Return the line of the index."""
        folder = self.folder
        manifest = self.serving.model.manifest if self.serving else None
        return VersionState(
            name=self.name,
            version=self.version,
            state=self.state,
            reason=self.reason if self.refused else "",
            task=manifest.task if manifest else folder.task if folder else "",
            required=manifest.required if manifest else folder.required if folder else False,
            size_bytes=folder.size_bytes if folder else 0,
            model=self.serving.model if self.serving else None,
            default=default,
            policy=str(policy),
            verified_bytes=self.verified_bytes if self.loading else 0,
        )


@dataclass
class ModelRecord:
    """One model with its versions.

    Attributes:
        lock: held while its versions are loaded or unloaded, one after the other.
        active: whether its versions are kept as the policy says: from the start for a required model, from the first
            use or load for the others.
        asked_for: versions that a person loaded by name, beside those of the policy.
        unloaded: versions that a person unloaded; they stay away until a person loads them.
        all_unloaded: whether a person unloaded the whole model, versions that come later included.
    """

    name: str
    policy: VersionPolicy
    versions: dict[str, VersionRecord] = field(default_factory=dict)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    active: bool = False
    asked_for: set[str] = field(default_factory=set)
    unloaded: set[str] = field(default_factory=set)
    all_unloaded: bool = False

    @property
    def marked(self) -> bool:
        """Whether a person unloaded something of the model."""
        return self.all_unloaded or bool(self.unloaded)

    @property
    def required(self) -> bool:
        """Whether readiness waits for the model: the newest version on disk decides."""
        on_disk = [version for version, record in self.versions.items() if record.folder is not None]
        folder = self.versions[in_order(on_disk)[0]].folder if on_disk else None
        return folder is not None and folder.required

    def adopt(self, folders: Mapping[str, VersionFolder]) -> None:
        """Take over what lies on disk; versions that are neither there nor in use are forgotten."""
        for version, folder in folders.items():
            self.versions.setdefault(version, VersionRecord(self.name, version)).folder = folder
        for version, record in list(self.versions.items()):
            if version not in folders:
                record.folder = None
                if record.serving is None and not record.loading and not record.leaving:
                    del self.versions[version]

    def chosen(self) -> list[str]:
        """Return the versions that should serve, newest first.

        A refused version does not count, so that an older one serves in its place; one that a person unloaded does,
        so that nothing takes its place unasked.
        """
        on_disk = [version for version, record in self.versions.items() if record.folder is not None]
        usable = [
            version for version in on_disk if self.versions[version].serving or not self.versions[version].refused
        ]
        chosen = {*self.policy.choose(usable), *(version for version in self.asked_for if version in usable)}
        return [version for version in in_order(chosen) if not self.is_unloaded(version)]

    def superseded(self) -> list[str]:
        """Return the versions that serve and should not any more.

        A version that vanished from disk serves on while its model is still there and nothing else of it serves:
        what came in its place may be damaged.
        """
        chosen = set(self.chosen())
        serving = self.serving()
        gone_for_good = bool(chosen & set(serving)) or not any(record.folder for record in self.versions.values())
        return [
            version for version in serving if version not in chosen and (self.versions[version].folder or gone_for_good)
        ]

    def is_unloaded(self, version: str) -> bool:
        """Whether a person unloaded the version, or the whole model and not loaded this version since."""
        return version in self.unloaded or (self.all_unloaded and version not in self.asked_for)

    def mark_loaded(self, version: str) -> None:
        """Remember that a person loaded a version, or the versions of the policy when empty."""
        self.active = True
        if version:
            self.unloaded.discard(version)
            self.asked_for.add(version)
        else:
            self.unloaded.clear()
            self.all_unloaded = False

    def mark_unloaded(self, version: str) -> None:
        """Remember that a person unloaded a version, or the whole model when empty."""
        if version:
            self.asked_for.discard(version)
            self.unloaded.add(version)
        else:
            self.asked_for.clear()
            self.unloaded.clear()
            self.all_unloaded = True

    def serving(self) -> list[str]:
        """Return the versions that serve, the default first: those of the policy, newest first, then the others."""
        ready = in_order(version for version, record in self.versions.items() if record.serving is not None)
        preferred = self.policy.choose(ready)
        return preferred + [version for version in ready if version not in preferred]

    def table(self) -> dict[str, ServingModel]:
        """Return what serves by version, the default also under the empty version."""
        serving = self.serving()
        found = {version: self.versions[version].serving for version in ["", *serving] if version}
        table = {version: model for version, model in found.items() if model is not None}
        return {"": table[serving[0]], **table} if serving else {}

    def describe(self) -> list[VersionState]:
        """Return the lines of the index, by version from the oldest to the newest."""
        serving = self.serving()
        default = serving[0] if serving else None
        return [
            self.versions[version].describe(self.policy, version == default)
            for version in reversed(in_order(self.versions))
        ]

    def problem(self) -> str:
        """Return why no version of the model serves; empty when one does or a person unloaded it."""
        if self.serving() or self.marked:
            return ""
        reasons = [
            self.versions[version].reason for version in in_order(self.versions) if self.versions[version].refused
        ]
        if reasons:
            return "; ".join(reasons)
        return f"{self.name}: no version on disk is one of its version policy {self.policy}"
