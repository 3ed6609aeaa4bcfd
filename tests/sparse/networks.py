"""A small network that uses every operation, and masks that are hard on tilings. Shared by the tests of all engines."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from uhrmat.sparse import Engine, Feat


def masks() -> dict[str, Tensor]:
    rng = torch.Generator().manual_seed(3)

    def noise(height: int, width: int, share: float) -> Tensor:
        return torch.rand(height, width, generator=rng) < share

    def spots(height: int, width: int, *places: tuple[int, int]) -> Tensor:
        mask = torch.zeros(height, width, dtype=torch.bool)
        for y, x in places:
            mask[y, x] = True
        return mask

    frame = torch.ones(47, 53, dtype=torch.bool)
    frame[1:-1, 1:-1] = False
    return {
        "noise": noise(64, 96, 0.2),
        "noise_odd": noise(101, 67, 0.05),
        "dense_odd": noise(35, 83, 0.9),
        "full": torch.ones(48, 33, dtype=torch.bool),
        "empty": torch.zeros(40, 41, dtype=torch.bool),
        "border": frame,
        "corners": spots(65, 49, (0, 0), (64, 0), (0, 48), (64, 48)),
        "tile_edges": spots(64, 64, (15, 15), (16, 16), (31, 32), (47, 48)),
        "single": spots(33, 31, (17, 16)),
        "one_pixel": torch.ones(1, 1, dtype=torch.bool),
        "line": noise(1, 130, 0.5),
    }


def colours(ys: Tensor, xs: Tensor) -> Tensor:
    """Three smooth and rough channels of the coordinates."""
    return torch.stack([torch.sin(0.3 * ys + xs), torch.cos(0.7 * xs - 0.2 * ys), (ys * xs % 7) / 7], -1)


def weights(channels: int = 16) -> dict[str, Tensor]:
    rng = torch.Generator().manual_seed(5)

    def normal(*shape: int, fan: int) -> Tensor:
        return torch.randn(shape, generator=rng) * (2 / fan) ** 0.5

    c = channels
    return {
        "stem": normal(c, 3, 3, 3, fan=27),
        "down": normal(c, c, 3, 3, fan=9 * c),
        "keep": normal(c, c, 3, 3, fan=9 * c),
        "up": normal(c, c, 3, 3, fan=3 * c),
        "join": normal(c, 2 * c, 3, 3, fan=18 * c),
        "mix": normal(c, 2 * c, 1, 1, fan=2 * c),
        "head": normal(1, c, 3, 3, fan=9 * c),
        "bias": normal(c, fan=100),
    }


def unet(engine: Engine, w: dict[str, Tensor]) -> list[Feat]:
    """All levels down and up again; every feature on the way, so that a test sees where engines part."""
    skips = [engine.subm_conv(engine.sample(colours), w["stem"], w["bias"], "relu")]
    for _ in range(3):
        x = engine.strided_conv(skips[-1], w["down"], w["bias"], 0.01)
        skips.append(engine.add(x, engine.subm_conv(x, w["keep"]), "relu"))
    x = engine.scale(skips[3], torch.sigmoid(engine.mean(skips[3])))
    seen = [*skips, x]
    for level in (2, 1, 0):
        x = engine.inverse_conv(x, w["up"], w["bias"], "relu")
        both = engine.cat(x, skips[level])
        x = engine.add(engine.subm_conv(both, w["join"], w["bias"], 0.1), engine.subm_conv(both, w["mix"], w["bias"]))
        seen.append(x)
    return [*seen, engine.subm_conv(x, w["head"])]


def one_thread() -> Iterator[None]:
    """For a fixture: torch on one thread, because layers this small take longer to share out than to compute."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
