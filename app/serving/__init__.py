"""`model.onnx` to predictions."""
