"""Shortened names of the catalogue, suggestions for wrong ones, and what is recommended."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.hub.server import Hub
from uhrmat.cli.app import app
from uhrmat.core.errors import WeightsError
from uhrmat.hub import find_entry, recommended, resolve
from uhrmat.hub.catalog import close_names
from uhrmat.hub.recommended import recommended_weights


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("birefnet", "birefnet-lite"), ("BiRefNet", "birefnet-lite"), ("birefnet_lite_fp", "birefnet-lite-fp16"),
        ("sam2", "sam2.1-tiny"), ("edge", "edgetam"), ("modnet", "modnet"), ("modnet-int", "modnet-int8"),
        ("vitmatte", None), ("u2n", None), ("modnets", None), ("org/edgetam", None), ("", None),
    ],
)  # fmt: skip
def test_a_shortened_name_means_one_entry(typed: str, meant: str | None) -> None:
    entry = find_entry(typed)
    assert (None if entry is None else entry.name) == meant


def test_a_file_of_that_name_goes_before_a_shortened_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "birefnet").mkdir()
    assert find_entry("birefnet") is None and close_names("birefnet")[0].startswith("birefnet")


def test_wrong_names_are_answered_with_close_ones() -> None:
    with pytest.raises(WeightsError, match="no weights 'modnett'") as raised:
        resolve("modnett")
    assert raised.value.hint.startswith("Did you mean modnet or ")
    with pytest.raises(WeightsError, match="no weights 'qqqqqq'") as raised:
        resolve("qqqqqq")
    assert raised.value.hint.startswith("See `uhrmat models list`")
    shown = CliRunner().invoke(app, ["models", "show", "vitmat"])
    assert shown.exit_code == 2 and "Did you mean vitmatte-small" in shown.stderr


def test_what_is_recommended_is_known_free_and_can_be_run() -> None:
    for device in ("cpu", "cuda:1", "mps"):
        for name in recommended_weights(device):
            entry = find_entry(name)
            assert entry is not None and entry.name == name and not entry.needs_acceptance and entry.loader != "none"
    assert "birefnet-lite" in recommended_weights("cuda:1") and "birefnet-lite" not in recommended_weights("mps")


def test_one_command_fetches_what_is_recommended(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recommended, "RECOMMENDED", {"cpu": ("net",), "cuda": ("net",)})
    done = CliRunner().invoke(app, ["models", "pull", "--recommended", "net"])
    assert done.exit_code == 0, done.output
    assert done.stdout.count("SHA-256 as in the catalogue") == 1  # named and recommended: fetched once
    nothing = CliRunner().invoke(app, ["models", "pull"])
    assert nothing.exit_code == 2 and "Nothing is named to be fetched" in nothing.stderr
