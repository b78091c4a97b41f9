"""The one way from pictures to network input.

The stereo networks were trained on RGB in [0,1] less the ImageNet mean, divided by the ImageNet deviation; weights that
were not say so in their card. Whatever a picture comes as, the same picture gives the same input.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from stereohg.files import read_image

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

Picture = str | Path | Image.Image | np.ndarray


def as_rgb(picture: Picture, upright: bool = False) -> np.ndarray:
    """Any picture as RGB float32 (H,W,3) in [0,1].

    Args:
        picture: a path, a PIL image, or an array (H,W), (H,W,1), (H,W,3) or (H,W,4) of uint8, uint16, or floats in
            [0,1] or in [0,255]; grey is repeated, alpha dropped. Floats count as [0,255] when the largest is 2 or more;
            between 1 and 2 they could be either, which is an error.
        upright: whether a file's EXIF orientation is applied; see ``read_image``.

    Raises:
        ValueError: another shape, type or range, with what was found.
    """
    if isinstance(picture, str | Path):
        picture = read_image(picture, upright)
    elif isinstance(picture, Image.Image):
        picture = _from_pil(picture)
    if not isinstance(picture, np.ndarray):
        mend = "; give picture.permute(1, 2, 0).numpy()" if isinstance(picture, Tensor) else ""
        raise ValueError(f"a picture is a path, a PIL image or a numpy array, not {type(picture).__name__}{mend}")
    image = picture[..., None] if picture.ndim == 2 else picture
    if image.ndim != 3 or image.shape[2] not in (1, 3, 4) or 0 in image.shape:
        mend = "; give picture.transpose(1, 2, 0)" if image.ndim == 3 and image.shape[0] in (1, 3, 4) else ""
        raise ValueError(f"an image array is (H,W), (H,W,1), (H,W,3) or (H,W,4), not {picture.shape}{mend}")
    image = np.repeat(image, 3, 2) if image.shape[2] == 1 else image
    return _unit_range(image[..., :3])


def _from_pil(picture: Image.Image) -> np.ndarray:
    if picture.mode.startswith("I;16"):
        return np.asarray(picture).astype(np.uint16)  # in this machine's order of bytes
    if picture.mode == "I":  # what PIL calls some 16-bit files
        low, high = picture.getextrema()
        if low < 0 or high > 65535:
            raise ValueError(f"a PIL image of mode 'I' holds 16 bits, 0 to 65535; this one goes from {low} to {high}")
        return np.asarray(picture).astype(np.uint16)
    return np.asarray(picture if picture.mode in ("F", "L", "RGB", "RGBA") else picture.convert("RGB"))


def _unit_range(image: np.ndarray) -> np.ndarray:
    if image.dtype == np.uint8:
        return image.astype(np.float32) / 255
    if image.dtype == np.uint16:
        return image.astype(np.float32) / 65535
    if not np.issubdtype(image.dtype, np.floating):
        raise ValueError(f"image values are uint8, uint16 or floats, not {image.dtype}")
    low, high = image.min(), image.max()
    if not (np.isfinite(low) and np.isfinite(high)) or low < 0 or high > 255:
        raise ValueError(f"float images lie in [0,1] or [0,255] without NaN; this one goes from {low:g} to {high:g}")
    if 1 < high < 2:
        raise ValueError(f"float images lie in [0,1] or [0,255], and up to {high:g} could be either; clip it to [0,1]")
    return image.astype(np.float32) / (255 if high > 1 else 1)


def normalise(image: Tensor, mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD) -> Tensor:
    """RGB (...,3,H,W) in [0,1] to network input."""
    mean, std = (torch.tensor(v, dtype=image.dtype, device=image.device).view(3, 1, 1) for v in (mean, std))
    return (image - mean) / std


def denormalise(image: Tensor, mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD) -> Tensor:
    """Network input to RGB (...,3,H,W) in [0,1]."""
    mean, std = (torch.tensor(v, dtype=image.dtype, device=image.device).view(3, 1, 1) for v in (mean, std))
    return image * std + mean


def to_tensor(image: np.ndarray, mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD) -> Tensor:
    """RGB float32 (H,W,3) in [0,1] to network input (3,H,W)."""
    image = np.ascontiguousarray(image)
    if min(image.strides) < 0:  # of a mirrored picture one pixel wide, which counts as contiguous
        image = image.copy()
    return normalise(torch.from_numpy(image).permute(2, 0, 1), mean, std)


class Padding:
    """Rows at the top and columns on the right up to a multiple, and off again.

    Args:
        height: of the picture, pixels.
        width: of the picture, pixels.
        multiple: of the padded height and width.
        mode: "constant" (zeros, which after normalising are mid-grey) or "replicate".
    """

    def __init__(self, height: int, width: int, multiple: int, mode: str = "constant"):
        # no remainders, which torch.export does not simplify, nor quotients below zero, which ONNX rounds the other way
        self.top, self.right = ((side + multiple - 1) // multiple * multiple - side for side in (height, width))
        self.height, self.width, self.mode = height, width, mode

    def pad(self, x: Tensor) -> Tensor:
        """(B,C,H,W) normalised to the padded size."""
        return F.pad(x, (0, self.right, self.top, 0), self.mode)

    def unpad(self, x: Tensor) -> Tensor:
        """(...,H,W) of the padded size to the original."""
        return x[..., self.top :, : self.width]
