"""Training on a user's own objects: what `mobileinst train` does, on top of `weights_tools.training`."""
