"""Tools around the weights: PyTorch interpreter of the network, training, conversion, export. Needs PyTorch."""
