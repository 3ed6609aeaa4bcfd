"""Parameters of the chroma key."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ChromaKeyParams:
    """Parameters of the chroma key: how the screen is found, measured and keyed.

    Excess is the colour difference of `media.chroma.key_excess`. Shares of the short side are of the downsampled
    picture. Not tuned by a command; `tests/prior/test_key.py` holds them to composites with known alpha. All may be
    changed.

    Attributes:
        green_hue: hue of a green screen, degrees in the chroma plane, where red is at 120.
        blue_hue: hue of a blue screen, degrees.
        hue_tolerance: degrees by which a named or given hue may be off.
        screen_hue_tolerance: degrees around the most frequent hue that are the screen's.
        least_chroma: saturation from which on a pixel can be screen, in [0, 1].
        least_share: share of the picture that a screen takes at least.
        hue_bins: bins of the histogram of hues.
        border: width of the picture's border, as a share of the short side, where a pixel counts more: subjects seldom
            reach around it.
        border_weight: how many times a pixel counts there.
        strongest: the screen's colour is the median of pixels with at least this share of the strong excess.
        seen: share of the screen's excess from which on a pixel may be screen.
        certain: share of the excess expected at a place from which on a pixel is screen.
        least_expected: least share of the screen's excess that is expected anywhere.
        colour_distance: most that any channel of a screen pixel is off the fitted screen, in [0, 1].
        fit_rounds: how often screen and fit are renewed in turn.
        fit_steps: steps of the robust fit.
        fit_pixels: most pixels that a fit takes.
        least_fitted: with fewer screen pixels than this the screen is taken for even.
        least_full: least excess of the screen that is divided by, in [0, 1].
        core_depth: depth of the subject's core under its edge, as a share of the short side; at least
            `least_core_depth` pixels. Further inside there is no screen.
        least_core_depth: pixels.
        core_edge: share of the screen's excess, after a blur of 1 pixel, below which the subject begins.
        core_share: share of the screen's excess from which on a pixel is no core, however deep inside.
        flat_core: share of the screen's excess below which a pixel is core where nothing lies deep inside.
        most_spill: most of the screen's excess that counts as spill on the subject.
        noise_quantile: quantile of the alpha where the screen is certain that counts as its noise.
        noise_factor: alphas up to this many times the noise become 0.
        clear: alphas up to this become 0 also without noise.
        most_clear: but never alphas above this.
        solid: alphas from this on become 1.
    """

    green_hue: float = 0.0
    blue_hue: float = -120.0
    hue_tolerance: float = 50.0
    screen_hue_tolerance: float = 20.0
    least_chroma: float = 0.08
    least_share: float = 0.02
    hue_bins: int = 72
    border: float = 0.04
    border_weight: float = 8.0
    strongest: float = 0.6
    seen: float = 0.55
    certain: float = 0.75
    least_expected: float = 0.25
    colour_distance: float = 0.25
    fit_rounds: int = 3
    fit_steps: int = 3
    fit_pixels: int = 20_000
    least_fitted: int = 64
    least_full: float = 0.02
    core_depth: float = 0.012
    least_core_depth: float = 2.0
    core_edge: float = 0.35
    core_share: float = 0.5
    flat_core: float = 0.1
    most_spill: float = 0.5
    noise_quantile: float = 0.995
    noise_factor: float = 1.2
    clear: float = 0.02
    most_clear: float = 0.3
    solid: float = 0.97


CHROMA_KEY_DEFAULTS = ChromaKeyParams()
