"""Two Ray nodes on this machine. Takes minutes, so only with UHRMAT_SLOW=1, and only where Ray is installed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from uhrmat.batch.job import run
from uhrmat.executors.inline import InlineExecutor
from uhrmat.executors.ray_actors import RayExecutor, _layout

from .helpers import LIGHT, files, job, light, tree

slow = pytest.mark.skipif(not os.environ.get("UHRMAT_SLOW"), reason="takes minutes: UHRMAT_SLOW=1")


@pytest.mark.parametrize(
    ("resources", "matter", "layout"),
    [
        ({"CPU": 16.0}, {}, ({"num_cpus": 4.0, "num_gpus": 0.0}, 4)),
        ({"CPU": 16.0}, {"threads": 2}, ({"num_cpus": 2.0, "num_gpus": 0.0}, 8)),
        ({"CPU": 2.0}, {}, ({"num_cpus": 2.0, "num_gpus": 0.0}, 1)),
        ({"CPU": 16.0, "GPU": 8.0}, {}, ({"num_cpus": 1.0, "num_gpus": 1.0}, 8)),
        ({"CPU": 4.0, "GPU": 8.0}, {}, ({"num_cpus": 0.5, "num_gpus": 1.0}, 8)),
        ({"CPU": 16.0, "GPU": 8.0}, {"device": "cpu"}, ({"num_cpus": 4.0, "num_gpus": 0.0}, 4)),
    ],
)
def test_an_actor_for_each_gpu_or_share(resources: dict[str, float], matter: dict[str, Any], layout: Any) -> None:
    assert _layout(resources, light(matter={"prior": "mask", **matter})) == layout


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A head and a node of one processor each."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 100 << 20})
    made.node = made.add_node(num_cpus=1, object_store_memory=100 << 20)
    ray.init(address=made.address, log_to_driver=False)
    yield made
    ray.shutdown()
    made.shutdown()


@slow
def test_two_nodes_give_the_same_bytes_and_one_may_die(cluster: Any, tmp_path: Path) -> None:
    tree(tmp_path, 12)
    settings = light(matter={**LIGHT, "threads": 1})
    run(job(tmp_path, "local", settings), lambda: InlineExecutor(settings), lambda event: None)
    events: list[dict[str, Any]] = []
    summary, _ = run(job(tmp_path, "two", settings), lambda: RayExecutor(settings), events.append)
    assert (summary.done, summary.good, summary.retries) == (13, True, 0)
    assert files(tmp_path / "two") == files(tmp_path / "local")

    def kill(event: dict[str, Any]) -> None:
        events.append(event)
        if event["event"] in ("done", "segment") and cluster.node is not None:
            node, cluster.node = cluster.node, None
            cluster.remove_node(node, allow_graceful=False)

    both_ready: list[RayExecutor] = []

    def executor() -> RayExecutor:
        made = RayExecutor(settings)
        made._ray.get([actor.beginning for actor in made._actors])  # both nodes at work before one is killed
        both_ready.append(made)
        return made

    summary, _ = run(job(tmp_path, "one", settings), executor, kill)
    assert cluster.node is None and (summary.done, summary.good) == (13, True)
    assert files(tmp_path / "one") == files(tmp_path / "local")
    assert summary.retries > 0 and both_ready[0].workers == 2
