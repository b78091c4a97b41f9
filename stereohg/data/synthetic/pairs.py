"""Rendered scenes as a set of pairs. Shapes: see ``stereohg/data/stereo.py``."""

from pathlib import Path

import numpy as np

from stereohg.data.samples import OnError
from stereohg.data.stereo import Listing, StereoDataset, StereoSample, Transform
from stereohg.data.synthetic.kept import KeptScenes
from stereohg.data.synthetic.mixed import SyntheticMix
from stereohg.data.synthetic.prerender import prerender
from stereohg.data.synthetic.rooms import SyntheticRooms
from stereohg.data.synthetic.scenes import SyntheticStereo
from stereohg.devices import choose_device

SCENES = {"layers": SyntheticStereo, "rooms": SyntheticRooms, "mixed": SyntheticMix}


class SyntheticPairs(StereoDataset):
    """The synthetic scenes as a set of ``length`` pairs; every epoch has scenes of its own, unless they are kept."""

    def __init__(
        self,
        scenes: SyntheticStereo | SyntheticRooms | SyntheticMix | KeptScenes,
        length: int,
        transform: Transform | None = None,
        seed: int = 0,
    ):
        super().__init__(Listing(), transform, seed)
        self.scenes, self.length = scenes, length

    def __len__(self) -> int:
        return self.length

    def name_of(self, index: int) -> str:
        return f"scene_{index}"

    def read_of(self, index: int, epoch: int) -> StereoSample:
        return self.read(index if isinstance(self.scenes, KeptScenes) else epoch * self.length + index)

    def read(self, index: int) -> StereoSample:
        """Any scene there is, whatever the length."""
        scene = self.scenes[index]
        valid = np.ones(scene.disparity.shape, bool)
        return StereoSample(scene.left, scene.right, scene.disparity, valid, self.name_of(index), ~scene.occluded)

    def calibration(self, index: int) -> None:
        return None


def synthetic_pairs(
    length: int = 1000,
    height: int = 256,
    width: int = 512,
    max_disp: float = 192.0,
    asymmetry: float = 1.0,
    scenes: str = "layers",
    keep: str | Path | None = None,
    device: str | None = None,
    transform: Transform | None = None,
    seed: int = 0,
    on_error: OnError = "raise",
) -> SyntheticPairs:
    """Rendered scenes ("layers", "rooms" or "mixed"), so many an epoch; see ``stereohg.data.synthetic``.

    Every epoch has scenes of its own; with a folder to ``keep`` them in, those of the first come back in every other,
    which takes no time and eleven bytes a pixel of disk. Those that are not there yet a ``device`` renders, such as
    "cuda", all of them before the first is asked for. There is no file that could be at fault.

    Raises:
        ValueError: there are no such scenes; or a device that is not here, or that has nothing to render or nowhere to
            keep it.
    """
    if scenes not in SCENES:
        raise ValueError(f"scenes is {scenes!r}; it must be {', '.join(SCENES)}")
    source = SCENES[scenes](height, width, seed, max_disp, asymmetry)
    if keep is None and device is None:
        return SyntheticPairs(source, length, transform, seed)
    if keep is None or device is not None and not isinstance(source, SyntheticRooms):
        raise ValueError(f"device is {device!r}; it renders scenes=rooms or mixed, and needs a folder to keep them in")
    kept = KeptScenes(source, Path(keep))
    if device is not None:
        prerender(kept, length, str(choose_device(device)))
    return SyntheticPairs(kept, length, transform, seed)
