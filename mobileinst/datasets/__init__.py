"""Annotated images in the forms that annotation tools write, as one: what `mobileinst train` learns from.

Read are COCO JSON, YOLO-seg folders, labelme and VIA JSON, and folders of images with PNG masks; which of
them a path holds is found out (:mod:`.recognise`). Needs Pillow; PyYAML for YOLO's ``data.yaml``.
"""

from ..io.problems import Problem
from .model import Dataset, DatasetError, Item, Picture
from .recognise import read_dataset

__all__ = ["Dataset", "DatasetError", "Item", "Picture", "Problem", "read_dataset"]
