"""Weights of the Hub that `uhrmat models pull --recommended` fetches, by kind of device."""

from __future__ import annotations

RECOMMENDED = {
    "cpu": ("edgetam",),
    "cuda": ("birefnet-lite", "edgetam", "sam2.1-tiny", "vitmatte-small"),
}
"""On a CPU what answers within seconds there: EdgeTAM for points and boxes (the bundled network finds subjects without
a hint). On a GPU also BiRefNet-lite for pictures without a hint, SAM 2.1 and ViTMatte. All of them under licences that
allow commercial use; what is known of their training data is in the catalogue."""


def recommended_weights(device: str) -> tuple[str, ...]:
    """Names of the catalogue for a torch device, such as "cpu" or "cuda:1"."""
    return RECOMMENDED.get(device.split(":")[0], RECOMMENDED["cpu"])
