"""What the keypoints of a set are called, which are left and right of each other, and what joins them.

K is the number of keypoints; every number below is the index of one, from zero. Nothing else in the package knows a
body: flips, pictures and tables are made from these tables, and anyone's own set brings its own.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

RIGHT, LEFT = ("right", "Right", "RIGHT", "r", "R"), ("left", "Left", "LEFT", "l", "L")
EXCHANGED = dict(zip(RIGHT + LEFT, LEFT + RIGHT, strict=True))
WORD = "right|left|Right|Left|RIGHT|LEFT"
LAST = "(?=[tT]?(?![A-Za-z]))"  # with or without the t of rt and lt
SIDES = (
    f"{WORD}|(?<![A-Za-z])[rlRL]{LAST}",  # right_knee, KneeRight, r_knee, hip_r_1, knee.Rt
    WORD,
    f"[RL]{LAST}",  # kneeR, kneeRt
    "^[rlRL]",  # rknee, RKnee
)
"""Where in a name its sides stand; the first that finds the name with all of them exchanged counts."""


@dataclass(frozen=True)
class Skeleton:
    """The keypoints of a set.

    Attributes:
        name: of the skeleton.
        keypoints: their K names.
        flip_pairs: (right, left) of those that change places in a mirrored picture.
        limbs: pairs that a picture joins by a line.
        groups: titles and members of a table's columns; empty gives each keypoint its own.
        unscored: what MPII leaves out of the mean.
        torso: the two whose distance is PCK's unit, where papers on the set take it.

    Raises:
        ValueError: a name is there twice, an index is none of the keypoints', or one is in two flip pairs.
    """

    name: str
    keypoints: tuple[str, ...]
    flip_pairs: tuple[tuple[int, int], ...] = ()
    limbs: tuple[tuple[int, int], ...] = ()
    groups: tuple[tuple[str, tuple[int, ...]], ...] = ()
    unscored: tuple[int, ...] = ()
    torso: tuple[int, int] | None = None

    def __post_init__(self):
        twice = sorted({name for name in self.keypoints if self.keypoints.count(name) > 1})
        if twice or not self.keypoints:
            raise ValueError(f"skeleton {self.name} has {f'{twice[0]} twice' if twice else 'no keypoints'}")
        members = [index for _, group in self.groups for index in group]
        named = [*sum(self.flip_pairs, ()), *sum(self.limbs, ()), *members, *self.unscored, *(self.torso or ())]
        foreign = [index for index in named if not 0 <= index < len(self.keypoints)]
        if foreign:
            raise ValueError(f"skeleton {self.name} has {len(self)} keypoints, and none of index {foreign[0]}")
        flipped = sum(self.flip_pairs, ())
        if len(set(flipped)) < len(flipped):
            raise ValueError(f"skeleton {self.name} has a keypoint in two flip pairs: {self.flip_pairs}")

    def __len__(self) -> int:
        return len(self.keypoints)

    @property
    def flip_order(self) -> list[int]:
        """Which keypoint stands at each one's place once the picture is mirrored; applied twice, it changes nothing."""
        order = list(range(len(self)))
        for right, left in self.flip_pairs:
            order[right], order[left] = left, right
        return order

    def columns(self) -> list[tuple[str, list[int]]]:
        """The titles and members of a table's columns."""
        if not self.groups:
            return [(name, [index]) for index, name in enumerate(self.keypoints)]
        return [(title, list(members)) for title, members in self.groups]

    @classmethod
    def from_names(cls, name: str, keypoints: Sequence[str], limbs: Sequence[tuple[int, int]] = ()) -> "Skeleton":
        """The flip pairs are read off the names: right_knee and left_knee, KneeRight and KneeLeft, r_knee, lknee.

        Of two sides in a name both are exchanged: right_eye_left_corner is left_eye_right_corner in the mirror. Two
        names are a pair where each finds the other.
        """
        keypoints = tuple(keypoints)
        others = {keypoint: _mirrored(keypoint, keypoints) for keypoint in keypoints}
        pairs = [
            (keypoints.index(right), keypoints.index(left))
            for right, left in others.items()
            if left is not None and others[left] == right and right > left  # r comes after l
        ]
        return cls(name, keypoints, tuple(pairs), tuple(map(tuple, limbs)))

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "Skeleton":
        """What ``dataclasses.asdict`` makes of a skeleton, JSON's lists in place of tuples, as in a network's card."""
        return cls(**{name: _tuples(value) for name, value in document.items()})


def _mirrored(keypoint: str, others: Sequence[str]) -> str | None:
    """The name that is right where this one is left, and left where it is right; None where there is none."""
    for sides in SIDES:
        other = re.sub(sides, lambda side: EXCHANGED[side[0]], keypoint)
        if other != keypoint and other in others:
            return other
    return None


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


MPII = Skeleton(
    "mpii",
    (
        *("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle"),
        *("pelvis", "thorax", "upper_neck", "head_top"),
        *("right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist"),
    ),
    flip_pairs=((0, 5), (1, 4), (2, 3), (10, 15), (11, 14), (12, 13)),
    limbs=(
        *((0, 1), (1, 2), (2, 6), (6, 3), (3, 4), (4, 5)),
        *((6, 7), (7, 8), (8, 9)),
        *((10, 11), (11, 12), (12, 7), (7, 13), (13, 14), (14, 15)),
    ),
    groups=(
        ("head", (9,)),
        ("shoulder", (12, 13)),
        ("elbow", (11, 14)),
        ("wrist", (10, 15)),
        ("hip", (2, 3)),
        ("knee", (1, 4)),
        ("ankle", (0, 5)),
    ),
    unscored=(6, 7),
    torso=(13, 2),
)
"""MPII's 16 (Andriluka et al., CVPR 2014); the columns are those of its table."""

LSP = Skeleton(
    "lsp",
    (
        *("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle"),
        *("right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist"),
        *("neck", "head_top"),
    ),
    flip_pairs=((0, 5), (1, 4), (2, 3), (6, 11), (7, 10), (8, 9)),
    limbs=(
        *((0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (2, 8), (3, 9)),
        *((6, 7), (7, 8), (8, 12), (12, 9), (9, 10), (10, 11), (12, 13)),
    ),
    groups=(
        ("head", (12, 13)),
        ("shoulder", (8, 9)),
        ("elbow", (7, 10)),
        ("wrist", (6, 11)),
        ("hip", (2, 3)),
        ("knee", (1, 4)),
        ("ankle", (0, 5)),
    ),
    torso=(9, 2),
)
"""LSP's 14 (Johnson & Everingham, BMVC 2010); the torso is left shoulder to right hip."""

COCO = Skeleton(
    "coco",
    (
        *("nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder"),
        *("left_elbow", "right_elbow", "left_wrist", "right_wrist"),
        *("left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle"),
    ),
    flip_pairs=((2, 1), (4, 3), (6, 5), (8, 7), (10, 9), (12, 11), (14, 13), (16, 15)),
    limbs=(
        *((15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12)),
        *((5, 6), (5, 7), (6, 8), (7, 9), (8, 10)),
        *((1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6)),
    ),
    groups=(
        ("head", (0, 1, 2, 3, 4)),
        ("shoulder", (5, 6)),
        ("elbow", (7, 8)),
        ("wrist", (9, 10)),
        ("hip", (11, 12)),
        ("knee", (13, 14)),
        ("ankle", (15, 16)),
    ),
)
"""COCO's 17 (Lin et al., ECCV 2014)."""

SKELETONS = (MPII, LSP, COCO)
"""Those that are known by their names and numbers of keypoints."""
