"""Which frame a mask is propagated to next: chains from the key frames, from the frame in view outwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from uhrmat.video.propagation.states import Direction


@dataclass
class Chain:
    """A mask that is propagated from a key frame in one direction, up to the next key frame or the clip's end.

    Attributes:
        key: the frame that it begins at.
        version: of what is painted there.
        step: 1 forward, -1 backward.
        end: the frame before which it ends: the next key frame, or the one beyond the clip.
        reached: the last frame whose mask is there; `key` at the beginning.
    """

    key: int
    version: int
    step: int
    end: int
    reached: int

    @property
    def direction(self) -> Direction:
        """As the states of `video.propagation` call it."""
        return "forward" if self.step > 0 else "backward"

    @property
    def following(self) -> int | None:
        """The next frame; None where the chain is complete."""
        frame = self.reached + self.step
        return None if frame == self.end else frame

    def leads_to(self, frame: int) -> bool:
        """Whether the chain passes a frame that it has not reached yet."""
        return (frame - self.reached) * self.step > 0 and (self.end - frame) * self.step > 0

    def passed(self, frame: int) -> bool:
        """Whether the chain has brought a mask to a frame."""
        return (frame - self.key) * self.step > 0 and (self.reached - frame) * self.step >= 0

    def going_on(self, other: Chain | None) -> Chain:
        """This chain as far as another one of the same key frame and direction has come, which may end elsewhere."""
        if other is None:
            return self
        last = self.end - self.step
        reached = min(other.reached, last) if self.step > 0 else max(other.reached, last)
        return Chain(self.key, self.version, self.step, self.end, reached)


def make_chains(versions: Mapping[int, int], count: int) -> list[Chain]:
    """The chains of a clip of `count` frames, nothing of which is done; versions: of its key frames, by index."""
    keys, chains = sorted(versions), list[Chain]()
    for before, key in pairwise([-1, *keys]):
        if key - before > 1:
            chains.append(Chain(key, versions[key], -1, before, key))
    for key, after in pairwise([*keys, count]):
        if after - key > 1:
            chains.append(Chain(key, versions[key], 1, after, key))
    return chains


def next_chain(chains: list[Chain], centre: int, reach: int) -> Chain | None:
    """The chain to go on with: the one whose next frame is nearest to the frame in view.

    So what is near comes before a far key frame's chain, and of chains that lead to the frame in view the nearest one
    arrives first.

    Args:
        chains: of the clip.
        centre: the frame in view.
        reach: frames farther from it are not wanted, unless they lead to it and nothing has come there yet.
    """
    there = any(chain.passed(centre) for chain in chains)
    wanted = [
        (abs(frame - centre), not chain.leads_to(centre), at)
        for at, (chain, frame) in enumerate((chain, chain.following) for chain in chains)
        if frame is not None and (abs(frame - centre) <= reach or (chain.leads_to(centre) and not there))
    ]
    return chains[min(wanted)[2]] if wanted else None
