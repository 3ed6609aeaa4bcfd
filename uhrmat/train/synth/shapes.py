"""Outlines: closed smooth polygons (P, 2) as x, y in pixels."""

from __future__ import annotations

import numpy as np

from uhrmat.train.synth.stage import Points


def blob(
    rng: np.random.Generator,
    centre: Points,
    radius: float,
    *,
    rough: float = 0.15,
    waves: int = 7,
    stretch: float = 1.0,
    turn: float | None = None,
    points: int = 360,
) -> Points:
    """A closed curve around `centre`: a circle with `waves` harmonics of decreasing size, stretched and turned."""
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    distance = np.ones(points)
    for k in range(2, waves + 2):
        distance += rough * rng.normal(0, 1) / k * np.cos(k * angle + rng.uniform(0, 2 * np.pi))
    distance = radius * np.clip(distance, 0.25, 2.0)
    shape = np.stack([np.cos(angle) * distance * np.sqrt(stretch), np.sin(angle) * distance / np.sqrt(stretch)], 1)
    turn = rng.uniform(0, 2 * np.pi) if turn is None else turn
    spin = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return np.asarray(shape @ spin.T + centre, float)


def polygon(rng: np.random.Generator, centre: Points, radius: float, corners: int, *, star: float = 0.0) -> Points:
    """A polygon of straight edges; with `star` > 0 every other corner is drawn in by that share."""
    angle = np.sort(
        np.linspace(0, 2 * np.pi, corners, endpoint=False) + rng.uniform(-0.25, 0.25, corners) * 2 / corners
    )
    distance = radius * rng.uniform(0.8, 1.0, corners)
    distance[::2] *= 1 - star
    turn = rng.uniform(0, 2 * np.pi)
    return np.stack([np.cos(angle + turn), np.sin(angle + turn)], 1) * distance[:, None] + centre


def ellipse(centre: Points, rx: float, ry: float, points: int = 180) -> Points:
    """An axis-aligned ellipse."""
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    return np.asarray(np.stack([np.cos(angle) * rx, np.sin(angle) * ry], 1) + centre, float)


def shoulders(rng: np.random.Generator, chin: Points, radius: float, bottom: float) -> Points:
    """Neck and shoulders below a head whose chin is at `chin`, down to y = `bottom`."""
    x, y = chin
    neck, wide = radius * rng.uniform(0.4, 0.55), radius * rng.uniform(1.9, 2.6)
    slope = radius * rng.uniform(0.5, 0.9)
    t = np.linspace(0, 1, 40)
    profile = neck + (wide - neck) * (3 * t**2 - 2 * t**3)
    line = y + slope * t
    right = np.stack([x + profile, line], 1)
    left = np.stack([x - profile, line], 1)[::-1]
    top = np.array([[x - neck, y - radius * 0.6], [x + neck, y - radius * 0.6]])
    foot = np.array([[x + wide * 1.05, bottom + 5], [x - wide * 1.05, bottom + 5]])
    return np.concatenate([top, right, foot, left])
