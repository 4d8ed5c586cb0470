"""The backbones, each giving features at strides 8, 16, 32 and 64, and the blocks that they share."""
