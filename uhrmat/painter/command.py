"""Options of a command line that the page shows."""

from __future__ import annotations

from uhrmat.core.options import ModelOptions

_NAMES = ("refiner", "weights", "working_size", "device", "precision", "threads", "max_memory")


def model_words(model: ModelOptions) -> list[str]:
    """The options of `uhrmat image` and `uhrmat video` that mean a model, those at their defaults left out."""
    default = ModelOptions()
    changed = {name: getattr(model, name) for name in _NAMES if getattr(model, name) != getattr(default, name)}
    return [word for name, value in changed.items() for word in (f"--{name.replace('_', '-')}", str(value))]
