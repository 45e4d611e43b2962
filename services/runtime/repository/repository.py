"""The models of one service, hot: versions side by side, loaded, replaced and unloaded without dropping a request."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from services.runtime.engine import EngineUnavailable, Wanted
from services.runtime.errors import FailedPrecondition, NotFound, Unavailable
from services.runtime.logs import get_logger
from services.runtime.repository.folders import Catalogue, RepositoryUnreadable, read_catalogue
from services.runtime.repository.loader import LoadCancelled, VersionRefused
from services.runtime.repository.operations import SharedOperations, shutting_down
from services.runtime.repository.policy import VersionPolicies
from services.runtime.repository.provider import ModelOpener
from services.runtime.repository.records import ModelRecord, VersionRecord
from services.runtime.repository.releasing import Releaser
from services.runtime.repository.serving import PipelineFactory, ServingBuilder, ServingModel
from services.runtime.repository.states import VersionState

ResultT = TypeVar("ResultT")

# Two loads at a time: reading and hashing one overlaps with the warm-up of the other, and requests keep their cores.
_LOADERS = 2
# A folder swapped by two renames is not there for a moment; what vanished is looked for again after this.
_CONFIRM_SECONDS = 0.25
# How long `unload` waits for requests in flight before it returns and leaves the rest to them.
_RELEASE_SECONDS = 5.0
_logger = get_logger(__name__)


class ModelRepository:
    """Models of one service by name. Everything but the loading itself happens on one event loop.

    Args:
        root: folder of the repository: `<name>/<version>/model.yaml`.
        factories: `task` of `model.yaml` → how to make its pipeline.
        tensors: how to make the pipeline of the Open Inference Protocol.
        policies: which versions of each model serve.
        wanted: execution provider of the settings.
        half_precision: whether a GPU may compute in 16 bits where it can choose.
        changed: called whenever what serves has changed.
        forgotten: called with name and version when the last request has let go of an unloaded version.
    """

    def __init__(
        self,
        root: Path,
        *,
        factories: Mapping[str, PipelineFactory],
        tensors: PipelineFactory,
        policies: VersionPolicies | None = None,
        wanted: Wanted = "auto",
        half_precision: bool = False,
        changed: Callable[[], None] = lambda: None,
        forgotten: Callable[[str, str], None] = lambda name, version: None,
    ) -> None:
        self._root = root
        self._opener = ModelOpener(wanted, half_precision)
        self._builder = ServingBuilder(self._opener.open, factories, tensors)
        self._policies = policies or VersionPolicies.parse({})
        self._changed = changed
        self._forgotten = forgotten
        self._catalogue: Catalogue = {}
        self._records: dict[str, ModelRecord] = {}
        self._ready: dict[str, dict[str, ServingModel]] = {}
        self._threads = ThreadPoolExecutor(_LOADERS, thread_name_prefix="load")
        self._operations = SharedOperations()
        self._releaser = Releaser(self._threads)
        self._closing = threading.Event()
        self._started = False

    def ready(self, name: str, version: str = "") -> ServingModel | None:
        """Return a version that serves, the default one for an empty version; None when there is none."""
        versions = self._ready.get(name)
        return versions.get(version) if versions is not None else None

    def serving(self) -> list[ServingModel]:
        """Return every version that serves, by name, each model's default first."""
        return [model for _, table in sorted(self._ready.items()) for version, model in table.items() if version]

    def index(self) -> Sequence[VersionState]:
        """Return every version on disk or in memory, by name and version."""
        return [state for _, record in sorted(self._records.items()) for state in record.describe()]

    def __contains__(self, name: str) -> bool:
        record = self._records.get(name)
        return record is not None and bool(record.versions)

    def problems(self) -> list[str]:
        """Return why each required model does not serve; empty when the service may be ready."""
        if not self._started:
            return ["the models are not loaded yet"]
        try:
            _ = self._opener.provider
        except EngineUnavailable as error:
            return [str(error)]
        return [
            problem for _, record in sorted(self._records.items()) if record.required and (problem := record.problem())
        ]

    async def start(self) -> None:
        """Look at the folder and load the required models; those that are refused are left to `problems`."""
        try:
            await self.refresh()
        except RepositoryUnreadable as error:
            _logger.warning("no models", reason=str(error))
        try:
            await asyncio.gather(*(self._keep(record) for record in self._records.values() if record.required))
        except BaseException:
            self._closing.set()
            raise
        self._started = True
        self._publish()

    async def acquire(self, name: str, version: str = "", field_name: str = "model") -> ServingModel:
        """Return a version that serves; a model that is not required is loaded by its first request, and all who ask
        meanwhile wait for that load.

        Raises:
            NotFound: there is no such model or version, or the version policy leaves it out.
            Unavailable: it was refused or unloaded, or the service has not loaded its models yet.
            DeadlinePassed: the caller's deadline passed while it was loaded.
        """
        found = self.ready(name, version)
        if found is not None:
            return found
        if not self._started:
            raise Unavailable(
                "MODELS_NOT_LOADED", "the models are not loaded yet; call again when the health is SERVING"
            )
        record = self._record(name, version, field_name)
        waits = not record.active or record.lock.locked()
        if waits and not record.all_unloaded and not record.is_unloaded(version):
            await self._operations.share(("keep", name), partial(self._keep, record))
            found = self.ready(name, version)
            if found is not None:
                return found
            record = self._record(name, version, field_name)
        raise _not_serving(record, version, field_name)

    async def load(self, name: str, version: str = "", *, field_name: str = "name") -> list[ServingModel]:
        """Load a version, or those of the policy when empty, also when a person unloaded them before. Files that did
        not change since they were loaded are not loaded again. Returns what then serves of what was asked for.

        Raises:
            NotFound: the folder holds no such model or version.
            FailedPrecondition: a version was refused; what served before serves on.
            Unavailable: the folder cannot be listed now.
        """
        try:
            await self.refresh()
        except RepositoryUnreadable as error:
            raise Unavailable("REPOSITORY_UNREADABLE", str(error)) from error
        self._record(name, version, "version" if version else field_name)
        return await self._operations.share(("load", name, version), partial(self._load, name, version))

    async def unload(self, name: str, version: str = "", *, field_name: str = "name") -> None:
        """Take a version, or the whole model when empty, out of service until a person loads it again. Requests in
        flight finish; when the last of them is answered, the memory goes back to the system.

        Raises:
            NotFound: nothing of it is loaded.
        """
        record = self._records.get(name)
        if record is None:
            raise NotFound(field_name, "model", name[:100], self._known())
        async with record.lock:
            targets = [one for one in record.serving() if version in ("", one)]
            if not targets:
                raise NotFound(
                    "version" if version else field_name,
                    "model",
                    (f"{name}/{version}" if version else name)[:100],
                    f"it is not loaded; loaded are: {', '.join(record.serving()) or 'none'}",
                )
            record.mark_unloaded(version)
            releases = [self._take_out(record.versions[one]) for one in targets]
            self._publish()
        await asyncio.wait(releases, timeout=_RELEASE_SECONDS)

    async def poll(self) -> None:
        """Look at the folder once: load what is new by the policy and what changed, unload what vanished."""
        try:
            await self.refresh()
        except RepositoryUnreadable as error:
            _logger.warning("model repository not polled", reason=str(error))
            return
        due = [record for record in self._records.values() if record.active or record.required]
        await asyncio.gather(*(self._operations.share(("keep", one.name), partial(self._keep, one)) for one in due))

    async def refresh(self) -> None:
        """Look at the folder without loading or unloading anything.

        Raises:
            RepositoryUnreadable: the folder is missing or cannot be listed.
        """
        before = self._catalogue
        found = await asyncio.to_thread(read_catalogue, self._root, before)
        if any(set(versions) - set(found.get(name, {})) for name, versions in before.items()):
            await asyncio.sleep(_CONFIRM_SECONDS)
            found = await asyncio.to_thread(read_catalogue, self._root, before)
        self._catalogue = found
        self._adopt()

    async def close(self) -> None:
        """Give up loads in progress; returns after the step they are at."""
        self._closing.set()
        await self._operations.close()
        await self._releaser.close()
        await asyncio.to_thread(self._threads.shutdown, wait=True, cancel_futures=True)

    async def _load(self, name: str, version: str) -> list[ServingModel]:
        record = self._records[name]
        async with record.lock:
            for one in record.versions.values():
                if version in ("", one.version):
                    one.forgive()
            record.mark_loaded(version)
            await self._reconcile(record)
            asked = [version] if version else list(record.versions)
            refused = [record.versions[one] for one in asked if one in record.versions and record.versions[one].refused]
            if refused:
                serving = ", ".join(record.serving())
                raise FailedPrecondition(
                    "MODEL_REFUSED",
                    "; ".join(one.reason for one in refused) + (f"; {name} serves {serving} on" if serving else ""),
                    {"model": name, "versions": ",".join(one.version for one in refused)},
                )
            return [model for one, model in record.table().items() if one and version in ("", one)]

    async def _keep(self, record: ModelRecord) -> None:
        """Make what serves of a model what its policy says."""
        async with record.lock:
            record.active = True
            await self._reconcile(record)

    async def _reconcile(self, record: ModelRecord) -> None:
        # A refused version makes room for an older one, so the choice is made again after each round.
        while due := [version for version in record.chosen() if record.versions[version].stale]:
            for version in due:
                if (one := record.versions.get(version)) is not None:
                    await self._load_version(one)
        for version in record.superseded():
            self._take_out(record.versions[version])
        self._publish()

    async def _load_version(self, record: VersionRecord) -> None:
        folder = record.folder
        if folder is None:
            return
        record.loading, record.verified_bytes = True, 0
        try:
            serving = await self._on_thread(
                lambda: self._builder.build(folder.path, self._check_closing, record.verified)
            )
        except VersionRefused as error:
            record.refuse(folder.fingerprint, str(error))
            _logger.error("model refused", model=record.name, version=record.version, reason=str(error))
            return
        except (LoadCancelled, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if not self._closing.is_set() or (task is not None and task.cancelling()):
                raise
            raise shutting_down() from error
        finally:
            record.loading = False
        if record.serving is not None:
            self._take_out(record)
        record.serve(serving, folder.fingerprint)
        self._publish()
        _logger.info(
            "model ready",
            model=record.name,
            version=record.version,
            provider=serving.model.onnx.provider,
            milliseconds=round(serving.model.load_seconds * 1000),
            parity=serving.model.parity.max_difference,
        )

    def _take_out(self, record: VersionRecord) -> asyncio.Task[None]:
        """Stop serving a version; the returned task ends when nobody holds it any more and its memory is back."""
        serving, record.serving = record.serving, None
        assert serving is not None
        record.leaving += 1
        return self._releaser.release(serving.model.onnx, partial(self._released, record))

    def _released(self, record: VersionRecord) -> None:
        record.leaving -= 1
        _logger.info("model unloaded", model=record.name, version=record.version)
        if record.serving is None and not record.leaving:
            self._forgotten(record.name, record.version)
            self._adopt()

    def _publish(self) -> None:
        self._ready = {name: table for name, record in self._records.items() if (table := record.table())}
        self._changed()

    def _adopt(self) -> None:
        for name in {*self._catalogue, *self._records}:
            record = self._records.setdefault(name, ModelRecord(name, self._policies.of(name)))
            record.adopt(self._catalogue.get(name, {}))
            if not record.versions and not record.lock.locked() and not record.marked:
                del self._records[name]

    def _record(self, name: str, version: str, field_name: str) -> ModelRecord:
        record = self._records.get(name)
        if record is None or not record.versions:
            raise NotFound(field_name, "model", name[:100], self._known())
        if version and version not in record.versions:
            known = ", ".join(state.version for state in record.describe()) or "none"
            raise NotFound(field_name, "model version", f"{name}/{version}"[:200], f"{name} has {known}")
        return record

    def _known(self) -> str:
        known = sorted(name for name, record in self._records.items() if record.versions)
        return f"this service has {', '.join(known) or 'none'}"

    async def _on_thread(self, work: Callable[[], ResultT]) -> ResultT:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _check_closing(self) -> None:
        if self._closing.is_set():
            raise LoadCancelled


def _not_serving(record: ModelRecord, version: str, field_name: str) -> NotFound | Unavailable:
    """Return the error for a model or version that is on disk and does not serve."""
    title = f"model {record.name}{f' {version}' if version else ''}"
    if record.is_unloaded(version) or (not version and (record.all_unloaded or record.unloaded)):
        return Unavailable("MODEL_UNLOADED", f"{title} was unloaded; load it with ModelRepositoryService.LoadModel")
    one = record.versions.get(version)
    if one is not None and not one.refused:
        serving = ", ".join(record.serving()) or "none"
        advice = f"the version policy {record.policy} leaves it out; {record.name} serves: {serving}"
        return NotFound(field_name, "model version", f"{record.name}/{version}", advice)
    refused = version or ", ".join(one.version for one in record.versions.values() if one.refused)
    return Unavailable(
        "MODEL_NOT_READY", f"model {record.name} {refused} does not serve: its files failed the checks at load"
    )
