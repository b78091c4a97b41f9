"""What surfaces are painted with: photographs, noise, paint and patterns, uint8 (h,w,3).

The photographs are those scikit-image ships that are in the public domain or CC0.
"""

import hashlib
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np

from stereohg.files import read_image

PHOTOGRAPHS = (
    "astronaut.png",
    "brick.png",
    "camera.png",
    "chelsea.png",
    "clock_motion.png",
    "coffee.png",
    "grass.png",
    "gravel.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "retina.jpg",
    "rocket.jpg",
)
"""Files of scikit-image's ``skimage/data``, public domain or CC0."""

NUM_MADE = 96
TILE = 256  # pixels on the side of a made texture
LARGE = 800  # pixels on the longer side of a photograph


def photograph_paths() -> list[Path]:
    """Where scikit-image keeps the photographs; a named error where it is not installed."""
    try:
        folder = files("skimage") / "data"
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "synthetic scenes take their photographs from scikit-image: pip install 'stereohg[train]'"
        ) from error
    return [Path(str(folder / name)) for name in PHOTOGRAPHS]


def photograph_hashes() -> dict[str, str]:
    """File name to SHA-256, for a model's card."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in photograph_paths()}


@lru_cache(maxsize=1)
def load_textures() -> list[np.ndarray]:
    """Photographs at two scales (half of the list) and made textures, uint8 (h,w,3)."""
    photographs = []
    for path in photograph_paths():
        image = read_image(path)
        if max(image.shape) > LARGE:
            image = shrunk(image, 0.8)
        photographs += [image, shrunk(image, 0.5)]
    random = np.random.default_rng(2018)
    made = [make_texture(random) for _ in range(NUM_MADE)]
    repeats = NUM_MADE // len(photographs)
    return photographs * repeats + made


def shrunk(image: np.ndarray, factor: float) -> np.ndarray:
    return cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)


REPEATING = (0.65, 0.88)  # the kinds of ``make_texture`` that are stripes and checks


def make_texture(random, kinds: tuple[float, float] = (0.0, 1.0)) -> np.ndarray:
    """Noise of some roughness, flat paint, stripes, checks, dots or scribble, 256x256."""
    size, kind = TILE, random.uniform(*kinds)
    if kind < 0.45:
        image = noise(random, size, random.uniform(0.3, 1.1), first=int(random.integers(1, 6)))
    elif kind < 0.65:  # paint: almost nothing to match
        image = 0.06 * noise(random, size, 0.6, first=1) + 0.5
    elif kind < 0.78:
        period = random.uniform(6, 48)
        wave = np.sin(np.arange(size) * 2 * np.pi / period)
        image = np.broadcast_to(np.clip(wave * random.uniform(1, 8), -1, 1)[None, :, None], (size, size, 3)) * 0.5 + 0.5
    elif kind < 0.88:
        step = int(random.integers(4, 32))
        y, x = np.mgrid[:size, :size] // step
        image = np.repeat(((x + y) % 2)[..., None].astype(np.float32), 3, 2)
    else:
        canvas = np.full((size, size, 3), 0.9, np.float32)
        for _ in range(150):
            start = random.integers(0, size, 2)
            end = start + random.integers(-14, 15, 2)
            colour, thickness = (random.random(3) * 0.7).tolist(), 1 + int(random.integers(3))
            cv2.line(canvas, start.tolist(), end.tolist(), colour, thickness)
        image = canvas
    colours = random.uniform(0, 255, (2, 3))
    mixed = colours[0] + (colours[1] - colours[0]) * image
    if random.random() < 0.5:
        mixed = mixed + 25 * (noise(random, size, 0.9, first=16) - 0.5)
    return np.clip(mixed, 0, 255).astype(np.uint8)


def noise(random, size: int, roughness: float, first: int) -> np.ndarray:
    """Octaves of smooth noise from ``first`` cells on, each ``roughness`` times as strong; in [0,1]."""
    image, strength, cells = np.zeros((size, size, 3), np.float32), 1.0, first
    while cells <= size:
        octave = random.standard_normal((cells, cells, 3)).astype(np.float32)
        image += strength * cv2.resize(octave, (size, size), interpolation=cv2.INTER_CUBIC)
        strength, cells = strength * roughness, cells * 2
    low, high = np.percentile(image, (1, 99))
    return np.clip((image - low) / (high - low), 0, 1)
