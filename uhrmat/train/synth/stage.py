"""What every kind of scene is given: a random generator, the picture's size and the photographs it may use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Points = NDArray[np.float64]


@dataclass
class Stage:
    """One scene in the making. Lengths are in pixels, `difficulty` in [0, 1], `size` scales the subject."""

    rng: np.random.Generator
    height: int
    width: int
    difficulty: float = 0.5
    size: float = 1.0
    photos: Sequence[Path] = field(default_factory=tuple)
    subjects: Sequence[tuple[Path, Path]] = field(default_factory=tuple)
    middle: tuple[float, float] = (0.5, 0.5)

    @property
    def side(self) -> float:
        """Geometric mean of the sides times the subject's size: the unit of all subject geometry."""
        return float(np.sqrt(self.height * self.width)) * self.size

    @property
    def shape(self) -> tuple[int, int]:
        return self.height, self.width

    def stroke(self, low: float, high: float) -> float:
        """A strand width in pixels, drawn from [low, high] at 1024 pixels and growing slower than the subject."""
        grown = (self.side / 1024) ** 0.6
        result: float = max(0.4, float(self.rng.uniform(low, high)) * grown)
        return result

    def count(self, number: float) -> int:
        """A number of strands meant for a side of 1024 pixels, adapted to this picture."""
        return max(6, int(number * np.clip((self.side / 1024) ** 0.9, 0.05, 8.0)))

    def centre(self, spread: float = 0.12) -> Points:
        """A point (x, y) around the middle, which is the picture's unless the scene has several subjects."""
        at: Points = self.middle + self.rng.uniform(-spread, spread, 2) * self.size
        scaled: Points = at * np.array([self.width, self.height])
        return scaled

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)
