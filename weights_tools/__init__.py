"""Tools around the weights: PyTorch interpreter, training, conversion, export. Needs PyTorch."""

try:
    import torch as _torch  # noqa: F401
except ImportError as error:  # pragma: no cover
    raise ImportError('weights_tools needs PyTorch: pip install "mobileinst[train]"') from error
