"""Clips: state across frames, hints in time, segments, and the three stages from file to file.

`ClipPipeline` mattes frame by frame and knows no files; `uhrmat.video.plan` says what a clip gives and loads no torch.
"""
