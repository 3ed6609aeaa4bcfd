"""From a name to a prior that can be asked, made once."""

from __future__ import annotations

from uhrmat.prior.affinity import METHODS, AffinityPrior, Solver
from uhrmat.prior.base import PriorMethod
from uhrmat.prior.choose import NEEDS, Choice, pick
from uhrmat.prior.given import GivenAlpha, GivenMask


class Priors:
    """The priors of one `Matter`: each is made, and its weights are loaded, when it is first asked for.

    name: "auto" or what the user named; solver: of the affinity priors. Raises InputError where there is none such.
    """

    def __init__(self, name: str, solver: Solver | None = None) -> None:
        if name != "auto" and name not in NEEDS:
            pick(name, frozenset())
        self.name, self._solver = name, solver
        self._made: dict[str, PriorMethod] = {}

    def choose(self, given: frozenset[str]) -> tuple[PriorMethod, Choice]:
        """The prior for these hints and why it is that one. Raises InputError, see `pick`."""
        choice = pick(self.name, given)
        if choice.name not in self._made:
            self._made[choice.name] = self._make(choice.name)
        return self._made[choice.name], choice

    def _make(self, name: str) -> PriorMethod:
        if name in METHODS:
            return AffinityPrior(name, self._solver)
        simple: dict[str, PriorMethod] = {"alpha": GivenAlpha(), "mask": GivenMask()}
        return simple[name]
