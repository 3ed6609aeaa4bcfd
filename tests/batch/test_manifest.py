"""What is remembered, what is believed, and who may write."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from uhrmat.batch.manifest import Manifest, Record, is_inside, measure, parse_record
from uhrmat.batch.run import lock_shard
from uhrmat.core.errors import OutputError


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / ".uhrmat").mkdir()
    (tmp_path / "a_alpha.png").write_bytes(b"12345")
    return tmp_path


def record(**changed: Any) -> Record:
    values: dict[str, Any] = {"state": "done", "input": "i", "settings": "s", "outputs": {"a_alpha.png": 5}}
    return Record(key="a.png", source="/in/a.png", **{**values, **changed})


def written(out: Path, *records: Record) -> Manifest:
    manifest = Manifest(out, "1of1")
    for each in records:
        manifest.write(each)
    manifest.close()
    return Manifest(out)


def test_done_is_done_until_something_changes(out: Path) -> None:
    manifest = written(out, record())
    assert manifest.done("a.png", "i", "s")
    assert not manifest.done("b.png", "i", "s")
    assert not manifest.done("a.png", "other", "s") and not manifest.done("a.png", "i", "other")
    (out / "a_alpha.png").write_bytes(b"1234")
    assert not manifest.done("a.png", "i", "s")
    (out / "a_alpha.png").unlink()
    assert not manifest.done("a.png", "i", "s")


def test_the_last_line_counts(out: Path) -> None:
    assert not written(out, record(), record(state="begun")).done("a.png", "i", "s")
    assert written(out, record(state="failed"), record()).done("a.png", "i", "s")


def test_a_line_cut_short_harms_only_itself(out: Path) -> None:
    written(out, record(), Record(key="b.png", state="done", source="/in/b.png"))
    path = out / ".uhrmat" / "manifest-1of1.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    manifest = written(out, Record(key="c.png", state="done", source="/in/c.png"))
    assert set(manifest.records) == {"a.png", "c.png"} and manifest.ignored == 1


@pytest.mark.parametrize(
    "path", ["../x", "/x", "a/../../x", "C:\\x", "C:x", "\\\\host\\x", "a\\..\\..\\x", "", "a\0b", "..", "/"]
)
def test_paths_cannot_leave(out: Path, path: str) -> None:
    assert not is_inside(path)
    line = json.dumps({**vars(record()), "outputs": {path: 5}})
    assert parse_record(line) is None
    assert parse_record(json.dumps({**vars(record()), "key": path})) is None


def test_links_cannot_leave_either(out: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "x").write_bytes(b"12345")
    (out / "link").symlink_to(elsewhere)
    assert not written(out, record(outputs={"link/x": 5})).done("a.png", "i", "s")


@pytest.mark.parametrize(
    "changed",
    [{"state": "perhaps"}, {"time": "now"}, {"time": True}, {"outputs": []}, {"outputs": {"a": -1}}, {"input": 3},
     {"more": 1}, {"outputs": {"a": True}}],
)  # fmt: skip
def test_what_is_no_record(changed: dict[str, Any]) -> None:
    assert parse_record(json.dumps(vars(record()))) == record()
    assert parse_record(json.dumps({**vars(record()), **changed})) is None


def test_parts_of_shards_are_read_together(out: Path) -> None:
    for part in ("1of2", "2of2"):
        manifest = Manifest(out, part)
        manifest.write(Record(key=f"{part}.png", state="done", source="/in"))
        manifest.close()
    assert set(Manifest(out).records) == {"1of2.png", "2of2.png"}


def test_a_long_manifest_is_shortened(out: Path) -> None:
    line = json.dumps(vars(record())) + "\n"
    path = out / ".uhrmat" / "manifest-1of1.jsonl"
    path.write_text(line * 1100)
    manifest = Manifest(out, "1of1")
    manifest.close()
    assert len(path.read_text().splitlines()) == 1 and Manifest(out).records == {"a.png": record()}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a full disk")
def test_a_manifest_that_cannot_be_written_is_an_error(out: Path) -> None:
    manifest = Manifest(out, "1of1")
    manifest.close()
    manifest._file = Path("/dev/full").open("w")  # noqa: SIM115  closed by the manifest
    with pytest.raises(OutputError, match="No space left"):
        manifest.write(record())
    manifest.close()


def test_measure_counts_folders_by_their_files(out: Path) -> None:
    (out / "f").mkdir()
    (out / "f" / "1").write_bytes(b"12")
    (out / "f" / "2").write_bytes(b"345")
    assert measure(out / "f") == 5


def test_a_second_run_is_refused_and_the_lock_goes(tmp_path: Path) -> None:
    with lock_shard(tmp_path) as alone:
        assert alone()
        with pytest.raises(OutputError, match=f"process {os.getpid()} on"), lock_shard(tmp_path):
            pass
    with lock_shard(tmp_path):
        pass
    assert not list((tmp_path / ".uhrmat").iterdir())


def test_shards_of_one_number_go_side_by_side(tmp_path: Path) -> None:
    with lock_shard(tmp_path, (1, 2)), lock_shard(tmp_path, (2, 2)) as alone:
        assert not alone()
        for other in ((1, 1), (1, 3), (1, 2)):
            with pytest.raises(OutputError, match="at work"), lock_shard(tmp_path, other):
                pass
    assert not list((tmp_path / ".uhrmat").glob("lock*"))
