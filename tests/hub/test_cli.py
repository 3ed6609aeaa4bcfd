"""`uhrmat models`, command by command, as people and programs see it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner, Result

from tests.docs.schema import compare
from tests.hub.conftest import WEIGHTS
from tests.hub.server import TOKEN, Hub
from uhrmat.cli.app import app
from uhrmat.hub.card import front_matter


def run(*words: str, code: int = 0) -> Result:
    done = CliRunner().invoke(app, ["models", *words])
    assert done.exit_code == code, done.output
    return done


def document(*words: str, code: int = 0) -> dict[str, Any]:
    return json.loads(run(*words, "--json", code=code).stdout)


def test_list_and_show(offline_world: Path) -> None:
    text = run("list").stdout
    assert "modnet-int8" in text and "GPL-3.0: RESTRICTED" in text and "data contested" in text
    assert "rvm" not in run("list", "--commercial").stdout
    models = {model["name"]: model for model in document("list")["models"]}
    assert models["shm-lite"]["cached"] and models["shm-lite"]["source"] == "bundled"
    shown = run("show", "rvm-mobilenetv3").stdout
    assert "--accept-licence rvm-mobilenetv3" in shown and "r1i ← r1o" in shown
    assert document("show", "modnet")["network"]["side"] == 512
    assert "uhrmat models list" in document("show", "nothing", code=2)["hint"]


def test_pull_goes_on_after_a_failure(hub: Hub) -> None:
    done = document("pull", "nothing", "gpl", "net", code=1)
    compare("models pull", done)
    items = done["items"]
    assert [item["status"] for item in items] == ["failed", "failed", "ok"]
    assert "--accept-licence gpl" in items[1]["error"]
    assert Path(items[2]["path"]).read_bytes() == WEIGHTS and items[2]["verified"]


def test_help_and_list_load_nothing_heavy(offline_world: Path) -> None:
    for words in (["models", "--help"], ["models", "list"]):
        script = (
            f"import sys; sys.argv = ['uhrmat', *{words}]; from uhrmat.cli.app import app; app(standalone_mode=False)"
        )
        heavy = "print(*{n.split('.')[0] for n in sys.modules} & {'torch', 'cv2', 'numpy', 'av', 'onnxruntime'})"
        done = subprocess.run([sys.executable, "-c", f"{script}\n{heavy}"], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == ""


def test_pull_with_an_accepted_licence(hub: Hub) -> None:
    assert "SHA-256 as in the catalogue" in run("pull", "gpl", "--accept-licence", "gpl").stdout


def test_verify(offline_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = document("verify")
    compare("models verify", done)
    assert {item["status"] for item in done["items"]} == {"ok"}
    assert document("verify", "modnet")["items"] == [{"name": "modnet", "status": "absent"}]
    folder = tmp_path / "models--Xenova--modnet" / "snapshots" / "fa2fa546052fba4c08921230a26cc69a333fca12" / "onnx"
    folder.mkdir(parents=True)
    with (folder / "model.onnx").open("wb") as file:
        file.truncate(25888640)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    done = run("verify", "modnet", code=1)
    assert "WRONG" in done.stdout and "deleted" in done.stderr and not (folder / "model.onnx").exists()


def test_convert_modnet(tmp_path: Path) -> None:
    parts = ("backbone.model.0", "lr_branch.conv", "hr_branch.conv", "f_branch.conv")
    torch.save({f"module.{part}.weight": torch.rand(2, 3) for part in parts}, tmp_path / "modnet.ckpt")
    done = document("convert", str(tmp_path / "modnet.ckpt"), "--licence", "Apache-2.0")
    assert done["kind"] == "modnet" and [Path(f).name for f in done["files"]] == ["modnet.safetensors", "modnet.md"]
    compare("models convert", done)
    assert (tmp_path / "modnet.md").read_text().startswith("---\nlicense: apache-2.0\n")
    again = document("convert", done["files"][0], "-o", str(tmp_path / "sub" / "b.safetensors"), "--kind", "modnet")
    assert Path(again["files"][0]).is_file()


def test_convert_a_folder_of_vitmatte(tmp_path: Path) -> None:
    source = tmp_path / "vitmatte"
    source.mkdir()
    torch.save({"backbone.a.weight": torch.rand(4), "decoder.b.weight": torch.rand(4)}, source / "pytorch_model.bin")
    (source / "config.json").write_text(json.dumps({"model_type": "vitmatte", "hidden_size": 384}))
    done = run("convert", str(source), "-o", str(tmp_path / "out"))
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["README.md", "config.json", "model.safetensors"]
    assert "vitmatte" in done.stdout
    (source / "config.json").write_text(json.dumps({"model_type": "bert"}))
    assert "not of ViTMatte" in document("convert", str(source), code=2)["error"]


class Trap:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("trapped"),)


def test_convert_runs_no_code_and_names_what_it_cannot_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"a": Trap()}, "trap.pth")
    assert "more than tensors" in document("convert", "trap.pth", code=2)["error"]
    assert not Path("trapped").exists()
    cases: list[tuple[Any, str]] = [
        ({"weight": torch.ones(1)}, "no network known"),
        ({"shm.backbone.layer1.0.conv1.weight": torch.ones(1)}, "known here: its tensors are shm.backbone"),
        ({"a": 1}, "no tensors by name"),
        ([torch.ones(1)], "no tensors by name"),
        ({"a": torch.tensor([float("nan")])}, "not finite"),
    ]
    for value, says in cases:
        torch.save(value, "a.pth")
        assert says in document("convert", "a.pth", code=2)["error"]
    torch.save({"weight": torch.ones(1)}, "a.pth")
    assert "no checkpoint of MODNet" in document("convert", "a.pth", "--kind", "modnet", code=2)["error"]
    Path("a.pth").write_bytes(b"PK\x03\x04 cut short")
    document("convert", "a.pth", code=2)
    document("convert", "nowhere.pth", code=2)
    assert not list(tmp_path.glob("*.safetensors"))


def test_push(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.safetensors").write_bytes(WEIGHTS)
    assert "no card" in document("push", str(tmp_path / "a.safetensors"), "me/a", code=2)["error"]
    (tmp_path / "a.md").write_text(front_matter("MIT"))
    assert "HF_TOKEN" in document("push", str(tmp_path / "a.safetensors"), "me/a", code=2)["hint"]
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    done = document("push", str(tmp_path / "a.safetensors"), "me/a", "-m", "Mine")
    compare("models push", done)
    assert done["files"] == ["README.md", "a.safetensors"] and hub.commits == ["Mine"]
