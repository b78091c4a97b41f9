"""A stereo pair with its ground truth, and the one base of all sets of them.

A set lists its files (matched by name, sorted, checked) and, where ground truth is more than one file, reads it. The
base does the rest: it reads, checks sizes, brings every sign of disparity to ours, transforms, and names the file that
is at fault. What it gives are whole samples of arrays; ``collate`` makes batches of tensors.

Shapes: B batch, H height, W width; images (H,W,3) uint8, uint16 or float32 in [0,1]; disparity (H,W) float32 pixels,
left x minus right x, positive; valid (H,W) bool. What is not known is ``valid == False`` (and 0 in disparity); a pair
without ground truth has no valid pixel.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from os.path import isfile  # False where a folder may not be read, such as lost+found
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from stereohg.calibration.cameras import StereoCalibration
from stereohg.calibration.formats import read_calibration
from stereohg.data.preprocess import IMAGENET_MEAN, IMAGENET_STD, as_rgb, normalise
from stereohg.data.samples import OnError, SampleDataset, some_of
from stereohg.files import read_disparity, read_image

# --- samples --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StereoSample:
    """One pair. The first group of maps belongs to the left image, ``right_*`` to the right one.

    ``visible`` is True where the right camera sees the point as well (published as "noc"), ``foreground`` on what
    KITTI calls objects; None where the set does not know. ``skipped`` tells of pairs that could not be read, in whose
    place this one stands.
    """

    left: np.ndarray
    right: np.ndarray
    disparity: np.ndarray
    valid: np.ndarray
    name: str
    visible: np.ndarray | None = None
    foreground: np.ndarray | None = None
    right_disparity: np.ndarray | None = None
    right_valid: np.ndarray | None = None
    skipped: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, pixels."""
        return self.left.shape[:2]

    def arrays(self) -> dict[str, np.ndarray]:
        """Every image and map that there is, by its field's name."""
        named = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        return {name: value for name, value in named.items() if isinstance(value, np.ndarray)}

    def each(self, function: Callable[[np.ndarray], np.ndarray]) -> "StereoSample":
        """The function applied to every image and map alike, as for a crop."""
        return replace(self, **{name: function(array) for name, array in self.arrays().items()})

    def mirrored(self) -> "StereoSample":
        """Both pictures mirrored and exchanged: again a rectified pair, whose left picture was the right one.

        Raises:
            ValueError: the right picture's ground truth is not there.
        """
        if self.right_disparity is None:
            raise ValueError(f"{self.name} has no ground truth of its right picture; it cannot become the left one")
        exchanged = replace(
            self,
            left=self.right,
            right=self.left,
            disparity=self.right_disparity,
            valid=self.right_valid,
            right_disparity=self.disparity,
            right_valid=self.valid,
            visible=None,
            foreground=None,
        )
        return exchanged.each(lambda array: array[:, ::-1])


class StereoBatch(NamedTuple):
    """Samples as tensors. A tuple with names, so that pinning and moving to a device work as for any other batch."""

    left: Tensor  # (B,3,H,W) float32, normalised
    right: Tensor  # (B,3,H,W)
    disparity: Tensor  # (B,H,W) float32
    valid: Tensor  # (B,H,W) bool
    name: list[str]
    skipped: tuple[str, ...] = ()


def collate(
    samples: Sequence[StereoSample],
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
) -> StereoBatch:
    """A batch of samples of one size, the images normalised; for ``DataLoader(..., collate_fn=collate)``.

    Raises:
        ValueError: the samples differ in size.
    """
    if len({sample.size for sample in samples}) > 1:
        sizes = ", ".join(f"{sample.name} {sample.size[1]}x{sample.size[0]}" for sample in samples)
        raise ValueError(f"a batch has pictures of one size, not {sizes}; crop them, or take batches of one")

    def images(view: str) -> Tensor:
        batch = torch.empty(len(samples), 3, *samples[0].size)
        for place, sample in zip(batch, samples, strict=True):
            place.copy_(torch.from_numpy(as_rgb(getattr(sample, view))).permute(2, 0, 1))
        return normalise(batch, mean, std)

    def maps(name: str) -> Tensor:
        return torch.from_numpy(np.stack([getattr(sample, name) for sample in samples]))

    return StereoBatch(
        left=images("left"),
        right=images("right"),
        disparity=maps("disparity"),
        valid=maps("valid"),
        name=[sample.name for sample in samples],
        skipped=tuple(message for sample in samples for message in sample.skipped),
    )


# --- files ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StereoFiles:
    """Where one pair lies. ``visible`` and ``foreground`` are files out of which the set makes those masks."""

    name: str
    left: Path
    right: Path
    disparity: Path | None = None
    right_disparity: Path | None = None
    visible: Path | None = None
    foreground: Path | None = None
    calibration: Path | None = None


@dataclass
class Listing:
    """The pairs of a set, sorted by name, and in words what was found without its counterpart."""

    files: list[StereoFiles] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def match(
    required: Mapping[str, Mapping[str, Path]], optional: Mapping[str, Mapping[str, Path]] | None = None
) -> Listing:
    """Puts together what bears the same name; the outer keys are fields of ``StereoFiles``, the inner ones names.

    A name that is not in all the required mappings is a problem; the optional ones give what they have.
    """
    listing = Listing()
    for name in sorted(set().union(*required.values())):
        there = {part: found[name] for part, found in required.items() if name in found}
        if len(there) < len(required):
            lacking = " and no ".join(part.replace("_", " ") for part in required if part not in there)
            listing.problems.append(f"{next(iter(there.values()))} has no {lacking} of its name")
            continue
        extra = {part: found[name] for part, found in (optional or {}).items() if name in found}
        listing.files.append(StereoFiles(name, **there, **extra))
    return listing


def files_in(folder: Path, ending: str) -> dict[str, Path]:
    """The files directly in a folder whose names end so, by what comes before; none where there is no such folder."""
    if not folder.is_dir():
        return {}
    return {name[: -len(ending)]: folder / name for name in sorted(os.listdir(folder)) if name.endswith(ending)}


def files_named(folder: Path, name: str) -> dict[str, Path]:
    """The file of this name in each folder that lies in ``folder``, by that folder's name."""
    if not folder.is_dir():
        return {}
    return {scene: folder / scene / name for scene in sorted(os.listdir(folder)) if isfile(folder / scene / name)}


def read_positive(path: Path, scale: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    """``read_disparity`` with our sign: a file of negative disparities is negated.

    Most of the pixels tell a file's sign; the others, which would lie beyond infinity, are marked unknown. Where there
    is one negative value, or fewer different ones than positive, they are codes for unknown.
    """
    disparity, valid = read_disparity(path, scale)
    if disparity.min() < 0:
        negative, positive = disparity[disparity < 0], disparity[disparity > 0]
        kinds = np.unique(negative).size
        if negative.size > positive.size and kinds > max(1, np.unique(positive).size):
            disparity = -disparity
        valid &= disparity >= 0
        disparity[~valid] = 0
    return disparity, valid


def read_mask(path: Path) -> np.ndarray:
    """The grey values of an 8-bit mask, (H,W)."""
    mask = read_image(path)
    if mask.dtype != np.uint8:
        raise ValueError(f"{path} has 16 bits a channel; a mask has 8")
    return mask[..., 0]


# --- sets -----------------------------------------------------------------------------------------------------------

Transform = Callable[[StereoSample, np.random.Generator], StereoSample]
VISIBLE = 255  # in a mask; 128 is occluded, 0 unknown


class StereoDataset(SampleDataset):
    """A set of stereo pairs; what the subclasses share. ``dataset[i]`` is a ``StereoSample``.

    Args:
        listing: of the files.
        transform: applied to each sample with a random generator of its own; see ``transforms.py``.
        seed: of these generators.
        on_error: what an unreadable pair does, see ``SampleDataset``; to skip leaves out files without counterpart.
        right_truth: whether to read the right picture's ground truth, where there is one; None does so when the
            transform has a use for it.

    Raises:
        ValueError: there are files without their counterpart, or two pairs of one name.
        FileNotFoundError: there is no pair at all.
    """

    noun = "pairs"

    def __init__(
        self,
        listing: Listing,
        transform: Transform | None = None,
        seed: int = 0,
        on_error: OnError = "raise",
        right_truth: bool | None = None,
    ):
        super().__init__(seed, on_error)
        self.files, self.problems = listing.files, listing.problems
        if self.problems and on_error == "raise":
            raise ValueError(
                f"{some_of(self.problems)}; `stereohg data check` lists all, and on_error='skip' leaves them out"
            )
        self.transform = transform
        self.right_truth = getattr(transform, "uses_right_truth", False) if right_truth is None else right_truth

    def __len__(self) -> int:
        return len(self.files)

    def name_of(self, index: int) -> str:
        """Of the sample, also where it cannot be read."""
        return self.files[index].name

    def sample(self, index: int, epoch: int) -> StereoSample:
        """The pair as this epoch transforms it."""
        self.check_index(index)
        sample = self.read_of(index, epoch)
        return sample if self.transform is None else self.transform(sample, self.random(index, epoch))

    def read_of(self, index: int, epoch: int) -> StereoSample:
        """What this epoch transforms; the same pair in every one, but for sets that are endless."""
        return self.read_or_next(index)

    def read(self, index: int) -> StereoSample:
        """The pair as it is on disk, before any transform.

        Raises:
            FileNotFoundError: a file is gone.
            ValueError: a file is damaged, or its size is not that of the left picture; the message names it.
        """
        files = self.files[index]
        left, right = read_image(files.left), read_image(files.right)
        sample = StereoSample(left, right, **self.read_truth(files, left.shape[:2]), name=files.name)
        for name, array in sample.arrays().items():
            if array.shape[:2] != sample.size:
                (height, width), (expected_height, expected_width) = array.shape[:2], sample.size
                path = getattr(files, name.replace("valid", "disparity"))
                raise ValueError(
                    f"{path} is {width}x{height} pixels, and {files.left} {expected_width}x{expected_height}; "
                    "all files of a pair are of one size"
                )
        return sample

    def read_truth(self, files: StereoFiles, size: tuple[int, int]) -> dict[str, np.ndarray]:
        """The maps of a sample, by their names in it; subclasses add theirs."""
        if files.disparity is None:
            return {"disparity": np.zeros(size, np.float32), "valid": np.zeros(size, bool)}
        truth = dict(zip(("disparity", "valid"), self.read_disparity(files.disparity), strict=True))
        if self.right_truth and files.right_disparity is not None:
            right = self.read_disparity(files.right_disparity)
            truth |= dict(zip(("right_disparity", "right_valid"), right, strict=True))
        return truth

    def read_disparity(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        """Disparity and valid of one file, in our sign."""
        return read_positive(path)

    def calibration(self, index: int) -> StereoCalibration | None:
        """The cameras of a pair, where the set has a file of them."""
        path = self.files[index].calibration
        return None if path is None else read_calibration(path)


class SceneFolders(StereoDataset):
    """Middlebury and ETH3D: sets with a folder a scene, whose mask of visible pixels holds 255."""

    def read_truth(self, files: StereoFiles, size: tuple[int, int]) -> dict[str, np.ndarray]:
        truth = super().read_truth(files, size)
        if files.visible is not None:
            truth["visible"] = read_mask(files.visible) == VISIBLE
        return truth


def no_pairs(where: Path, set_name: str, expected: str) -> FileNotFoundError:
    """The error of a set that finds nothing."""
    what = f"has nothing of {set_name} in it; expected was {expected}" if where.is_dir() else "is no folder"
    return FileNotFoundError(f"{where} {what}. `stereohg data check {where}` tells what a folder holds")
