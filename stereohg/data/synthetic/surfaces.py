"""Surfaces and the two cameras that look at them.

Shapes: H height, W width; images (H,W,3) float32 in [0,255], disparity (H,W) float32 pixels.
"""

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Surface:
    """d(x, y) = base + slope_x (x - x0) + slope_y (y - y0) + relief, where the silhouette covers (x, y)."""

    centre: tuple[float, float]
    base: float
    slope: tuple[float, float]
    relief: tuple[str, float, float, float]  # kind, height in pixels, extent in pixels, direction
    silhouette: np.ndarray | None  # uint8 coverage over ``origin``..; None covers everything
    origin: tuple[int, int]
    texture: np.ndarray
    mapping: np.ndarray  # 2x3, image to texture coordinates
    tone: tuple[np.ndarray, np.ndarray]  # gain and bias of each channel

    def disparity(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """d and its derivative along x."""
        u, v = x - np.float32(self.centre[0]), y - np.float32(self.centre[1])
        d = np.float32(self.base) + np.float32(self.slope[0]) * u + np.float32(self.slope[1]) * v
        dx = np.full_like(d, self.slope[0])
        kind, height, extent, angle = self.relief
        if kind == "bump":
            inside = np.maximum(1 - (u * u + v * v) / np.float32(extent**2), 0)
            d += np.float32(height) * inside
            dx += np.where(inside > 0, np.float32(-2 * height / extent**2) * u, np.float32(0))
        elif kind == "cylinder":
            inside = np.maximum(1 - (u / np.float32(extent)) ** 2, 0)
            d += np.float32(height) * inside
            dx += np.where(inside > 0, np.float32(-2 * height / extent**2) * u, np.float32(0))
        elif kind == "ripple":
            cos, sin = np.float32(np.cos(angle) / extent), np.float32(np.sin(angle) / extent)
            phase = cos * u + sin * v
            d += np.float32(height) * np.sin(phase)
            dx += np.float32(height) * cos * np.cos(phase)
        return d, dx

    def bounds(self, height: int, width: int, is_right: bool) -> tuple[int, int, int, int]:
        """Rows and columns of a view that the surface can reach: y0, y1, x0, x1."""
        if self.silhouette is None:
            return 0, height, 0, width
        h, w = self.silhouette.shape
        x0, y0 = self.origin
        x1, y1 = x0 + w, y0 + h
        if is_right:
            edges_y, edges_x = np.meshgrid(np.linspace(y0, y1, 9), np.linspace(x0, x1, 9), indexing="ij")
            d, _ = self.disparity(edges_x.astype(np.float32), edges_y.astype(np.float32))
            margin = 2 + abs(self.relief[1])
            x0, x1 = int(x0 - d.max() - margin), int(x1 - d.min() + margin)
        return max(y0 - 2, 0), min(y1 + 2, height), max(x0, 0), min(x1, width)


def render(surfaces, height: int, width: int, is_right: bool, offset: float) -> tuple[np.ndarray, np.ndarray]:
    """One view: colours float32 (H,W,3) and disparity (H,W), the nearest surface in front at every pixel.

    ``offset`` rows: the right camera looks that much lower.
    """
    image = np.zeros((height, width, 3), np.float32)
    depth = np.full((height, width), -np.inf, np.float32)
    for surface in surfaces:
        y0, y1, x0, x1 = surface.bounds(height, width, is_right)
        if y0 >= y1 or x0 >= x1:
            continue
        y, x = np.mgrid[y0:y1, x0:x1].astype(np.float32)
        if is_right:
            y += np.float32(offset)
            x = left_of(surface, x, y)
        d, _ = surface.disparity(x, y)
        colour, coverage = _sample(surface, x, y)
        here = np.s_[y0:y1, x0:x1]
        in_front = d > depth[here]
        alpha = np.where(in_front, coverage, np.float32(0))
        image[here] += alpha[..., None] * (colour - image[here])
        depth[here] = np.where(alpha > 0.5, d, depth[here])
    return image, np.maximum(depth, 0)


def left_of(surface: Surface, x_right: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The left x whose surface point lands on ``x_right``: Newton on x - d(x, y) = x_right."""
    x = x_right + np.float32(surface.base)
    flat = surface.relief[0] == "flat"
    for _ in range(1 if flat else 6):
        d, dx = surface.disparity(x, y)
        x = x - (x - d - x_right) / (1 - dx)
    return x


def _sample(surface: Surface, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Colour (h,w,3) float32 and coverage (h,w) in [0,1] of a surface at left-image positions."""
    m = surface.mapping
    u, v = m[0, 0] * x + m[0, 1] * y + m[0, 2], m[1, 0] * x + m[1, 1] * y + m[1, 2]
    texture = cv2.remap(surface.texture, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    gain, bias = surface.tone
    colour = np.clip(texture * gain + bias, 0, 255)
    if surface.silhouette is None:
        return colour, np.ones_like(x)
    ox, oy = surface.origin
    coverage = cv2.remap(surface.silhouette, x - ox, y - oy, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return colour, coverage.astype(np.float32) / 255
