"""Synthetic stereo scenes with exact disparity; see ``scenes.py``."""

from stereohg.data.synthetic.scenes import Scene, SyntheticStereo
from stereohg.data.synthetic.textures import PHOTOGRAPHS, photograph_hashes

__all__ = ["PHOTOGRAPHS", "Scene", "SyntheticStereo", "photograph_hashes"]
