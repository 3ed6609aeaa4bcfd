"""Procedural scenes with exact alpha at full resolution: the training data that anyone can make.

`render_scene(seed, height, width)` needs nothing but a seed; photographs and real (photo, alpha) pairs make it richer.
"""

from uhrmat.train.synth.kinds.pair import prepare_subjects
from uhrmat.train.synth.photos import find_training_data
from uhrmat.train.synth.scene import KINDS, Scene, compose, render_scene

__all__ = ["KINDS", "Scene", "compose", "find_training_data", "prepare_subjects", "render_scene"]
