"""Leeds Sports Pose (Johnson & Everingham, BMVC 2010) and its extension (CVPR 2011): a person a picture, 14 keypoints.

Files count pixels from one; here they are counted from zero. The two say different things in the third row: LSP
whether a joint is hidden (all are labelled), the extension whether it is labelled.
"""

from pathlib import Path
from typing import Any, Literal

import numpy as np

from stereohg.data.people.crop import Window
from stereohg.data.people.matlab import read_mat
from stereohg.data.people.samples import KeypointDataset, People, Person
from stereohg.data.people.skeletons import LSP, MPII, Skeleton

MEAN = (0.44420815, 0.43021569, 0.4039498)
TRAIN = 1000  # pictures of LSP; the rest are the test set
MPII_PLACES = [0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15, 8, 9]
"""Where LSP's 14 stand among MPII's 16: its neck is the upper neck."""
MIDDLES = ((6, (2, 3)), (7, (12, 13)))
"""The two of MPII that LSP lacks, pelvis and thorax, and between which two of MPII's they are put; published."""


class Lsp(KeypointDataset):
    """LSP, 2000 pictures::

        ROOT
          images/im0001.jpg
          joints.mat           joints (3,14,2000): x, y, and 1 where hidden

    Args:
        root: the folder.
        split: "train" (the first 1000), "test" (the rest), or "all".
        skeleton: LSP's own 14 keypoints, or MPII's 16 (or their names, "lsp" and "mpii"), of which pelvis and thorax
            are the middles of hips and shoulders, and known where both are visible.
        options: see ``KeypointDataset``.

    Raises:
        FileNotFoundError: the annotations are not there.
        ValueError: they are damaged or of another form.
    """

    mean = MEAN
    upright = False  # the official tools are of MATLAB, which turns none

    def __init__(
        self,
        root: str | Path,
        split: Literal["train", "test", "all"] = "train",
        skeleton: Skeleton | str = LSP,
        **options: Any,
    ):
        if split not in ("train", "test", "all"):
            raise ValueError(f"split is {split!r}; known are train, test, all")
        skeleton = _skeleton(skeleton)
        x, y, hidden = _joints(Path(root), (3, 14)).transpose(0, 2, 1)
        chosen = {"train": slice(TRAIN), "test": slice(TRAIN, None), "all": slice(None)}[split]
        people = People()
        for number in range(1, len(x) + 1)[chosen]:
            points = np.stack([x[number - 1], y[number - 1]], 1)
            visible = hidden[number - 1] == 0
            image = Path(root) / "images" / f"im{number:04d}.jpg"
            people.add(_person(image, points, np.ones(len(LSP), bool), visible, skeleton))
        super().__init__(people, skeleton, **options)


class LspExtended(KeypointDataset):
    """The extension, 10 000 pictures, all for training::

        ROOT
          images/im00001.jpg
          joints.mat           joints (14,3,10000): x, y, and 1 where labelled

    The window is around the keypoints, as people are small in these pictures. Arguments and errors are those of
    ``Lsp``, without its splits.
    """

    mean = MEAN
    upright = False  # the official tools are of MATLAB, which turns none

    def __init__(
        self,
        root: str | Path,
        skeleton: Skeleton | str = LSP,
        **options: Any,
    ):
        skeleton = _skeleton(skeleton)
        people = People()
        for number, joints in enumerate(_joints(Path(root), (14, 3)).transpose(2, 0, 1), 1):
            labelled = joints[:, 2] > 0
            image = Path(root) / "images" / f"im{number:05d}.jpg"
            people.add(_person(image, joints[:, :2], labelled, labelled, skeleton, around=True))
        super().__init__(people, skeleton, **options)


def _skeleton(skeleton: Skeleton | str) -> Skeleton:
    for known in (LSP, MPII):
        if skeleton in (known, known.name):
            return known
    name = getattr(skeleton, "name", skeleton)
    raise ValueError(f"skeleton is {name}; LSP has its own and can be brought to MPII's")


def _joints(root: Path, shape: tuple[int, int]) -> np.ndarray:
    if not (root / "joints.mat").is_file():
        raise FileNotFoundError(f"{root} has no joints.mat; the folder of LSP or of its extension was expected")
    (joints,) = read_mat(root / "joints.mat", "joints")
    joints = np.asarray(joints, np.float64)
    joints = joints[..., None] if joints.ndim == 2 else joints
    if joints.shape[:2] != shape:
        raise ValueError(
            f"{root / 'joints.mat'} has joints of {joints.shape}; LSP's are (3,14,N) and its extension's (14,3,N)"
        )
    return joints


def _person(
    image: Path, points: np.ndarray, labelled: np.ndarray, visible: np.ndarray, skeleton: Skeleton, around: bool = False
) -> Person:
    points = np.where(labelled[:, None], points - 1, 0)
    window = Window.of_points(points[labelled]) if around else None
    if skeleton is MPII:
        points, labelled, visible = _as_mpii(points, labelled, visible)
    return Person(image.stem, image, points.astype(np.float32), labelled, visible, window, image_id=image.stem)


def _as_mpii(points: np.ndarray, labelled: np.ndarray, visible: np.ndarray) -> tuple[np.ndarray, ...]:
    every, known, seen = np.zeros((len(MPII), 2)), np.zeros(len(MPII), bool), np.zeros(len(MPII), bool)
    every[MPII_PLACES], known[MPII_PLACES], seen[MPII_PLACES] = points, labelled, visible
    for place, pair in MIDDLES:
        known[place] = seen[place] = seen[list(pair)].all()
        every[place] = known[place] * every[list(pair)].mean(0)
    return every, known, seen
