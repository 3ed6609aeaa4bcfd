"""The active set of a picture and the convolutions on it."""

from __future__ import annotations

from uhrmat.sparse.dense import DenseEngine
from uhrmat.sparse.engine import Act, Engine, Feat

__all__ = ["Act", "DenseEngine", "Engine", "Feat"]
