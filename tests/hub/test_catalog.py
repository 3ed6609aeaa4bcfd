"""The shipped catalogue, whole; and that nothing crooked becomes an entry."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uhrmat.core.errors import WeightsError
from uhrmat.hub import catalog_entries, find_entry
from uhrmat.hub.bundled import bundled_weights_dir
from uhrmat.hub.catalog import SHIPPED, parse_catalog, parse_entry, tomllib
from uhrmat.hub.verify import sha256

RESTRICTED = {"rmbg14-int8", "rvm-mobilenetv3"}
GOOD = SHIPPED.read_text("utf-8")
ONE = GOOD[GOOD.index("[modnet]") : GOOD.index("[modnet-fp16]")]


def test_every_entry_says_all_that_is_needed() -> None:
    result = catalog_entries()
    assert len({entry.name for entry in result}) == len(result) >= 15
    assert len({entry.main.sha256 for entry in result}) == len(result)
    for entry in result:
        assert entry.title and entry.licence and entry.data and entry.main.bytes > 1000
        assert entry.commercial != (entry.name in RESTRICTED)
        if entry.source == "hub":
            assert re.fullmatch(r"[0-9a-f]{40}", entry.revision) and entry.repo.count("/") == 1
            assert entry.main.path.endswith((".onnx", ".safetensors"))


def test_activations_are_those_of_the_files() -> None:
    """A sigmoid on an alpha, or none on logits, gives a grey matte: which is which was looked up, once."""
    logits = {entry.name for entry in catalog_entries() if entry.network and entry.network.activation == "logits"}
    assert logits == {"birefnet-lite", "birefnet-lite-fp16", "birefnet-hr-matting"}


def test_the_recurrence_of_video_matting() -> None:
    rvm = find_entry("rvm-mobilenetv3")
    assert rvm is not None and rvm.network is not None
    assert rvm.network.recurrence == tuple((f"r{i}i", f"r{i}o") for i in (1, 2, 3, 4))
    assert rvm.network.ratio == "downsample_ratio" and rvm.source == "elsewhere"


def test_bundled_weights_are_those_of_their_cards() -> None:
    bundled = [entry for entry in catalog_entries() if entry.source == "bundled"]
    assert bundled and bundled[0] is catalog_entries()[0]
    for entry in bundled:
        path = bundled_weights_dir() / entry.main.path
        assert (path.stat().st_size, sha256(path)) == (entry.main.bytes, entry.main.sha256)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('revision = "fa2f', 'revision = "fa2', "`revision` must be 40 hexadecimal"),
        ('revision = "fa2fa546052fba4c08921230a26cc69a333fca12"\n', "", "`revision` must be given"),
        ('sha256 = "07c3', 'sha256 = "07C3', "`sha256` must be 64 hexadecimal"),
        ('sha256 = "07c3', 'sha256 = "7c3', "`sha256` must be 64 hexadecimal"),
        ("bytes = 25888640", "bytes = true", "`bytes` must be a whole number"),
        ("bytes = 25888640", "bytes = -1", "`bytes` must be zero or more"),
        ('title = "', 'tilte = "', "unknown key 'tilte'"),
        ('activation = "alpha"', 'activation = "sigmoid"', "`activation` must be one of"),
        ("commercial = true", 'commercial = "yes"', "`commercial` must be true or false"),
        ("mean = [0.5, 0.5, 0.5]", "mean = [0.5]", "`mean` must be three finite numbers"),
        ("std = [0.5, 0.5, 0.5]", "std = [0, 0, 0]", "`std` must be three numbers above zero"),
        ("std = [0.5, 0.5, 0.5]", "std = [0.5, -0.5, 0.5]", "`std` must be three numbers above zero"),
        ("mean = [0.5, 0.5, 0.5]", "mean = [nan, 0.5, 0.5]", "`mean` must be three finite numbers"),
        ("mean = [0.5, 0.5, 0.5]", "mean = [0.5, -inf, 0.5]", "`mean` must be three finite numbers"),
        ("std = [0.5, 0.5, 0.5]", "std = [0.5, inf, 0.5]", "`std` must be three finite numbers"),
        ("std = [0.5, 0.5, 0.5]", "std = [nan, 0.5, 0.5]", "`std` must be three finite numbers"),
        ('path = "onnx/model.onnx"', 'path = "../model.onnx"', "`path` must be a path inside"),
        ('repo = "Xenova/modnet"', 'repo = "modnet"', "`repo` must be like owner/name"),
        ('source = "hub"', 'source = "elsewhere"', "`home` must be given"),
        ('source = "hub"', 'source = "bundled"', "`source` must be hub or elsewhere"),
        ('fit = "short"', 'fit = "any"', "`side` must be 0"),
        ("[modnet]", "[Modnet]", "`name` must be a name of small"),
        ('title = "', "title = ", "not valid TOML"),
    ],
)
def test_what_is_crooked_is_refused_with_its_place(old: str, new: str, says: str) -> None:
    assert old in ONE
    with pytest.raises(WeightsError, match=re.escape(says)) as error:
        parse_catalog(ONE.replace(old, new, 1), "here.toml")
    assert "here.toml" in str(error.value)


PLAIN = st.none() | st.booleans() | st.integers(-5, 2000) | st.sampled_from(["", "hub", "onnx", "any", "Ä b"])
TABLES = st.dictionaries(st.sampled_from(["path", "bytes", "fit", "x"]), PLAIN, max_size=3)
VALUES = PLAIN | TABLES | st.lists(PLAIN | TABLES, max_size=3)


@settings(max_examples=60, deadline=None)
@given(key=st.sampled_from(sorted(tomllib.loads(ONE)["modnet"])), value=VALUES)
def test_any_value_gives_an_entry_or_a_clear_error(key: str, value: object) -> None:
    table = tomllib.loads(ONE)["modnet"] | {key: value}
    try:
        assert parse_entry("modnet", table, "[modnet]").name == "modnet"
    except WeightsError as error:
        assert "modnet" in error.message


@settings(max_examples=80, deadline=None)
@given(at=st.integers(0, len(ONE) - 1), text=st.text(max_size=4), gone=st.integers(0, 6))
def test_any_slip_of_the_pen_gives_entries_or_a_clear_error(at: int, text: str, gone: int) -> None:
    try:
        parse_catalog(ONE[:at] + text + ONE[at + gone :])
    except WeightsError as error:
        assert error.hint
