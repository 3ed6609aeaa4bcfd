"""Mask propagation through a clip by a network that is trained on the clip's own key frames."""
