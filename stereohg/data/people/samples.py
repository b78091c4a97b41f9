"""A person in a picture with the keypoints, and the one base of all sets of them.

A set lists its people. The base does the rest: it reads the picture, crops the person, draws what is random, and the
heatmaps that the network is to answer; and it names the file that is at fault. ``collate`` makes batches of tensors.

Shapes: B batch, K keypoints, H, W height and width of a picture or crop, h = H/4, w = W/4 those of the heatmaps;
keypoints (K,2) float32, x and y in pixels of the whole picture, in the convention of ``crop.py``; labelled, visible
(K,) bool. What is not known is ``labelled == False`` (and 0 in keypoints).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from stereohg.data.people.crop import STRIDE, Crop, PublishedCrop, Window
from stereohg.data.people.heatmaps import PUBLISHED_TARGETS, Targets
from stereohg.data.people.skeletons import Skeleton
from stereohg.data.people.transforms import UNCHANGED, Augmentation
from stereohg.data.preprocess import IMAGENET_MEAN, IMAGENET_STD, as_rgb, normalise
from stereohg.data.samples import OnError, SampleDataset, some_of
from stereohg.files import read_image

NO_STD = (1.0, 1.0, 1.0)
"""The keypoint networks' input is the picture less a mean, divided by nothing, as published."""


# --- samples --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Person:
    """One person of a set, as its files have it.

    Attributes:
        name: of the person, once in the set.
        image: the picture's file.
        keypoints, labelled, visible: see above; what is labelled and not visible is hidden, and its place guessed.
        window: around the person; None is the whole picture, with the usual margin.
        head_size: PCKh's unit, pixels: 0.6 times the diagonal of MPII's head box; NaN where there is none.
        image_id: COCO's number of the picture, or whatever names it.
    """

    name: str
    image: Path
    keypoints: np.ndarray
    labelled: np.ndarray
    visible: np.ndarray
    window: Window | None = None
    head_size: float = float("nan")
    image_id: int | str = ""


@dataclass(frozen=True, eq=False)
class KeypointSample:
    """A person with the whole picture, before anything is cropped; ``person.window`` is there.

    ``image`` is (H,W,3) uint8 or uint16. ``skipped`` tells of people who could not be read, in whose place this one
    stands.
    """

    person: Person
    image: np.ndarray
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class KeypointExample:
    """A sample made ready for the network.

    Attributes:
        image: (H,W,3) float32 in [0,1], the crop.
        heatmaps: (K,h,w) float32.
        weight: (K,) float32, 0 for a keypoint that does not count.
        crop: the way back into the picture; a mirrored one has left and right exchanged.
        person: as on disk.
        counts: whether it is part of what is learnt.
        skipped: see ``KeypointSample``.
    """

    image: np.ndarray
    heatmaps: np.ndarray
    weight: np.ndarray
    crop: Crop
    person: Person
    counts: bool = True
    skipped: tuple[str, ...] = ()


class KeypointBatch(NamedTuple):
    """Examples as tensors."""

    image: Tensor  # (B,3,H,W) float32, normalised
    heatmaps: Tensor  # (B,K,h,w) float32
    weight: Tensor  # (B,K) float32
    counts: Tensor  # (B,) bool
    name: list[str]
    skipped: tuple[str, ...] = ()


def collate(
    examples: Sequence[KeypointExample],
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
) -> KeypointBatch:
    """A batch of examples; for ``DataLoader(..., collate_fn=collate)``. Sets have their own mean: ``dataset.mean``."""
    images = np.stack([example.image for example in examples])
    return KeypointBatch(
        image=normalise(torch.from_numpy(images).permute(0, 3, 1, 2), mean, std),
        heatmaps=torch.from_numpy(np.stack([example.heatmaps for example in examples])),
        weight=torch.from_numpy(np.stack([example.weight for example in examples])),
        counts=torch.tensor([example.counts for example in examples]),
        name=[example.person.name for example in examples],
        skipped=tuple(message for example in examples for message in example.skipped),
    )


# --- sets -----------------------------------------------------------------------------------------------------------


@dataclass
class People:
    """The people of a set, in words what is wrong with others, and how many were left out for an ordinary reason."""

    people: Sequence[Person] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    def add(self, person: Person) -> None:
        """Takes the person, or counts the reason not to: no keypoint labelled, or one of NaN, which is a problem."""
        broken = np.flatnonzero(~np.isfinite(person.keypoints).all(1))
        if broken.size:
            self.problems.append(f"{person.name} in {person.image.name} has a keypoint that is no number: {broken[0]}")
        elif not person.labelled.any():
            self.left_out["no keypoint labelled"] += 1
        else:
            self.people.append(person)


class KeypointDataset(SampleDataset):
    """A set of people with keypoints; what the subclasses share. ``dataset[i]`` is a ``KeypointExample``.

    Args:
        people: of the set.
        skeleton: of their keypoints.
        augmentation: how the crops of training vary; None is not at all.
        size: (H,W) of the crop, multiples of 4.
        targets: how heatmaps are drawn; None is ``Targets()``.
        seed: of what is random.
        on_error: what an unreadable person does, see ``SampleDataset``; to skip leaves out people whose annotation is
            broken.
        published: crops and targets are those of pytorch-pose, and hidden keypoints do not count; see
            ``PublishedCrop`` and ``PUBLISHED_TARGETS``.

    Raises:
        ValueError: an annotation is broken, there is nobody, an option is out of its range, or people are to be
            mirrored and no keypoint is known to be left or right.
    """

    noun = "people"
    mean = IMAGENET_MEAN
    """Of the set's pictures, RGB in [0,1]."""
    upright = True
    """Whether the annotations are of the pictures as they are seen, or of the pixels as they are stored."""

    def __init__(
        self,
        people: People,
        skeleton: Skeleton,
        augmentation: Augmentation | None = None,
        size: tuple[int, int] = (256, 256),
        targets: Targets | None = None,
        seed: int = 0,
        on_error: OnError = "raise",
        published: bool = False,
    ):
        super().__init__(seed, on_error)
        check_size(size)
        if published and size[0] != size[1]:
            raise ValueError(f"size is {size}; the published crop is square")
        if augmentation is not None and augmentation.mirrored and len(skeleton) > 1 and not skeleton.flip_pairs:
            raise ValueError(
                f"skeleton {skeleton.name} has no flip pairs, which mirrored people need; name the keypoints by their "
                "sides (right_knee, left_knee), or set the augmentation's mirrored to 0"
            )
        if people.problems and on_error == "raise":
            raise ValueError(f"{some_of(people.problems)}; on_error='skip' leaves them out")
        if not people.people:
            reasons = ", ".join(f"{count} with {reason}" for reason, count in people.left_out.items())
            raise ValueError(f"{type(self).__name__} has nobody in it" + (f", beside {reasons}" if reasons else ""))
        self.people, self.problems, self.left_out = people.people, people.problems, dict(people.left_out)
        self.skeleton, self.augmentation, self.size = skeleton, augmentation, size
        self.targets = targets or (PUBLISHED_TARGETS if published else Targets())
        self.published = published

    def __len__(self) -> int:
        return len(self.people)

    def sample(self, index: int, epoch: int) -> KeypointExample:
        """The person as training sees them in this epoch."""
        self.check_index(index)
        sample = self.read_or_next(index)
        change = UNCHANGED
        if self.augmentation is not None:
            change = self.augmentation.draw(self.random(index, epoch))
        person = sample.person
        window = replace(person.window, side=person.window.side * change.scale)
        crop = make_crop(window, self.size, sample.image.shape[:2], change.rotation, change.mirrored, self.published)
        counts = person.labelled & person.visible if self.published else person.labelled
        order = self.skeleton.flip_order if change.mirrored else slice(None)
        points, labelled, counts = crop.to_heatmap(person.keypoints)[order], person.labelled[order], counts[order]
        heatmaps, weight = self.targets(points, labelled, (self.size[0] // STRIDE, self.size[1] // STRIDE))
        image = change.coloured(crop.warp(as_rgb(sample.image)))
        return KeypointExample(image, heatmaps, weight * counts, crop, person, skipped=sample.skipped)

    def read(self, index: int) -> KeypointSample:
        """The person with the whole picture.

        Raises:
            FileNotFoundError: the picture is gone.
            ValueError: it is damaged; the message names it.
        """
        person = self.people[index]
        image = read_image(person.image, self.upright)
        if person.window is None:
            person = replace(person, window=Window.of_box((0, 0, *image.shape[1::-1])))
        return KeypointSample(person, image)


def make_crop(
    window: Window,
    size: tuple[int, int],
    picture: tuple[int, int],
    rotation: float = 0.0,
    mirrored: bool = False,
    published: bool = False,
) -> Crop:
    """The crop of a picture (H,W), ours or the published one."""
    if published:
        return PublishedCrop(window, size, rotation, mirrored, picture)
    return Crop(window, size, rotation, mirrored)


def check_size(size: tuple[int, int]) -> None:
    """ValueError unless heatmaps at a quarter of the size are whole."""
    if len(size) != 2 or any(length < STRIDE or length % STRIDE for length in size):
        raise ValueError(f"size is {size}; it is height and width of the crop, both multiples of {STRIDE}")
