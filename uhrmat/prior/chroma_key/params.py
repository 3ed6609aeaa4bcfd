"""Parameters of the chroma key."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ChromaKeyParams:
    """Parameters of the chroma key: how the screen is found, measured and keyed.

    Excess is the colour difference of `media.chroma.key_excess`. Shares of the short side are of the downsampled
    picture. Those from `clean_rounds` on were tuned by `python -m benchmarks.chroma_key --seeds 100-105`; all of them
    `tests/prior/test_key.py` holds to composites with known alpha. All may be changed.

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
        clean_rounds: how often the screen is estimated again without what looks like thin hair.
        strand_blur: standard deviation of the average by which thin hair stands out of the screen's noise, pixels.
        strand_factor: a pixel is screen whose average is off by less than so many deviations.
        hair_reach: how far from the subject thin hair is looked for, as a share of the short side. Farther away folds
            and shadows of the screen count as screen.
        smoothing: standard deviation of the blur of what the fit leaves, as a share of the short side.
        core_depth: depth of the subject's core under its edge, as a share of the short side; at least
            `least_core_depth` pixels. Further inside there is no screen, and the subject's colours are taken there.
        shallow_depth: depth, likewise, from which on pixels with nothing of the screen are core too.
        shallow_share: share of the screen's excess that counts as nothing of it.
        smooth_blur: standard deviation of the window in which that share must not vary, pixels.
        smooth_deviation: standard deviation by which it may: less than among strands with gaps between them.
        least_core_depth: pixels.
        core_edge: share of the screen's excess, after a blur of 1 pixel, below which the subject begins.
        core_share: share of the screen's excess from which on a pixel is no core, however deep inside.
        colour_share: share of the screen's excess up to which a pixel of the core counts for the subject's colours.
        flat_core: share of the screen's excess below which a pixel is core where nothing lies deep inside.
        most_spill: most of the screen's excess that counts as spill on the subject.
        rounds: how often the subject's colours and alpha are estimated in turn, each time from colours nearer its edge.
        steps: how often alpha and its covariance are renewed in a round.
        inside: alpha, averaged with `inside_blur`, from which on a pixel counts for the subject's colours later.
        inside_blur: standard deviation of that average, pixels.
        colour_factor: by which the maps of the subject's colours are smaller than the picture.
        colour_blur: standard deviation of the window in which they are measured, pixels of those maps.
        misfit: squared distance of a pixel's colour from what subject and screen can give, in variances of them and the
            noise, from which on the first alpha is faded in, wholly at twice as much: there is something else.
        least_spread: least variance of the subject's colours, [0, 1] squared.
        least_noise: least variance of the camera's noise, [0, 1] squared.
        clear: alphas less than this away from 0 and 1 become 0 and 1, and 0 those whose average over a few pixels
            (`strand_blur`) is.
        noise_factor: so do those below so many deviations of that average where only screen is seen; from there to
            twice as much alpha is faded in.
        fold_quantile: and those below this quantile of the averages farther away than `hair_reach`: folds.
        most_clear: but never averages above this.
        solid: averages of alpha (`strand_blur`) from this on begin to become 1.
        solid_full: and are 1 from this on.
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
    clean_rounds: int = 2
    strand_blur: float = 1.5
    strand_factor: float = 4.0
    hair_reach: float = 0.08
    smoothing: float = 0.01
    core_depth: float = 0.028
    shallow_depth: float = 0.012
    shallow_share: float = 0.05
    smooth_blur: float = 3.0
    smooth_deviation: float = 0.06
    least_core_depth: float = 2.0
    core_edge: float = 0.35
    core_share: float = 0.5
    colour_share: float = 0.2
    flat_core: float = 0.1
    most_spill: float = 0.5
    rounds: int = 2
    steps: int = 2
    inside: float = 0.95
    inside_blur: float = 1.5
    colour_factor: int = 4
    colour_blur: float = 1.5
    misfit: float = 16.0
    least_spread: float = 1e-4
    least_noise: float = 1e-5
    clear: float = 0.01
    noise_factor: float = 3.0
    fold_quantile: float = 0.99
    most_clear: float = 0.15
    solid: float = 0.92
    solid_full: float = 0.96


CHROMA_KEY_DEFAULTS = ChromaKeyParams()
