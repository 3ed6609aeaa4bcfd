"""Masks of the frames around the one in view, propagated from what is painted so far, in a thread of its own.

The masks are those of `video.propagation` at its network's size, without the prior that solves their edges. So that the
first appear at once, they are made by the bundled network before it is trained on the clip; when the frames nearby have
one, it is trained on what is painted, as in a run, and all are made anew, from the frame in view outwards. A further
stroke makes the chains on either side of its frame stale, and a training that goes on is given up. What is saved is
computed by `runs`, not here.
"""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from uhrmat.core.devices import pick_device
from uhrmat.core.errors import UhrmatError
from uhrmat.painter.clips.chains import Chain, make_chains, next_chain
from uhrmat.painter.clips.frames import ClipFrames
from uhrmat.painter.clips.keys import KeyFrames
from uhrmat.prior.closed_form.affinity import AffinityPrior
from uhrmat.prior.closed_form.problem import Solver
from uhrmat.video.key_trimap import solve_key_trimap
from uhrmat.video.propagation.clip import train_on_keys
from uhrmat.video.propagation.guide import SubjectGuide
from uhrmat.video.propagation.memory import SubjectMemory
from uhrmat.video.propagation.network import MaskNet, load_base_network, network_shape
from uhrmat.video.propagation.pairs import KeyFrame
from uhrmat.video.propagation.params import TRAINING, PropagationTrainingParams
from uhrmat.video.propagation.report import state_of
from uhrmat.video.propagation.states import Direction, TrackedMask, blend_directions
from uhrmat.video.propagation.track import next_mask


@dataclass(frozen=True, kw_only=True)
class AheadParams:
    """Parameters of the masks on the page. None of them changes what is saved.

    Attributes:
        near: frames on either side of the one in view that get a first mask before the network is trained.
        reach: and a mask of the trained network.
        quiet: seconds without a stroke after which work begins.
        training: of the network.
    """

    near: int = 12
    reach: int = 240
    quiet: float = 0.8
    training: PropagationTrainingParams = TRAINING


AHEAD = AheadParams()


@dataclass(frozen=True)
class _Stored:
    """A tracked mask, compressed: a long clip has thousands."""

    mask: bytes
    shape: tuple[int, int]
    confidence: float
    distance: int
    key_area: float

    @classmethod
    def of(cls, tracked: TrackedMask) -> _Stored:
        packed = zlib.compress(np.ascontiguousarray(tracked.mask).tobytes(), 1)
        shape = tracked.mask.shape[0], tracked.mask.shape[1]
        return cls(packed, shape, tracked.confidence, tracked.distance, tracked.key_area)

    def tracked(self) -> TrackedMask:
        mask = np.frombuffer(zlib.decompress(self.mask), np.uint8).reshape(self.shape)
        return TrackedMask(
            mask=mask, confidence=self.confidence, distance=self.distance, key_area=self.key_area
        )  # fmt: skip


class MasksAhead:
    """The background thread and the masks that it has made. Close it at the end.

    Args:
        frames: of the clip.
        keys: the painted frames.
        solver: of the affinity prior.
        device: torch device, "auto" or a name.
        changed: called in the thread with the frames whose masks are new, none where only `busy` or `error` is.
        params: see there.
    """

    def __init__(
        self, frames: ClipFrames, keys: KeyFrames, solver: Solver, device: str,
        changed: Callable[[Sequence[int]], None], params: AheadParams = AHEAD,
    ) -> None:  # fmt: skip
        self._frames, self._keys, self._changed, self._params = frames, keys, changed, params
        self._prior, self._device = AffinityPrior("closed-form", solver), device
        self._small = frames.small(network_shape(*frames.size, params.training.side))
        self._wake, self._stop = threading.Condition(), threading.Event()
        self._closed, self._held, self._centre, self._touched = False, False, 0, 0.0
        self._versions, self._trained = dict[int, int](), dict[int, int]()
        self._chains = list[Chain]()
        self._states = dict[tuple[Direction, int], _Stored]()
        self._key_masks = dict[tuple[int, int], TrackedMask]()
        self._masks, self._figures = dict[int, _Stored](), dict[int, dict[str, Any]]()
        self._net: MaskNet | None = None
        self._guide: SubjectGuide | None = None
        self._memories = dict[tuple[Direction, int], SubjectMemory]()
        self.busy, self.error = "", ""
        """What is being done ("propagating", "training"), and what went wrong last."""
        self._thread = threading.Thread(target=self._run, name="masks ahead", daemon=True)
        self._thread.start()

    # ------------------------------------------------------------------------------------------------ for the session
    def look(self, frame: int) -> None:
        """Set the frame in view."""
        with self._wake:
            self._centre = frame
            self._wake.notify_all()

    def touch(self) -> None:
        """Tell that what is painted has changed."""
        with self._wake:
            self._touched = time.monotonic()
            self._stop.set()
            self._wake.notify_all()

    def hold(self, on: bool) -> None:
        """Do nothing while this is on: the clip is being matted."""
        with self._wake:
            if on:
                self._stop.set()
            self._held = on
            self._wake.notify_all()

    def mask(self, frame: int) -> np.ndarray | None:
        """The mask of a frame, (h, w) uint8; None where there is none."""
        stored = self._masks.get(frame)
        return None if stored is None else stored.tracked().mask

    def figures(self) -> dict[int, dict[str, Any]]:
        """By frame, the figures of its mask, see `video.propagation.report.frame_figures`."""
        return dict(self._figures)

    def close(self) -> None:
        """Stop the thread: it ends after the frame or training step that it is at."""
        with self._wake:
            self._closed = True
            self._stop.set()
            self._wake.notify_all()
        self._thread.join()

    # -------------------------------------------------------------------------------------------------- in the thread
    def _run(self) -> None:
        failed: Mapping[int, int] | None = None
        while True:
            with self._wake:
                idle = self._held or not self._wanted(failed)
                if not self._closed and idle:
                    self._set_busy("")
                    self._wake.wait()
                quiet = self._touched + self._params.quiet - time.monotonic()
                if not self._closed and quiet > 0:
                    self._wake.wait(quiet)
                    continue
                if self._closed:
                    return
                if self._held:
                    continue
                self._stop.clear()
            try:
                self._work()
                self.error = ""
            except Exception as error:  # shown on the page; the next change tries again
                text = str(error) if isinstance(error, UhrmatError) else f"{type(error).__name__}: {error}"
                failed, self.error = self._versions, text
                self._set_busy("", always=True)

    def _wanted(self, failed: Mapping[int, int] | None) -> bool:
        """Whether there is something to do."""
        versions = self._keys.versions()
        if versions != self._versions:
            return True
        if not self._chains or self._versions is failed:
            return False
        return self._trained != versions or self._next() is not None

    def _next(self) -> Chain | None:
        trained = self._trained == self._versions
        return next_chain(self._chains, self._centre, self._params.reach if trained else self._params.near)

    def _work(self) -> None:
        """One step: take in what is painted, propagate one mask, or train."""
        versions = self._keys.versions()
        if versions != self._versions:
            self._take_in(versions)
            return
        chain = self._next()
        if chain is not None:
            self._set_busy("propagating")
            self._follow(chain)
        elif self._chains and self._trained != versions:
            self._set_busy("training")
            self._train()

    def _take_in(self, versions: dict[int, int]) -> None:
        """Begin anew the chains that what is painted now has made stale."""
        before = {(chain.key, chain.version, chain.step): chain for chain in self._chains}
        self._versions = versions
        chains = [chain.going_on(before.get((chain.key, chain.version, chain.step)))
                  for chain in make_chains(versions, self._frames.count)]  # fmt: skip
        stale = {frame for frame in self._figures if any(chain.leads_to(frame) for chain in chains)}
        self._begin(chains)
        if not versions:
            stale |= self._figures.keys()
            self._masks.clear()
        for frame in stale:
            self._figures.pop(frame, None)
        for index in [key for key in self._key_masks if versions.get(key[0]) != key[1]]:
            self._key_masks.pop(index)
        for key in versions:
            self._show(key)
        self._changed([*stale, *versions])

    def _begin(self, chains: list[Chain]) -> None:
        """Go on with these chains; the states of all others are dropped."""
        there = {
            (chain.direction, frame)
            for chain in chains
            for frame in range(chain.key + chain.step, chain.reached + chain.step, chain.step)
        }
        self._chains = chains
        places = {(chain.direction, chain.key) for chain in chains}
        self._memories = {place: memory for place, memory in self._memories.items() if place in places}
        self._states = {place: state for place, state in self._states.items() if place in there}

    def _key_mask(self, key: int) -> TrackedMask:
        """The mask of a painted frame."""
        place = key, self._versions[key]
        if place not in self._key_masks:
            alpha = solve_key_trimap(self._small(key), self._keys.trimap(key), self._prior)
            self._key_masks[place] = TrackedMask.of_key(alpha)
        return self._key_masks[place]

    def _follow(self, chain: Chain) -> None:
        """Propagate a chain's mask to its next frame."""
        frame = chain.following
        assert frame is not None
        if self._net is None:
            self._device = pick_device(self._device)
            self._net, self._guide = load_base_network(self._device), SubjectGuide.bundled(self._device)
        assert self._guide is not None
        now, before = self._small(frame, chain.step), self._small(chain.reached, chain.step)
        place = chain.direction, chain.key
        if chain.reached == chain.key:
            last = self._key_mask(chain.key)
            self._memories[place] = SubjectMemory(self._guide, before, last)
        else:
            last = self._states[chain.direction, chain.reached].tracked()
        tracked = next_mask(self._net, self._memories[place], before, last, now)
        self._memories[place].remember(now, tracked)
        self._states[chain.direction, frame] = _Stored.of(tracked)
        chain.reached = frame
        self._show(frame)
        self._changed([frame])

    def _show(self, frame: int) -> None:
        """Blend the directions of a frame; of a painted frame, its own mask."""
        if frame in self._versions:
            tracked: TrackedMask | None = self._key_mask(frame)
        else:
            tracked = blend_directions(self._state("forward", frame), self._state("backward", frame))
        assert tracked is not None
        self._masks[frame] = _Stored.of(tracked)
        figures = {"confidence": round(tracked.confidence, 4), "propagation": state_of(tracked)}
        self._figures[frame] = {"number": frame, **figures}

    def _state(self, direction: Direction, frame: int) -> TrackedMask | None:
        stored = self._states.get((direction, frame))
        return None if stored is None else stored.tracked()

    def _train(self) -> None:
        """Train the network on what is painted, as `video.propagation.clip` does; given up where that changes."""
        net = train_on_keys(
            sorted(self._versions), lambda key: KeyFrame(self._small(key), self._key_mask(key).alpha), self._device,
            self._params.training, self._stop,
        )  # fmt: skip
        if net is None:
            return
        self._net, self._trained = net, self._versions
        self._begin(make_chains(self._versions, self._frames.count))

    def _set_busy(self, what: str, *, always: bool = False) -> None:
        if self.busy != what or always:
            self.busy = what
            self._changed([])
