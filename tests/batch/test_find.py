"""What counts as an input, and which hint belongs to it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from uhrmat.batch.find import BatchItem, Selection, find_items, parse_shard
from uhrmat.batch.hints import HintFolders
from uhrmat.core.errors import InputError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    names = ["b.JPG", "a/x.png", "a/x.mov", "a/deep/y.tif", "a/._x.png", ".DS_Store", "Thumbs.db", "notes.txt", "r.nef",
             "__MACOSX/b.jpg", ".hidden/c.png", "shot/f_001.png", "shot/f_002.png", "out/old.png"]  # fmt: skip
    for name in names:
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"1")
    return tmp_path / "in"


def keys(root: Path, **options: object) -> list[str]:
    return [item.key for item in find_items([root], Selection(**options)).items]  # type: ignore[arg-type]


def test_stills_and_clips_are_found_and_junk_is_not(root: Path) -> None:
    result = find_items([root], Selection(skip=[root / "out"]))
    assert [(item.key, item.kind) for item in result.items] == [
        ("a/deep/y.tif", "still"), ("a/x.mov", "clip"), ("a/x.png", "still"), ("b.JPG", "still"),
        ("shot/f_001.png", "still"), ("shot/f_002.png", "still"),
    ]  # fmt: skip
    assert result.ignored == {".txt": 1, ".nef": 1}


def test_include_and_exclude(root: Path) -> None:
    assert keys(root, include=["x.*"]) == ["a/x.mov", "a/x.png"]
    assert keys(root, include=["a/*"], exclude=["*.mov", "a/deep/*"]) == ["a/x.png"]


def test_a_named_folder_is_a_sequence(root: Path) -> None:
    result = [item for item in find_items([root], Selection(sequences=["shot"])).items if "shot" in item.key]
    assert [(item.key, item.kind, item.stem) for item in result] == [("shot", "clip", "shot")]


def test_several_folders_keep_their_names(root: Path, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "b.jpg").touch()
    result = find_items([root, tmp_path / "more"], Selection(include=["b.*"]))
    assert [item.key for item in result.items] == ["in/b.JPG", "more/b.jpg"]
    with pytest.raises(InputError, match="named in"):
        find_items([root, root], Selection())


def test_shards_part_everything_once_whatever_else_is_there(root: Path) -> None:
    shards = [keys(root, shard=(number, 3)) for number in (1, 2, 3)]
    assert sorted(key for shard in shards for key in shard) == keys(root)
    (root / "a" / "more.png").touch()
    again = [[key for key in keys(root, shard=(number, 3)) if key != "a/more.png"] for number in (1, 2, 3)]
    assert again == shards


@pytest.mark.parametrize("text", ["0/4", "5/4", "x", "1/", "1-4", "-1/4", ""])
def test_what_is_no_shard(text: str) -> None:
    with pytest.raises(InputError, match="must be a share i/n"):
        parse_shard(text)


def test_files_are_no_folders(root: Path) -> None:
    for path in (root / "b.JPG", root / "none"):
        with pytest.raises(InputError, match="The folder"):
            find_items([path], Selection())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_named(root: Path) -> None:
    (root / "a").chmod(0)
    try:
        result = {item.key: item.error for item in find_items([root], Selection()).items}
    finally:
        (root / "a").chmod(0o755)
    assert result["a"] is not None and "cannot be read" in result["a"][0] and result["b.JPG"] is None


def test_a_folder_that_cannot_be_listed_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = os.scandir

    def scandir(path: str) -> object:
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", str(path))
        return inner(path)

    monkeypatch.setattr(os, "scandir", scandir)
    result = {item.key: item.error for item in find_items([root], Selection()).items}
    assert result["a/deep"] is not None and "Permission denied" in result["a/deep"][0]


def given(where: str, tmp_path: Path, *keys: str) -> dict[str, str]:
    """HintFolders, or what is wrong, of files below in/."""
    items = [
        BatchItem(key=key, source=tmp_path / "in" / key, kind="clip" if key.endswith(".mov") else "still")
        for key in keys
    ]
    result = HintFolders({"trimap": where}).assign(items)
    return {
        item.key: item.error[0] if item.error else item.hints["trimap"].relative_to(tmp_path).as_posix()
        for item in result
    }


def touch(tmp_path: Path, *names: str) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()


def test_hints_by_stem_at_the_same_place_then_at_the_top(tmp_path: Path) -> None:
    touch(tmp_path, "in/x", "t/a/p.png", "t/p.png", "t/q_trimap.tif", "t/q.txt")
    result = given(str(tmp_path / "t"), tmp_path, "a/p.jpg", "b/q.jpg", "r.jpg")
    assert result["a/p.jpg"] == "t/a/p.png" and result["b/q.jpg"] == "t/q_trimap.tif"
    assert "has no trimap" in result["r.jpg"]


def test_hints_of_clips_may_be_folders(tmp_path: Path) -> None:
    touch(tmp_path, "t/a/take/0001.png", "t/b.png")
    assert given(str(tmp_path / "t"), tmp_path, "a/take.mov", "b.mov") == {"a/take.mov": "t/a/take", "b.mov": "t/b.png"}


def test_hints_of_clips_may_be_clips_and_those_of_stills_may_not(tmp_path: Path) -> None:
    touch(tmp_path, "t/a.mov", "t/b_alpha.mkv", "t/p.mov")
    folders, result = HintFolders({"alpha": str(tmp_path / "t")}), {}
    for name in ("a.mp4", "b.mp4", "p.jpg"):
        kind = "clip" if name.endswith(".mp4") else "still"
        (item,) = folders.assign([BatchItem(key=name, source=tmp_path / "in" / name, kind=kind)])  # type: ignore[arg-type]
        result[name] = item.error or item.hints["alpha"].name
    assert result["a.mp4"] == "a.mov" and result["b.mp4"] == "b_alpha.mkv"
    assert "has no alpha for it" in result["p.jpg"][0]


def test_hints_that_are_not_clear(tmp_path: Path) -> None:
    touch(tmp_path, "t/p.png", "t/p.tif", "t/q.png")
    result = given(str(tmp_path / "t"), tmp_path, "p.jpg", "a/q.jpg", "b/q.jpg")
    assert "has 2 trimaps" in result["p.jpg"]
    assert "fits a/q.jpg and b/q.jpg" in result["a/q.jpg"] and "fits" in result["b/q.jpg"]


def test_a_pattern_that_says_where_is_taken_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    touch(tmp_path, "in/a/p.png", "hints/a/p.png")
    item = BatchItem(key="a/p.png", source=Path("in/a/p.png"), kind="still")
    for pattern in ("hints/{tree}/{name}", "{folder}/../../hints/a/{stem}.png"):
        assert (
            HintFolders({"trimap": pattern}).assign([item])[0].hints["trimap"].resolve() == tmp_path / "hints/a/p.png"
        )


def test_hints_by_pattern_are_no_inputs(tmp_path: Path) -> None:
    touch(tmp_path, "in/a/p.png", "in/a/p_trimap.png")
    for pattern in ("{folder}/{stem}_trimap.png", "{stem}_trimap.png", f"{tmp_path}/in/{{tree}}/{{stem}}_trimap.png"):
        assert given(pattern, tmp_path, "a/p.png", "a/p_trimap.png") == {"a/p.png": "in/a/p_trimap.png"}


def test_hints_beside_the_files(tmp_path: Path) -> None:
    touch(tmp_path, "in/p.png", "in/p_trimap.png")
    assert given(str(tmp_path / "in"), tmp_path, "p.png", "p_trimap.png") == {"p.png": "in/p_trimap.png"}


@pytest.mark.parametrize("where", ["none", "{stem}/{other}.png", "{", "{0}"])
def test_hints_that_are_nowhere(where: str) -> None:
    with pytest.raises(InputError):
        HintFolders({"trimap": where})


COMPANIONS = {
    "X.JPG": ["X_mask.png", "x_Trimap.PNG", "X_alpha.exr", "X_plate.jpg"],
    "take.mov": ["take_alpha.mov", "take_foreground.mkv", "TAKE_mask.png"],
    "caf\u00e9.png": ["cafe\u0301_cutout.png", "caf\u00e9_preview.jpg"],
}


@pytest.mark.parametrize("name", COMPANIONS)
def test_hints_and_results_beside_what_they_belong_to_are_no_inputs(tmp_path: Path, name: str) -> None:
    touch(tmp_path, *(f"in/a/{file}" for file in (name, *COMPANIONS[name], "lonely_mask.png", "Y_final.png")))
    result = find_items([tmp_path / "in"], Selection())
    assert {item.key for item in result.items} == {f"a/{name}", "a/lonely_mask.png", "a/Y_final.png"}
    assert sorted(result.companions) == sorted(f"a/{file}" for file in COMPANIONS[name])
    assert f"{len(COMPANIONS[name])} files are passed over" in result.companions_note()


@pytest.mark.parametrize(
    ("clip", "results"),
    [("take 50%.mp4", "take 50%_alpha"), ("shot/f_0001.png", "shot_foreground"), ("X.MOV", "x_composite")],
)
def test_folders_of_frames_beside_what_they_were_made_of_are_no_inputs(tmp_path: Path, clip: str, results: str) -> None:
    touch(tmp_path, f"in/{clip}", f"in/{results}/f_0001.png", "in/other_alpha/g.png")
    result = find_items([tmp_path / "in"], Selection())
    assert {item.key for item in result.items} == {clip, "other_alpha/g.png"}
    assert result.companions == [results]
    assert keys(tmp_path / "in", sequences=["*"])[-1] != results


def test_a_pattern_with_the_ending_makes_a_companion_an_input(tmp_path: Path) -> None:
    touch(tmp_path, "in/car.jpg", "in/car_plate.jpg", "in/car_mask.png")
    assert keys(tmp_path / "in", include=["*_plate.jpg"]) == ["car_plate.jpg"]
    assert keys(tmp_path / "in", include=["car*"]) == ["car.jpg"]


NFC, NFD = "caf\u00e9", "cafe\u0301"


@pytest.mark.parametrize(("photo", "hint"), [(NFC, NFD), (NFD, NFC)])
@pytest.mark.parametrize("place", ["t/{hint}.png", "t/{hint}_Trimap.png", "in/{hint}_trimap.tif"])
def test_hints_match_however_accents_are_stored(tmp_path: Path, photo: str, hint: str, place: str) -> None:
    touch(tmp_path, f"in/{photo}.jpg", path := place.format(hint=hint))
    folder = str(tmp_path / path.partition("/")[0])
    assert given(folder, tmp_path, f"{photo}.jpg") == {f"{photo}.jpg": path}
    pattern = str(tmp_path / path).replace(hint, "{stem}")
    assert given(pattern, tmp_path, f"{photo}.jpg") == {f"{photo}.jpg": path}


def test_a_photograph_is_not_its_own_hint(tmp_path: Path) -> None:
    touch(tmp_path, "in/p.png", "in/q.png", "in/q_TRIMAP.png")
    result = given(str(tmp_path / "in"), tmp_path, "p.png", "q.png", "q_TRIMAP.png")
    assert result["q.png"] == "in/q_TRIMAP.png" and "has no trimap" in result["p.png"] and len(result) == 2
    assert given("{folder}/{name}", tmp_path, "p.png") == {"p.png": "in/p.png"}  # refused when it is planned


@pytest.mark.parametrize(
    "pattern",
    ["{folder.__class__}/x.png", "{name[0]}.png", "{stem!r}.png", "{stem:>30}.png", "{other}.png", "{stem", "{}.png"],
)
def test_patterns_hold_the_plain_fields_only(pattern: str) -> None:
    with pytest.raises(InputError, match="cannot be used"):
        HintFolders({"mask": pattern})
    HintFolders({"mask": "{folder}/../masks/{tree}/{stem}_{name}.png"})
