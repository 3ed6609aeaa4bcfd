"""Which prior is asked: hints decide, names are checked, without hints a network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from uhrmat.core.errors import InputError, WeightsError
from uhrmat.hints.compatibility import check_hint_combination
from uhrmat.prior.base import LowResHints, PriorResult
from uhrmat.prior.choose import CLOSED_FORM_KNN, DEFAULT_NETWORK, LPN_TRIMAP, PriorChoice, choose_prior
from uhrmat.prior.networks import registry as networks
from uhrmat.prior.registry import PriorRegistry


def _given(*names: str) -> frozenset[str]:
    return frozenset(names)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (_given("trimap"), LPN_TRIMAP),
        (_given("mask"), LPN_TRIMAP),
        (_given("plate"), "plate"),
        (_given("trimap", "key"), "key"),
        (_given("alpha"), "alpha"),
        (_given(), DEFAULT_NETWORK),
    ],
)
def test_hints_decide(given: frozenset[str], name: str) -> None:
    choice = choose_prior("auto", given)
    assert choice.name == name and (("because" in choice.note) == bool(given))


def test_in_clips_the_same_hints_decide_and_no_network_corrects_each_frame() -> None:
    for hint in ("trimap", "mask"):
        assert choose_prior("auto", _given(hint), clip=True).name == CLOSED_FORM_KNN
        assert PriorRegistry().for_clips().choose(_given(hint))[1].name == CLOSED_FORM_KNN
    assert choose_prior("auto", _given("mask", "key"), clip=True) == choose_prior("auto", _given("mask", "key"))
    assert choose_prior(LPN_TRIMAP, _given("mask"), clip=True).name == LPN_TRIMAP


@pytest.mark.parametrize("name", ["knn", "lkm", "mask", "vitmatte-small"])
def test_a_mask_serves_priors_that_need_a_trimap(name: str) -> None:
    assert choose_prior(name, _given("mask")) == PriorChoice(name)


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("closed-form", _given(), "needs a trimap or a mask"),
        ("vitmatte-small", _given(), "needs a trimap or a mask"),
        ("plate", _given("key"), "needs a plate"),
        ("modnet", _given("plate"), "takes no plate"),
        ("magic", _given("trimap"), "no prior called 'magic'"),
        ("shm-lite", _given("trimap"), "no prior called 'shm-lite'"),
    ],
)
def test_refusals(name: str, given: frozenset[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        choose_prior(name, given)


def test_hints_that_do_not_go_together() -> None:
    check_hint_combination(_given("trimap", "plate"))
    for given in (_given("trimap", "mask"), _given("plate", "key"), _given("mask", "alpha")):
        with pytest.raises(InputError, match="were given"):
            check_hint_combination(given)


class _Found:
    name, working_size = "found", None

    def __call__(self, small: np.ndarray, hints: LowResHints) -> PriorResult:
        return PriorResult(small[..., 0], self.name)


OWN = networks.bundled_networks()[0]
"""The network that is the default where no other can be had."""


@pytest.mark.parametrize(
    ("answers", "text"), [(["modnet"], "fetched from the Hub"), ([OWN], f"finds {networks.BUNDLED_NETWORKS[OWN]}")]
)
def test_without_hints_a_network_says_why_it_was_chosen(
    monkeypatch: pytest.MonkeyPatch, answers: list[str], text: str
) -> None:
    def network(name: str, *_rest: object) -> _Found:
        if name not in answers:
            raise WeightsError("The Hub does not answer.", "Try later.")
        return _Found()

    monkeypatch.setenv("UHRMAT_HUB", "allow")
    monkeypatch.setattr(networks, "load_network", network)
    monkeypatch.setattr(networks, "is_cached", lambda entry: False)
    monkeypatch.setattr(networks, "DEFAULT_NETWORKS", {"cpu": ("modnet",)})
    monkeypatch.setattr(networks, "_onnx_runs_on", lambda device: True)
    method, choice = PriorRegistry().choose(frozenset())
    assert choice.name == answers[0] and text in choice.note
    assert np.allclose(method(np.ones((4, 5, 3), np.float32), LowResHints()).alpha, 1)


@pytest.mark.parametrize("held", [True, False])
def test_the_hub_is_not_asked_for_what_nobody_named(monkeypatch: pytest.MonkeyPatch, held: bool) -> None:
    """Unless the user has allowed it: a network that is here is taken, else the one that travels along."""
    made: list[str] = []

    def network(name: str, *_rest: object) -> _Found:
        made.append(name)
        return _Found()

    monkeypatch.setenv("UHRMAT_HUB", "deny")
    monkeypatch.setattr(networks, "load_network", network)
    monkeypatch.setattr(networks, "is_cached", lambda entry: held)
    monkeypatch.setattr(networks, "DEFAULT_NETWORKS", {"cpu": ("modnet",)})
    monkeypatch.setattr(networks, "_onnx_runs_on", lambda device: True)
    _, choice = PriorRegistry().choose(frozenset())
    assert made == [choice.name] == (["modnet"] if held else [OWN])
    assert ("which is on this machine" if held else "uhrmat models pull modnet") in choice.note


@pytest.mark.parametrize(
    ("device", "runs", "name"), [("cpu", True, OWN), ("cuda:0", True, "birefnet-lite"), ("cuda:0", False, OWN)]
)
def test_the_order_of_choice_by_device(monkeypatch: pytest.MonkeyPatch, device: str, runs: bool, name: str) -> None:
    monkeypatch.setattr(networks, "load_network", lambda *_: _Found())
    monkeypatch.setattr(networks, "is_cached", lambda entry: True)  # MODNet too: it knows people only
    monkeypatch.setattr(networks, "_onnx_runs_on", lambda device: runs)
    _, choice = networks.choose_default_network(device)
    assert choice.name == name
    assert ("onnxruntime does not run on cuda:0" in choice.note) == (device != "cpu" and not runs)


def test_a_name_that_is_close_is_suggested() -> None:
    assert choose_prior("BiRefNet", _given()).name == "BiRefNet"  # means birefnet-lite
    with pytest.raises(InputError, match="no prior called 'vitmat'") as raised:
        choose_prior("vitmat", _given("trimap"))
    assert raised.value.hint.startswith("Did you mean vitmatte-small or vitmatte-base-d646")
    with pytest.raises(InputError, match="no prior called 'zzzz'") as raised:
        choose_prior("zzzz", _given())
    assert raised.value.hint.startswith("Choose auto")


def test_without_hints_and_networks_the_refusal_says_what_to_give(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "bundled_weights", lambda name: (_ for _ in ()).throw(WeightsError("none", "none")))
    with pytest.raises(InputError, match=r"Nothing says what the foreground is\..*coarse mask"):
        PriorRegistry().choose(frozenset())


def test_the_users_own_matte_and_mask(tmp_path: Path) -> None:
    small, own = np.zeros((6, 8, 3), np.float32), np.random.default_rng(0).random((6, 8), np.float32)
    trimap = np.full((6, 8), 128, np.uint8)
    trimap[0], trimap[1] = 255, 0
    for name, hints in (("alpha", LowResHints(trimap, alpha=own)), ("mask", LowResHints(trimap, mask=own))):
        method, _ = PriorRegistry(name).choose(_given(name))
        result = method(small, hints).alpha
        assert (result[0] == 1).all() and (result[1] == 0).all() and (result[2:] == own[2:]).all()
        with pytest.raises(InputError, match=f"needs a {name}|needs a matte|needs a clean plate"):
            method(small, LowResHints())
