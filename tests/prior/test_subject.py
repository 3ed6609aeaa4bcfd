"""`lpn-subject` as a prior: by its file, by its name where it is bundled, and as the default network."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from uhrmat.core.errors import InputError, WeightsError
from uhrmat.hub import bundled as bundled_module
from uhrmat.hub.catalog import catalog_entries
from uhrmat.prior.base import LowResHints
from uhrmat.prior.networks.lpn import PersonNet, SubjectNet
from uhrmat.prior.networks.registry import bundled_networks, choose_default_network, load_network
from uhrmat.prior.networks.subject import SubjectPrior
from uhrmat.prior.registry import PriorRegistry

SMALL = np.full((64, 96, 3), 0.5, np.float32)


def subject_file(folder: Path, subject: float = 4.0, person: float = -4.0) -> Path:
    """A network whose planes are constant: the sigmoids of these logits; with its card."""
    net = SubjectNet(norm=False)
    torch.nn.init.zeros_(net.head.weight)
    with torch.no_grad():
        net.head.bias.copy_(torch.tensor([subject] * 4 + [person] * 4))
    path = folder / "lpn-subject.safetensors"
    save_file(net.state_dict(), path, {"input_version": "1"})
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_suffix(".md").write_text(f"| network | lpn-subject |\n| SHA-256 | `{digest}` |\n", "utf-8")
    return path


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installation whose folder of bundled weights is empty at first."""
    monkeypatch.setattr(bundled_module, "bundled_weights_dir", lambda: tmp_path)
    monkeypatch.setattr("uhrmat.prior.networks.registry._wanted", lambda device: [])
    catalog_entries.cache_clear()
    yield tmp_path
    catalog_entries.cache_clear()


def test_the_subject_plane_decides(tmp_path: Path) -> None:
    yes = SubjectPrior(subject_file(tmp_path, 4.0, -4.0))(SMALL, LowResHints())
    assert yes.name == "lpn-subject" and yes.alpha.shape == (64, 96) and yes.alpha.dtype == np.float32
    assert np.allclose(yes.alpha, 1 / (1 + np.exp(-4)), atol=1e-5)
    no = SubjectPrior(subject_file(tmp_path, -4.0, 4.0))(SMALL, LowResHints())
    assert np.allclose(no.alpha, 1 / (1 + np.exp(4)), atol=1e-5)


def test_small_pictures_are_enlarged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen = []
    inner = SubjectNet.forward
    monkeypatch.setattr(SubjectNet, "forward", lambda self, image: seen.append(image.shape) or inner(self, image))
    prior = SubjectPrior(subject_file(tmp_path))
    ramp = np.broadcast_to(np.linspace(0, 1, 60, dtype=np.float32)[None, :, None], (40, 60, 3))
    assert prior(np.ascontiguousarray(ramp), LowResHints()).alpha.shape == (40, 60)
    prior(np.full((256, 300, 3), 0.5, np.float32), LowResHints())
    assert [tuple(shape[-2:]) for shape in seen] == [(256, 384), (256, 300)]


def test_a_trimap_goes_before_it(tmp_path: Path) -> None:
    trimap = np.full((64, 96), 128, np.uint8)
    trimap[:8], trimap[-8:] = 0, 255
    alpha = SubjectPrior(subject_file(tmp_path, 0.0))(SMALL, LowResHints(trimap)).alpha
    assert (alpha[:8] == 0).all() and (alpha[-8:] == 1).all() and np.allclose(alpha[8:-8], 0.5, atol=1e-5)


def test_it_is_loaded_from_a_file_of_its_name(tmp_path: Path) -> None:
    assert load_network(str(subject_file(tmp_path))).name == "lpn-subject"
    save_file(PersonNet(norm=False).state_dict(), tmp_path / "lpn-subject.safetensors", {"size": "lite"})
    with pytest.raises(WeightsError, match="lpn-subject"):
        load_network(str(tmp_path / "lpn-subject.safetensors"))


def test_it_is_no_prior_until_it_is_bundled(bundle: Path) -> None:
    assert bundled_networks() == []
    with pytest.raises(InputError, match="no prior called 'lpn-subject'"):
        PriorRegistry("lpn-subject")
    with pytest.raises(InputError, match="Nothing says what the foreground is") as error:
        choose_default_network("cpu")
    assert "lpn-subject" not in str(error.value)


def test_bundled_it_is_the_default(bundle: Path) -> None:
    subject_file(bundle)
    assert bundled_networks() == ["lpn-subject"]
    method, choice = PriorRegistry("auto").choose(frozenset())
    assert method.name == choice.name == "lpn-subject" and "which finds any subject" in choice.note
    assert PriorRegistry("lpn-subject").choose(frozenset())[0].name == "lpn-subject"
