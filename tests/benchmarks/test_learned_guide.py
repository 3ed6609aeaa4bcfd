"""The learned guide is the guided filter before it is trained, and a command that trains and measures it."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import torch

from benchmarks import learned_guide
from benchmarks.learned_guide import LearnedGuide, LearnedGuideRefiner
from uhrmat.media import Picture
from uhrmat.refine.base import RefineInput
from uhrmat.refine.baselines import GuidedRefiner
from uhrmat.refine.fuse import upsampled_prior


def test_untrained_it_is_the_guided_filter() -> None:
    rng = np.random.default_rng(3)
    small = rng.random((24, 30, 3), np.float32)
    prior = cv2.GaussianBlur(rng.random((24, 30), np.float32), (0, 0), 2)
    picture = Picture.from_array(cv2.resize(small, (60, 48)))
    inputs = RefineInput(picture, small, prior, None, np.ones((48, 60), bool))
    plain, learned = (upsampled_prior(prior, np.full((48, 60), 128, np.uint8)) for _ in range(2))
    GuidedRefiner().refine(inputs, plain)
    torch.manual_seed(0)
    LearnedGuideRefiner(LearnedGuide()).refine(inputs, learned)
    # The borders differ by how each library reflects; 8 pixels of the small picture reach there.
    inner = np.s_[18:-18, 18:-18]
    assert np.abs(plain - learned)[inner].max() < 2e-3 and np.abs(plain[inner]).std() > 0.01


def test_it_is_trained_and_measured(disc: Path, tmp_path: Path) -> None:
    options = {"--data": disc, "--cache": disc / "scenes", "--runs": tmp_path / "runs", "--results": tmp_path}
    words = [str(word) for pair in options.items() for word in pair]
    before = torch.get_num_threads()
    learned_guide.main([*words, "--half", "--quick", "--threads", "1"])
    torch.set_num_threads(before)
    result = json.loads((tmp_path / "learned-guide.json").read_text())
    assert [row["case"] for row in result["ways"]] == ["bilinear", "guided", "learned guide"] and result["steps"] == 2
    assert all(row["sad"] > 0 for row in result["ways"])
    log = [json.loads(line) for line in (tmp_path / "runs" / "log.jsonl").read_text().splitlines()]
    assert log[-1]["network"] != log[-1]["guided"] > 0
