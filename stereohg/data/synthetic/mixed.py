"""Both kinds of synthetic scenes, one after the other."""

from dataclasses import dataclass

from stereohg.data.synthetic.rooms import SyntheticRooms
from stereohg.data.synthetic.scene import Scene
from stereohg.data.synthetic.scenes import SyntheticStereo

LAYERED_OF = 3  # every so manyth scene is a pile of surfaces, the others are rooms


@dataclass(frozen=True)
class SyntheticMix(SyntheticRooms):
    """Two rooms, then one pile of surfaces, and so on; ``SyntheticMix()[7]`` is the same pair everywhere."""

    def __getitem__(self, index: int) -> Scene:
        if self.is_layered(index):
            return SyntheticStereo(self.height, self.width, self.seed, self.max_disp, self.asymmetry)[index]
        return super().__getitem__(index)

    @staticmethod
    def is_layered(index: int) -> bool:
        return index % LAYERED_OF == LAYERED_OF - 1
