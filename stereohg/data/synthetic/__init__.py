"""Synthetic stereo scenes with exact disparity; see ``scenes.py`` and ``rooms.py``."""

from stereohg.data.synthetic.kept import KeptScenes
from stereohg.data.synthetic.mixed import SyntheticMix
from stereohg.data.synthetic.rooms import SyntheticRooms
from stereohg.data.synthetic.scene import Scene
from stereohg.data.synthetic.scenes import SyntheticStereo
from stereohg.data.synthetic.textures import PHOTOGRAPHS, photograph_hashes

__all__ = [
    "PHOTOGRAPHS",
    "KeptScenes",
    "Scene",
    "SyntheticMix",
    "SyntheticRooms",
    "SyntheticStereo",
    "photograph_hashes",
]
