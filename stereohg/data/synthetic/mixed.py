"""Both kinds of synthetic scenes, one after the other."""

from dataclasses import dataclass

from stereohg.data.synthetic.rooms import SyntheticRooms
from stereohg.data.synthetic.scene import Scene
from stereohg.data.synthetic.scenes import SyntheticStereo

LAYERED_OF = 3  # every so manyth scene is a pile of surfaces, the others are rooms


@dataclass(frozen=True)
class SyntheticMix:
    """Two rooms, then one pile of surfaces, and so on; ``SyntheticMix()[7]`` is the same pair everywhere.

    Args:
        height: of the images, pixels.
        width: of the images, pixels.
        seed: another seed, another world.
        max_disp: hardly anything is nearer than this, pixels.
        asymmetry: of the two cameras, 0 to 1; see ``SyntheticStereo``.
    """

    height: int = 256
    width: int = 512
    seed: int = 0
    max_disp: float = 192.0
    asymmetry: float = 1.0

    def __getitem__(self, index: int) -> Scene:
        source = SyntheticStereo if index % LAYERED_OF == LAYERED_OF - 1 else SyntheticRooms
        return source(self.height, self.width, self.seed, self.max_disp, self.asymmetry)[index]
