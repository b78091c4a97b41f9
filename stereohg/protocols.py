"""By which rules pairs are evaluated: those of papers' code, and the sets of the zero-shot tables."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Protocol:
    """What of a pair goes into the network, and which pixels of the answer count.

    Attributes:
        name: of the protocol.
        crop: (H,W) at the bottom right that is cut out first; where a picture is smaller, black is added.
        padded: (H,W) to which the network's input is then filled with zeros, at the top and on the right.
        above, below: only true disparities strictly between count, pixels; None is no bound.
        least_share: a pair is skipped when fewer than this of its positive disparities count.
    """

    name: str = "full"
    crop: tuple[int, int] | None = None
    padded: tuple[int, int] | None = None
    above: float | None = None
    below: float | None = None
    least_share: float = 0.0

    def range(self) -> str:
        """The true disparities that count, in words."""
        low = "" if self.above is None else f"{self.above:g} < "
        high = "" if self.below is None else f" < {self.below:g}"
        return f"{low}d{high}"


ProtocolName = Literal["full", "psmnet", "gwcnet"]
FULL = Protocol()
_PUBLISHED = {
    ("psmnet", "sceneflow"): Protocol("psmnet", below=192),
    ("psmnet", "kitti"): Protocol("psmnet", crop=(368, 1232), above=0),
    ("gwcnet", "sceneflow"): Protocol("gwcnet", crop=(512, 960), above=0, below=192, least_share=0.1),
    ("gwcnet", "kitti"): Protocol("gwcnet", padded=(384, 1248), above=0, below=192, least_share=0.1),
}


def choose_protocol(name: ProtocolName, data: str) -> Protocol:
    """The rules of evaluation by name.

    "full" is the whole picture and every known pixel. "psmnet" and "gwcnet" are what the two papers' code does: which
    rules these are depends on the set. GwcNet's code gives means per image; PSMNet's are over its batches, to which per
    image is nearest.

    Args:
        name: "full", "psmnet" or "gwcnet".
        data: the set's name in ``stereohg.data.registry``.

    Raises:
        ValueError: there is no such protocol, or it has no rules for the set.
    """
    if name == "full":
        return FULL
    family = next((family for _, family in _PUBLISHED if data.startswith(family)), data)
    if (name, family) not in _PUBLISHED:
        known = ("full", *dict.fromkeys(published for published, _ in _PUBLISHED))
        if name not in known:
            raise ValueError(f"there is no protocol {name!r}; known are {', '.join(known)}")
        raise ValueError(f"protocol {name!r} has rules for Scene Flow and KITTI, and none for {data}; use 'full'")
    return _PUBLISHED[name, family]


@dataclass(frozen=True)
class ZeroShotSet:
    """A set of the zero-shot protocol, and what papers report on it."""

    data: str
    split: str
    measures: tuple[str, ...]


ZERO_SHOT = (
    ZeroShotSet("kitti2012", "training", ("d1", "bad_3")),  # papers say "D1" or "3 px" of either
    ZeroShotSet("kitti2015", "training", ("d1", "bad_3")),
    ZeroShotSet("middlebury", "trainingH", ("bad_2",)),
    ZeroShotSet("middlebury", "trainingQ", ("bad_2",)),
    ZeroShotSet("eth3d", "training", ("bad_1",)),
)
