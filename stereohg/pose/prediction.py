"""From a picture, and boxes of people in it, to their keypoints.

Shapes: B crops, P people, K keypoints, H, W height and width of a crop, h = H/4, w = W/4; boxes (P,4) x, y, width,
height; keypoints (P,K,2) pixels of the picture (convention: ``data/people/crop.py``), scores (P,K).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stereohg.data.people.crop import STRIDE, Window
from stereohg.data.people.heatmaps import Targets
from stereohg.data.people.samples import check_size, make_crop
from stereohg.data.people.skeletons import SKELETONS, Skeleton
from stereohg.data.preprocess import Picture, as_rgb, normalise
from stereohg.devices import Precision, choose_device, choose_dtype
from stereohg.models.inference import ready_for_inference
from stereohg.models.keypoint import KeypointHourglass
from stereohg.models.weights import load_model
from stereohg.pose.decoding import Decoding, decode, flip_back
from stereohg.pose.keypoints import Keypoints

SIZE = 256  # of a crop, as pytorch-pose has it


class KeypointPredictor:
    """A keypoint network made ready for inference.

    Args:
        model: a ``KeypointHourglass`` (of which a copy is made ready), or the path of a weights file, ours or
            published.
        device: "auto" (CUDA, then MPS, then CPU) or a torch device.
        precision: "auto" is bfloat16 on CUDA devices that have it and float32 elsewhere.
        size: (H,W) of the crops, multiples of 4; what is no multiple of 64 is padded for the network. None is what the
            card says of the training, or 256x256.
        flip: the mean with the mirrored crop's heatmaps.
        decoding: "dark", "quarter" or "argmax"; see ``decode``. None is "dark", or, as published, "quarter".
        sigma: of the peaks that the network learnt, for "dark"; None is what the card says of the training, or 1.
        published: crops, decoding and rounding are pytorch-pose's (``PublishedCrop``, "quarter"), for its figures.
        skeleton: of the network's keypoints; None is the one in its card, or MPII's 16, COCO's 17 or LSP's 14.
        batch_size: crops that go through the network at once.

    Raises:
        ValueError: no keypoint network, or an option that cannot be, with the mend.
    """

    def __init__(
        self,
        model: nn.Module | str | Path,
        device="auto",
        precision: Precision = "auto",
        *,
        size: tuple[int, int] | None = None,
        flip: bool = False,
        decoding: Decoding | None = None,
        sigma: float | None = None,
        published: bool = False,
        skeleton: Skeleton | None = None,
        batch_size: int = 8,
    ):
        if not isinstance(model, nn.Module):
            model = load_model(model)
        if not isinstance(model, KeypointHourglass):
            raise ValueError(f"{type(model).__name__} is no keypoint network; make or load a keypoint_hourglass")
        card = getattr(model, "card", {})
        settings = _training_settings(card)
        size = 2 * (settings.get("size", SIZE),) if size is None else size
        check_size(size)
        if published and size[0] != size[1]:
            raise ValueError(f"size is {size}; the published crop is square")
        if published and decoding not in (None, "quarter"):
            raise ValueError(f"decoding is {decoding!r}, and the published one 'quarter'; give either, or published")
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; it must be 1 or more")
        self.skeleton = skeleton or _skeleton(card, model.num_keypoints)
        if len(self.skeleton) != model.num_keypoints:
            raise ValueError(
                f"the network has {model.num_keypoints} keypoints, and skeleton {self.skeleton.name} "
                f"{len(self.skeleton)}"
            )
        if flip and len(self.skeleton) > 1 and not self.skeleton.flip_pairs:
            raise ValueError(f"skeleton {self.skeleton.name} has no flip pairs, which flip needs; give skeleton=")
        self.device = choose_device(device)
        self.dtype = choose_dtype(precision, self.device)
        self.model = ready_for_inference(model).to(self.device)
        self.normalisation = card.get("normalisation", {})
        self.size, self.flip, self.batch_size = tuple(size), flip, batch_size
        self.decoding, self.published = decoding or ("quarter" if published else "dark"), published
        self.sigma = (settings.get("targets") or {}).get("sigma", Targets.sigma) if sigma is None else sigma

    @torch.inference_mode()
    def forward(self, image: Tensor) -> Tensor:
        """Normalised (B,3,H,W), H and W multiples of 4, to the last stack's heatmaps (B,K,h,w) float32."""
        height, width = image.shape[-2:]
        check_size((height, width))
        multiple = self.model.multiple
        image = F.pad(image.to(self.device, torch.float32), (0, -width % multiple, 0, -height % multiple))
        image = image.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            heatmaps = self.model(image)[-1].float()
        return heatmaps[..., : height // STRIDE, : width // STRIDE]

    def __call__(self, image: Picture, boxes: Sequence[Sequence[float]] | np.ndarray | None = None) -> Keypoints:
        """The keypoints of the people in the boxes; see ``predict_keypoints``."""
        image = as_rgb(image, upright=True)
        boxes = _checked_boxes(boxes, image.shape[:2])
        windows = [Window.of_box(box) for box in boxes]
        keypoints, scores = self.locate([image] * len(windows), windows)
        return Keypoints(keypoints, scores, boxes, self.skeleton)

    def locate(self, images: Sequence[np.ndarray], windows: Sequence[Window]) -> tuple[np.ndarray, np.ndarray]:
        """The keypoints (P,K,2) and scores (P,K) of the people in one window of each image (H,W,3) in [0,1]."""
        keypoints, scores = (
            np.zeros((len(windows), len(self.skeleton), 2)),
            np.zeros((len(windows), len(self.skeleton))),
        )
        crops = [
            make_crop(window, self.size, image.shape[:2], published=self.published)
            for image, window in zip(images, windows, strict=True)
        ]
        for start in range(0, len(crops), self.batch_size):
            batch = slice(start, start + self.batch_size)
            pictures = [crop.warp(image) for crop, image in zip(crops[batch], images[batch], strict=True)]
            heatmaps = self.heatmaps(torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2))
            cells, peaks = (answer.cpu().numpy() for answer in decode(heatmaps, self.decoding, self.sigma))
            keypoints[batch] = [crop.from_heatmap(own) for crop, own in zip(crops[batch], cells, strict=True)]
            scores[batch] = peaks
        return keypoints.astype(np.float32), scores.astype(np.float32)

    def heatmaps(self, crops: Tensor) -> Tensor:
        """RGB crops (B,3,H,W) in [0,1] to heatmaps (B,K,h,w), the flip test included."""
        image = normalise(crops, **self.normalisation)
        heatmaps = self.forward(image)
        if self.flip:
            heatmaps = (heatmaps + flip_back(self.forward(image.flip(3)), self.skeleton.flip_order)) / 2
        return heatmaps


def predict_keypoints(
    image: Picture,
    model: nn.Module | str | Path,
    boxes: Sequence[Sequence[float]] | np.ndarray | None = None,
    *,
    device: str = "auto",
    precision: Precision = "auto",
    size: tuple[int, int] | None = None,
    flip: bool = False,
    decoding: Decoding | None = None,
    published: bool = False,
    skeleton: Skeleton | None = None,
) -> Keypoints:
    """The keypoints of the people in a picture.

    Args:
        image: a path, a PIL image, or an array (H,W,3), (H,W) or (H,W,4) of uint8, uint16, or floats in [0,1] or
            [0,255]. A file is turned upright, as its EXIF orientation says; boxes and keypoints are in what is seen.
        model: a keypoint network, or the path of a weights file, ours or pytorch-pose's.
        boxes: (P,4) x, y, width, height of each person, pixels from the picture's corner (COCO); None is one person,
            the whole picture. The network sees a square a quarter wider than the box's longer side.
        device, precision, size, flip, decoding, published, skeleton: see ``KeypointPredictor``.

    Raises:
        ValueError: a picture, box, option or file that cannot be used, with the mend.
    """
    predictor = KeypointPredictor(
        model,
        device,
        precision,
        size=size,
        flip=flip,
        decoding=decoding,
        published=published,
        skeleton=skeleton,
    )
    return predictor(image, boxes)


def _training_settings(card: dict) -> dict:
    """Those that the network learnt with, where the card tells them."""
    training = card.get("training")
    settings = training.get("settings") if isinstance(training, dict) else None
    return settings if isinstance(settings, dict) else {}


def _skeleton(card: dict, num_keypoints: int) -> Skeleton:
    """The card's, or the one of this many keypoints; else nameless keypoints, of which none is left or right."""
    if "skeleton" in card:
        return Skeleton.from_dict(card["skeleton"])
    known = {len(skeleton): skeleton for skeleton in SKELETONS}
    return known.get(num_keypoints) or Skeleton("unknown", tuple(f"keypoint_{i}" for i in range(num_keypoints)))


def _checked_boxes(boxes: Sequence[Sequence[float]] | np.ndarray | None, picture: tuple[int, int]) -> np.ndarray:
    """(P,4) float32; the whole picture (H,W) where none are given."""
    height, width = picture
    if boxes is None:
        return np.array([[0, 0, width, height]], np.float32)
    boxes = np.asarray(boxes, np.float32)
    boxes = boxes.reshape(-1, 4) if boxes.size == 0 else boxes
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"boxes are {boxes.shape}; (P,4) was expected: x, y, width, height of each person")
    for number, (x, y, w, h) in enumerate(boxes):
        if not (np.isfinite(boxes[number]).all() and w > 0 and h > 0):
            raise ValueError(f"box {number} is {boxes[number].tolist()}; width and height must be positive")
        if x >= width or y >= height or x + w <= 0 or y + h <= 0:
            raise ValueError(f"box {number}, {boxes[number].tolist()}, is outside the picture of {width}x{height}")
    return boxes
