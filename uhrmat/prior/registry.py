"""The priors of a pipeline by name, each made once."""

from __future__ import annotations

import copy

from uhrmat.prior.base import PriorMethod, SolvingPrior
from uhrmat.prior.choose import (
    AFFINITY_PRIORS,
    DEFAULT_NETWORK,
    LPN_TRIMAP,
    REQUIRED_HINTS,
    PriorChoice,
    choose_prior,
    takes_prompts,
)
from uhrmat.prior.closed_form.affinity import AffinityPrior
from uhrmat.prior.closed_form.problem import Solver
from uhrmat.prior.hint_priors import AlphaPrior, MaskPrior


class PriorRegistry:
    """The priors of one pipeline. Each is made, and its weights are loaded, when it is first used.

    Args:
        name: "auto" or the prior that the user names, see `choose.choose_prior`, or a method of the caller's own, which
            is used whatever the hints are.
        solver: of the affinity priors, by default `closed_form.solve.solve` in this process. On CUDA it solves only
            what `closed_form.on_device` does not.
        device: torch device of networks, and of the closed form's systems if it is CUDA.
        threads: of onnxruntime, None for its own choice.
        max_memory: most bytes of the device for those systems, None for what is free.
        clip: whether "auto" chooses for a clip.

    Raises:
        InputError: there is no such prior.
    """

    def __init__(
        self,
        name: str | PriorMethod = "auto",
        solver: Solver | None = None,
        device: str = "cpu",
        threads: int | None = None,
        max_memory: int | None = None,
        clip: bool = False,
    ) -> None:
        if isinstance(name, str) and name != "auto":
            known = REQUIRED_HINTS.get(name) or ("prompts" if takes_prompts(name) else "trimap")
            choose_prior(name, frozenset({known}))
        self.name, self._solver, self._device, self._threads = name, solver, device, threads
        if device.startswith("cuda"):
            from uhrmat.prior.closed_form.on_device.solver import DeviceSolver

            self._solver = DeviceSolver(device, solver, max_memory)
        self._clip = clip
        self._made: dict[str, tuple[PriorMethod, PriorChoice]] = {}

    def for_clips(self) -> PriorRegistry:
        """The same priors, of which "auto" chooses as for a clip."""
        other = copy.copy(self)
        other._clip = True
        return other

    def choose(self, given: frozenset[str]) -> tuple[PriorMethod, PriorChoice]:
        """The prior for these hints, and why it is that one.

        Args:
            given: names of the hints, see `hints.compatibility`.

        Raises:
            InputError: no prior can be used with these hints, see `choose_prior`.
            WeightsError: a network cannot be loaded.
        """
        if not isinstance(self.name, str):
            return self.name, PriorChoice(self.name.name)
        choice = choose_prior(self.name, given, self._clip)
        if choice.name not in self._made:
            self._made[choice.name] = self._make(choice)
        method, made = self._made[choice.name]
        return method, made if choice.name == DEFAULT_NETWORK else choice

    @property
    def takes_prompts(self) -> bool:
        """Whether points, boxes and strokes can be used, see `choose.takes_prompts`."""
        return isinstance(self.name, str) and takes_prompts(self.name)

    def as_prefetched(self, method: PriorMethod) -> PriorMethod:
        """The prior by the solver that has its input already, see `prefetch.solve_prefetched`."""
        if not self._device.startswith("cuda") or not isinstance(method, SolvingPrior):
            return method
        return method.with_solver(lambda solver: solver.beside)

    def use(self, name: str, method: PriorMethod) -> None:
        """Put `method` in the place of the prior `name`."""
        self._made[name] = (method, PriorChoice(name))

    def _make(self, choice: PriorChoice) -> tuple[PriorMethod, PriorChoice]:
        name = choice.name
        if name == DEFAULT_NETWORK:
            from uhrmat.prior.networks.registry import choose_default_network

            method, choice = choose_default_network(self._device, self._threads)
            return self._network_matte(method), choice
        if name in AFFINITY_PRIORS:
            return AffinityPrior(name, self._solver), choice
        if name == "plate":
            from uhrmat.prior.clean_plate.plate import PlatePrior

            return PlatePrior(self._solver), choice
        if name == "key":
            from uhrmat.prior.chroma_key.key import KeyPrior

            return KeyPrior(), choice
        if name == LPN_TRIMAP:
            from uhrmat.hub.bundled import bundled_weights
            from uhrmat.prior.closed_form.corrected import CorrectedPrior

            return CorrectedPrior(bundled_weights(name), self._solver, self._device), choice
        if name == "prompts":
            from uhrmat.prior.networks.registry import load_bundled_subject
            from uhrmat.prior.prompts.locate import PromptLocator

            return self._network_matte(PromptLocator(load_bundled_subject(self._device))), choice
        simple: dict[str, PriorMethod] = {"alpha": AlphaPrior(), "mask": MaskPrior()}
        if name in simple:
            return simple[name], choice
        from uhrmat.prior.networks.registry import load_network

        return self._network_matte(load_network(name, self._device, self._threads)), choice

    def _network_matte(self, method: PriorMethod) -> PriorMethod:
        """A network by the way of a mask; one that takes a trimap, or keeps state from frame to frame, as it is."""
        if getattr(method, "needs_trimap", False) or getattr(method, "recurrent", False):
            return method
        from uhrmat.prior.networks.matte import NetworkMatte

        return NetworkMatte(method, self._solver)
