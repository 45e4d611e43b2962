from __future__ import annotations

import asyncio
import shutil
import threading
import time
from pathlib import Path

import numpy
import pytest

from services.runtime.errors import DeadlinePassed, FailedPrecondition, NotFound, Unavailable
from services.runtime.repository.loader import LoadedModel
from services.runtime.repository.repository import ModelRepository
from services.runtime.repository.states import State
from services.runtime.request_context import RequestContext, enter_request
from tests.support.dummy_model import NAME, flip_byte, truncate, write_model
from tests.support.repositories import RowPipeline, answer, ready, repository, states


class Gate(RowPipeline):
    """A pipeline whose making waits until the test opens the gate."""

    opened = threading.Event()
    made: list[str] = []  # noqa: RUF012

    def __init__(self, model: LoadedModel) -> None:
        super().__init__(model)
        Gate.made.append(f"{model.manifest.name}/{model.manifest.version}")
        assert Gate.opened.wait(20)


@pytest.fixture
def gate() -> type[Gate]:
    Gate.opened, Gate.made = threading.Event(), []
    return Gate


class TestStart:
    async def test_required_models_are_loaded_and_found_by_name_and_version(self, models: Path) -> None:
        write_model(models, "first", "3")
        async with repository(models) as made:
            assert made.problems() == []
            found = made.ready("first")
            assert found is not None
            assert (found.identity.name, found.identity.version) == ("first", "3")
            assert made.ready("first", "3") is found
            assert made.ready("first", "2") is None
            assert made.ready("second") is None
            assert numpy.isfinite(answer(found)).all()

    async def test_a_refused_model_keeps_its_reason_and_the_others_serve(self, models: Path) -> None:
        write_model(models, "good")
        flip_byte(write_model(models, "bad") / "model.onnx")
        async with repository(models) as made:
            assert made.ready("good")
            [bad] = [state for state in made.index() if state.name == "bad"]
            assert (bad.state, bad.model, bad.task) == (State.FAILED, None, "word-vectors")
            assert "model.onnx is corrupt" in bad.reason
            assert made.problems() == [bad.reason]
            with pytest.raises(Unavailable, match="model bad 1 does not serve"):
                await made.acquire("bad")

    async def test_a_corrupt_newest_version_leaves_its_place_to_an_older_one(self, models: Path) -> None:
        write_model(models, version="1")
        flip_byte(write_model(models, version="2") / "model.onnx")
        async with repository(models) as made:
            assert states(made) == {"1": State.READY, "2": State.FAILED}
            assert made.problems() == []

    async def test_a_manifest_nobody_can_read_counts_as_required(self, models: Path) -> None:
        (write_model(models, required=False) / "model.yaml").write_text("required: [")
        async with repository(models) as made:
            [problem] = made.problems()
            assert f"{NAME}/1: model.yaml is no YAML" in problem

    async def test_an_empty_or_missing_folder_holds_nothing(self, models: Path) -> None:
        for root in (models, models / "not there"):
            async with repository(root) as made:
                assert list(made.index()) == []
                with pytest.raises(NotFound, match="no model 'gpt'; this service has none"):
                    await made.acquire("gpt")

    async def test_what_is_not_there_is_not_found_and_the_rest_is_named(self, models: Path) -> None:
        write_model(models, "first")
        write_model(models, "second")
        async with repository(models) as made:
            with pytest.raises(NotFound, match="no model 'third'; this service has first, second"):
                await made.acquire("third")
            with pytest.raises(NotFound, match="no model version 'first/9'; first has 1"):
                await made.acquire("first", "9")
            for name in ("../models/first", "x" * 10_000, "first/1", ""):
                with pytest.raises(NotFound) as refused:
                    await made.acquire(name)
                assert len(refused.value.message) < 400

    async def test_before_the_start_callers_are_told_to_come_back(self, models: Path) -> None:
        write_model(models)
        made = ModelRepository(models, factories={}, tensors=RowPipeline)
        with pytest.raises(Unavailable) as refused:
            await made.acquire(NAME)
        assert (refused.value.reason, refused.value.retry_after_seconds) == ("MODELS_NOT_LOADED", 1.0)
        await made.close()

    async def test_closing_while_the_models_load_ends_the_start_soon(self, models: Path, gate: type[Gate]) -> None:
        for number in range(6):
            write_model(models, f"model-{number}")
        made = ModelRepository(models, factories={"word-vectors": gate}, tensors=RowPipeline)
        starting = asyncio.create_task(made.start())
        while not gate.made:
            await asyncio.sleep(0.01)
        closing = asyncio.create_task(made.close())
        await asyncio.sleep(0.05)
        gate.opened.set()
        await asyncio.wait_for(closing, 5)
        with pytest.raises((Unavailable, asyncio.CancelledError)):
            await starting
        assert len(gate.made) <= 2, "loads that had not begun never begin"
        assert made.problems() == ["the models are not loaded yet"]


class TestPolicies:
    @pytest.mark.parametrize(
        ("policy", "serving"),
        [("latest:1", ["10"]), ("latest:2", ["10", "9"]), ("specific:2,9", ["9", "2"]), ("all", ["10", "9", "2"])],
    )
    async def test_the_policy_says_which_serve_and_the_newest_is_the_default(
        self, models: Path, policy: str, serving: list[str]
    ) -> None:
        for version in ("2", "10", "9"):
            write_model(models, version=version)
        async with repository(models, {NAME: policy}) as made:
            assert ready(made) == serving
            assert [state.version for state in made.index() if state.default] == serving[:1]
            assert {state.policy for state in made.index()} == {policy}
            assert [state.version for state in made.index()] == ["2", "9", "10"]

    async def test_a_version_that_the_policy_leaves_out_is_not_found(self, models: Path) -> None:
        write_model(models, version="1")
        write_model(models, version="2")
        async with repository(models) as made:
            with pytest.raises(NotFound, match=r"the version policy latest:1 leaves it out; dummy-vectors serves: 2"):
                await made.acquire(NAME, "1")

    async def test_a_policy_that_fits_no_version_is_a_problem_that_says_so(self, models: Path) -> None:
        write_model(models)
        async with repository(models, {NAME: "specific:7"}) as made:
            assert made.problems() == [f"{NAME}: no version on disk is one of its version policy specific:7"]


class TestLoad:
    async def test_a_new_version_takes_over_and_the_old_one_goes(self, models: Path) -> None:
        write_model(models, version="1", seed=1)
        async with repository(models) as made:
            old = made.ready(NAME)
            assert old is not None
            before = answer(old)
            del old
            write_model(models, version="2", seed=2)
            [loaded] = await made.load(NAME)
            assert loaded.identity.version == "2"
            assert made.ready(NAME) is loaded
            assert not numpy.allclose(answer(loaded), before)
            await _until(lambda: states(made) == {"1": State.UNLOADED, "2": State.READY})

    async def test_what_is_corrupt_is_refused_each_time_and_the_old_one_serves_on(self, models: Path) -> None:
        write_model(models, version="1")
        async with repository(models) as made:
            serving = made.ready(NAME)
            flip_byte(write_model(models, version="2") / "model.onnx")
            for version in ("2", "2", ""):
                with pytest.raises(FailedPrecondition) as refused:
                    await made.load(NAME, version)
                assert "model.onnx is corrupt" in refused.value.message
                assert f"{NAME} serves 1 on" in refused.value.message
            assert states(made) == {"1": State.READY, "2": State.FAILED}
            assert made.ready(NAME) is serving
            write_model(models, version="2")
            assert [one.identity.version for one in await made.load(NAME)] == ["2"]

    async def test_changed_files_of_the_same_version_are_loaded_and_equal_ones_are_not(self, models: Path) -> None:
        write_model(models, seed=1)
        async with repository(models) as made:
            first = made.ready(NAME)
            assert await made.load(NAME, "1") == [first]
            write_model(models, seed=2)
            [second] = await made.load(NAME, "1")
            assert second is not first
            flip_byte(models / NAME / "1" / "model.onnx")
            with pytest.raises(FailedPrecondition, match="is corrupt"):
                await made.load(NAME, "1")
            assert made.ready(NAME) is second
            [state] = made.index()
            assert state.state is State.READY
            assert "is corrupt" in state.reason, "the newer files were refused"

    async def test_a_version_by_name_serves_beside_those_of_the_policy(self, models: Path) -> None:
        for version in ("1", "2"):
            write_model(models, version=version)
        async with repository(models) as made:
            await made.load(NAME, "1")
            assert ready(made) == ["2", "1"], "the policy's version stays the default"
            await made.poll()
            assert ready(made) == ["2", "1"]
            await made.unload(NAME, "2")
            assert ready(made) == ["1"], "back to the version before"

    async def test_what_is_not_on_disk_is_not_found(self, models: Path) -> None:
        write_model(models)
        async with repository(models) as made:
            for name, version in (("other", ""), (NAME, "2"), ("..", "models"), ("", "")):
                with pytest.raises(NotFound):
                    await made.load(name, version)

    async def test_two_loads_of_a_version_share_one_even_when_the_first_caller_leaves(
        self, models: Path, gate: type[Gate]
    ) -> None:
        write_model(models, required=False)
        async with repository(models, pipeline=gate) as made:
            first = asyncio.create_task(made.load(NAME, "1"))
            second = asyncio.create_task(made.load(NAME, "1"))
            await _until(lambda: bool(gate.made))
            assert states(made) == {"1": State.LOADING}
            first.cancel()
            gate.opened.set()
            [loaded] = await second
            assert gate.made == [f"{NAME}/1"]
            assert made.ready(NAME) is loaded


class TestSwapUnderLoad:
    async def test_no_request_fails_while_good_and_corrupt_versions_come_and_go(self, models: Path) -> None:
        write_model(models, version="1")
        answered: dict[str, int] = {}
        stop = asyncio.Event()

        async def ask(made: ModelRepository) -> None:
            while not stop.is_set():
                serving = made.ready(NAME) or await made.acquire(NAME)
                vector = await asyncio.to_thread(answer, serving)
                assert numpy.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
                answered[serving.identity.version] = answered.get(serving.identity.version, 0) + 1

        async with repository(models) as made:
            callers = [asyncio.create_task(ask(made)) for _ in range(8)]
            for version in ("2", "3", "4"):
                await asyncio.sleep(0.1)
                folder = write_model(models, version=version)
                if version == "3":
                    flip_byte(folder / "model.onnx")
                await made.poll()
            await asyncio.sleep(0.1)
            stop.set()
            await asyncio.gather(*callers)
            assert states(made)["3"] is State.FAILED
        assert set(answered) == {"1", "2", "4"}
        assert sum(answered.values()) > 20


class TestUnload:
    async def test_requests_in_flight_finish_and_the_version_goes_with_the_last(self, models: Path) -> None:
        write_model(models)
        forgotten: list[tuple[str, str]] = []
        async with repository(models, forgotten=lambda *version: forgotten.append(version)) as made:
            held = made.ready(NAME)
            assert held is not None
            unloading = asyncio.create_task(made.unload(NAME))
            await _until(lambda: states(made) == {"1": State.UNLOADING})
            assert made.ready(NAME) is None
            assert numpy.isfinite(answer(held)).all(), "what is in flight is answered"
            with pytest.raises(Unavailable, match="was unloaded; load it with") as refused:
                await made.acquire(NAME)
            assert refused.value.reason == "MODEL_UNLOADED"
            assert forgotten == []
            del held
            await asyncio.wait_for(unloading, 10)
            assert states(made) == {"1": State.UNLOADED}
            assert forgotten == [(NAME, "1")]

    async def test_what_a_person_unloaded_stays_away_until_a_person_loads_it(self, models: Path) -> None:
        write_model(models, required=False)
        async with repository(models) as made:
            await made.acquire(NAME)
            await made.unload(NAME)
            write_model(models, version="2", required=True)
            await made.poll()
            with pytest.raises(Unavailable):
                await made.acquire(NAME)
            assert states(made) == {"1": State.UNLOADED, "2": State.UNLOADED}
            assert made.problems() == [], "it is meant"
            assert [one.identity.version for one in await made.load(NAME)] == ["2"]
            assert (await made.acquire(NAME)).identity.version == "2"

    async def test_nothing_takes_the_place_of_an_unloaded_version_unasked(self, models: Path) -> None:
        for version in ("1", "2"):
            write_model(models, version=version)
        async with repository(models) as made:
            await made.unload(NAME, "2")
            await made.poll()
            assert ready(made) == []
            await made.load(NAME, "1")
            assert ready(made) == ["1"]
            await made.load(NAME, "2")
            assert ready(made) == ["2", "1"]

    async def test_what_is_not_loaded_is_not_found(self, models: Path) -> None:
        write_model(models)
        async with repository(models) as made:
            for name, version in (("other", ""), (NAME, "2"), (NAME, "../1")):
                with pytest.raises(NotFound):
                    await made.unload(name, version)
            await made.unload(NAME)
            with pytest.raises(NotFound, match="it is not loaded; loaded are: none"):
                await made.unload(NAME)


class TestFirstUse:
    async def test_callers_share_the_one_load_of_a_model_that_is_not_required(
        self, models: Path, gate: type[Gate]
    ) -> None:
        write_model(models, required=False)
        async with repository(models, pipeline=gate) as made:
            assert states(made) == {"1": State.UNLOADED}
            callers = [asyncio.create_task(made.acquire(NAME)) for _ in range(5)]
            await _until(lambda: bool(gate.made))
            callers[0].cancel()
            gate.opened.set()
            found = await asyncio.gather(*callers[1:])
            assert len({id(one) for one in found}) == 1
            assert gate.made == [f"{NAME}/1"]

    async def test_a_caller_waits_until_its_deadline_only(self, models: Path, gate: type[Gate]) -> None:
        write_model(models, required=False)
        async with repository(models, pipeline=gate) as made:

            async def impatient() -> None:
                enter_request(RequestContext(deadline=time.monotonic() + 0.05))
                await made.acquire(NAME)

            with pytest.raises(DeadlinePassed):
                await asyncio.create_task(impatient())
            gate.opened.set()
            assert await made.acquire(NAME) is made.ready(NAME), "the load went on"
            assert len(gate.made) == 1

    async def test_a_corrupt_one_is_tried_once_and_not_by_each_caller(self, models: Path, gate: type[Gate]) -> None:
        gate.opened.set()
        folder = write_model(models, required=False, output_shift=1.0)
        async with repository(models, pipeline=gate) as made:
            for _ in range(3):
                with pytest.raises(Unavailable, match="does not serve: its files failed the checks"):
                    await made.acquire(NAME)
            [state] = made.index()
            assert "golden outputs differ" in state.reason
            shutil.rmtree(folder)
            write_model(models, required=False)
            await made.poll()
            assert await made.acquire(NAME) is made.ready(NAME)


class TestPoll:
    async def test_new_versions_and_models_come_and_vanished_ones_go(self, models: Path) -> None:
        write_model(models, version="1")
        async with repository(models) as made:
            write_model(models, version="2")
            write_model(models, "second")
            write_model(models, "optional", required=False)
            await made.poll()
            assert (ready(made), ready(made, "second"), ready(made, "optional")) == (["2"], ["1"], [])
            shutil.rmtree(models / NAME / "2")
            shutil.rmtree(models / "second")
            await made.poll()
            assert (ready(made), ready(made, "second")) == (["1"], [])
            await _until(lambda: "second" not in {state.name for state in made.index()})

    async def test_a_version_replaced_by_a_corrupt_one_serves_on_without_its_folder(self, models: Path) -> None:
        folder = write_model(models, version="1")
        async with repository(models) as made:
            truncate(write_model(models, version="2") / "model.onnx")
            shutil.rmtree(folder)
            await made.poll()
            assert ready(made) == ["1"]
            write_model(models, version="3")
            await made.poll()
            assert ready(made) == ["3"]

    async def test_a_half_written_version_waits_for_its_manifest(self, models: Path) -> None:
        write_model(models, version="1")
        async with repository(models) as made:
            folder = write_model(models, version="2")
            manifest = (folder / "model.yaml").read_text()
            (folder / "model.yaml").unlink()
            await made.poll()
            assert states(made) == {"1": State.READY}
            (folder / "model.yaml").write_text(manifest)
            await made.poll()
            assert ready(made) == ["2"]

    async def test_a_version_whose_files_arrive_after_its_manifest_heals(self, models: Path) -> None:
        folder = write_model(models)
        graph = (folder / "model.onnx").read_bytes()
        (folder / "model.onnx").unlink()
        async with repository(models) as made:
            assert states(made) == {"1": State.FAILED}
            (folder / "model.onnx").write_bytes(graph)
            await made.poll()
            assert ready(made) == ["1"]

    async def test_a_folder_swapped_by_a_link_or_by_renames_is_loaded_anew(self, models: Path, tmp_path: Path) -> None:
        for number in (1, 2, 3):
            write_model(tmp_path / f"release-{number}", seed=number)
        (models / NAME).mkdir(parents=True)
        link = models / NAME / "1"
        link.symlink_to(tmp_path / "release-1" / NAME / "1")
        async with repository(models) as made:
            first = made.ready(NAME)
            new = models / NAME / ".new"
            new.symlink_to(tmp_path / "release-2" / NAME / "1")
            new.rename(link)
            await made.poll()
            second = made.ready(NAME)
            assert first is not None
            assert second is not None
            assert not numpy.allclose(answer(first), answer(second))
            link.unlink()
            swapping = asyncio.create_task(made.poll())
            await asyncio.sleep(0.1)
            assert made.ready(NAME) is second, "a folder that is away for a moment is no vanished one"
            (tmp_path / "release-3" / NAME / "1").rename(link)
            await swapping
            third = made.ready(NAME)
            assert third is not None
            assert third is not second

    async def test_a_corrected_card_loads_nothing_anew(self, models: Path) -> None:
        folder = write_model(models)
        async with repository(models) as made:
            before = made.ready(NAME)
            (folder / "card.md").write_text("# corrected")
            await made.poll()
            assert made.ready(NAME) is before

    async def test_a_folder_that_cannot_be_listed_unloads_nothing(self, models: Path) -> None:
        write_model(models)
        async with repository(models) as made:
            await asyncio.to_thread(models.rename, models.with_name("away"))
            await made.poll()
            assert ready(made) == ["1"]
            with pytest.raises(Unavailable, match="cannot be listed"):
                await made.load(NAME)


async def _until(holds: object, seconds: float = 10) -> None:
    assert callable(holds)
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.01)
