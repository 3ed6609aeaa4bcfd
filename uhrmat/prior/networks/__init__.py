"""Low-resolution alpha from networks: our own, ONNX files, transformers."""
