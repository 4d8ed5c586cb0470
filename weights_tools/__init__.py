"""Tools around the weights: PyTorch interpreter, training, conversion, export. Needs PyTorch."""
