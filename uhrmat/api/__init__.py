"""The public Python interface: `uhrmat.MattingPipeline`, `uhrmat.matte` and their results."""
