"""Shares of actors; and two Ray nodes on this machine, which take minutes, so only with UHRMAT_SLOW=1 and Ray."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest

from uhrmat.batch.executors.inline import InlineExecutor
from uhrmat.batch.executors.ray_actors import RayExecutor, _Actor, _layout
from uhrmat.batch.report import EventHandler, Summary
from uhrmat.batch.run import BatchRun, run_batch
from uhrmat.batch.settings import Settings
from uhrmat.core.options import ModelOptions
from uhrmat.video.plan import plan_clip
from uhrmat.video.run import ClipResources, matte_clip
from uhrmat.video.spec import ClipSpec

from .helpers import LIGHT, batch_run, clip, clip_masks, files, light, tree

slow = pytest.mark.skipif(not os.environ.get("UHRMAT_SLOW"), reason="takes minutes: UHRMAT_SLOW=1")


@pytest.mark.parametrize(
    ("nodes", "options", "layout"),
    [
        ([{"CPU": 16.0}], {}, ({"num_cpus": 4.0, "num_gpus": 0.0}, 4)),
        ([{"CPU": 16.0}], {"threads": 2}, ({"num_cpus": 2.0, "num_gpus": 0.0}, 8)),
        ([{"CPU": 2.0}], {}, ({"num_cpus": 2.0, "num_gpus": 0.0}, 1)),
        ([{"CPU": 2.0}, {"CPU": 1.0}], {}, ({"num_cpus": 2.0, "num_gpus": 0.0}, 1)),
        ([{"CPU": 1.0}, {"CPU": 1.0}], {}, ({"num_cpus": 1.0, "num_gpus": 0.0}, 2)),
        ([{"CPU": 16.0, "GPU": 8.0}], {}, ({"num_cpus": 2.0, "num_gpus": 1.0}, 8)),
        ([{"CPU": 15.0, "GPU": 2.0}], {}, ({"num_cpus": 7.0, "num_gpus": 1.0}, 2)),
        ([{"CPU": 4.0, "GPU": 8.0}], {}, ({"num_cpus": 0.5, "num_gpus": 1.0}, 8)),
        ([{"CPU": 64.0}, {"CPU": 8.0, "GPU": 2.0}], {}, ({"num_cpus": 4.0, "num_gpus": 1.0}, 2)),
        ([{"CPU": 16.0, "GPU": 8.0}], {"device": "cpu"}, ({"num_cpus": 4.0, "num_gpus": 0.0}, 4)),
    ],
)
def test_an_actor_for_each_gpu_or_share(nodes: list[dict[str, float]], options: dict[str, Any], layout: Any) -> None:
    assert _layout(nodes, light(model=ModelOptions(prior="mask", **options))) == layout


@pytest.mark.parametrize(
    ("processors", "gpus", "given", "threads"), [(4, 8, None, 1), (12, 2, None, 6), (1, 1, None, 1), (16, 2, 3, 3)]
)
def test_actors_compute_with_their_share_of_threads(
    monkeypatch: pytest.MonkeyPatch, processors: int, gpus: int, given: int | None, threads: int
) -> None:
    node = {"Alive": True, "Resources": {"CPU": float(processors), "GPU": float(gpus)}}
    lost = {"Alive": False, "Resources": {"CPU": 1.0, "GPU": 1.0}}
    fake = MagicMock(is_initialized=lambda: True, nodes=lambda: [node, lost])
    monkeypatch.setitem(sys.modules, "ray", fake)
    monkeypatch.setattr("uhrmat.batch.executors.ray_actors.need_ray", lambda: None)
    executor = RayExecutor(light(model=ModelOptions(prior="mask", threads=given)))
    assert executor.workers == gpus and executor._settings["model"]["threads"] == threads


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head and a node of one processor each. On a busy machine they take minutes to start, which Ray must allow."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 100 << 20})
        made.node = made.add_node(num_cpus=1, object_store_memory=100 << 20)
        ray.init(address=made.address, log_to_driver=False)
        yield made
        ray.shutdown()
        made.shutdown()


class Seen(RayExecutor):
    """Both nodes are at work before anything is handed out; it is remembered which actor had what kind of task."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._ray.get([actor.beginning for actor in self._actors])
        self.had: set[tuple[_Actor, str]] = set()

    def _hand_out(self) -> None:
        super()._hand_out()
        self.had |= {(actor, task.kind) for actor in self._actors for task in actor.tasks.values()}


def over_nodes(wanted: BatchRun, emit: EventHandler) -> tuple[Summary, Seen]:
    """Does the batch_run on the cluster; with the executor that did it."""
    made: list[Seen] = []

    def make() -> Seen:
        made.append(Seen(wanted.settings))
        return made[0]

    return run_batch(wanted, make, emit)[0], made[0]


def killing(cluster: Any, moment: str) -> EventHandler:
    """Kills the second node at the first event of that name."""

    def emit(event: dict[str, Any]) -> None:
        if event["event"] == moment and cluster.node is not None:
            node, cluster.node = cluster.node, None
            cluster.remove_node(node, allow_graceful=False)

    return emit


@slow
def test_two_nodes_give_the_same_bytes_and_one_may_die(cluster: Any, tmp_path: Path) -> None:
    tree(tmp_path, 12)
    settings = light(model=replace(LIGHT, threads=1))
    run_batch(batch_run(tmp_path, "local", settings), lambda: InlineExecutor(settings), lambda event: None)
    summary, _ = run_batch(batch_run(tmp_path, "two", settings), lambda: RayExecutor(settings), lambda event: None)
    assert (summary.done, summary.good, summary.retries) == (13, True, 0)
    assert files(tmp_path / "two") == files(tmp_path / "local")

    retries = 0
    for moment in ("done", "segment"):
        summary, executor = over_nodes(batch_run(tmp_path, moment, settings), killing(cluster, moment))
        assert cluster.node is None and (summary.done, summary.good) == (13, True)
        assert files(tmp_path / moment) == files(tmp_path / "local")
        assert executor.workers == 2
        retries += summary.retries
        cluster.node = cluster.add_node(num_cpus=1, object_store_memory=100 << 20)
        cluster.wait_for_nodes()  # until then the dead one is counted, too
    assert retries > 0  # it had something in hand


@slow
def test_a_clip_split_over_nodes_is_the_clip_of_one_process(cluster: Any, tmp_path: Path) -> None:
    source = clip(tmp_path / "in", count=13)
    masks = clip_masks(tmp_path / "masks" / "take", 13)
    planned = plan_clip(
        ClipSpec(
            source=source,
            output=tmp_path / "one",
            outputs=("alpha",),
            codec="ffv1",
            mask=masks,
            interval=3,
            model=LIGHT,
        )
    )
    matte_clip(planned, ClipResources.load(planned))
    settings = light(model=replace(LIGHT, threads=1))
    _, executor = over_nodes(batch_run(tmp_path, "two", settings), lambda event: None)
    assert {kind for _, kind in executor.had} == {"clip", "segment", "join"}
    assert len({actor for actor, kind in executor.had if kind == "segment"}) == 2
    assert files(tmp_path / "two") == files(tmp_path / "one") and len(files(tmp_path / "one")) == 1
