"""Training of MobileInst in PyTorch: ``python -m weights_tools.training CONFIG.toml``."""
