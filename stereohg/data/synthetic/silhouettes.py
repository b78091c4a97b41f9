"""Outlines of objects: coverage (h,w) uint8, 255 inside, antialiased."""

import cv2
import numpy as np


def polygon(random, h, w) -> np.ndarray:
    corners = int(random.integers(3, 9))
    angles = np.sort(random.uniform(0, 2 * np.pi, corners))
    radius = random.uniform(0.55, 1.0, corners)
    points = np.stack([w / 2 * (1 + radius * np.cos(angles)), h / 2 * (1 + radius * np.sin(angles))], 1)
    return _fill(h, w, [points])


def box(random, h, w) -> np.ndarray:
    return np.full((h, w), 255, np.uint8)


def ellipse(random, h, w) -> np.ndarray:
    angles = np.linspace(0, 2 * np.pi, 64)
    outer = np.stack([w / 2 * (1 + np.cos(angles)), h / 2 * (1 + np.sin(angles))], 1)
    if random.random() < 0.3:  # a ring
        hole = random.uniform(0.5, 0.85)
        return _fill(h, w, [outer, (outer - [w / 2, h / 2]) * hole + [w / 2, h / 2]])
    return _fill(h, w, [outer])


def blob(random, h, w) -> np.ndarray:
    noise = cv2.resize(random.standard_normal((6, 6)).astype(np.float32), (w, h), interpolation=cv2.INTER_CUBIC)
    y, x = np.mgrid[-1 : 1 : h * 1j, -1 : 1 : w * 1j].astype(np.float32)
    inside = 0.9 - np.hypot(x, y) + 0.35 * noise
    return np.clip(inside * min(h, w) * 128 + 128, 0, 255).astype(np.uint8)


def poles(random, h, w) -> np.ndarray:
    poles = []
    for _ in range(random.integers(1, 5)):
        thickness = random.uniform(1.5, 8)
        start, end = random.uniform(0, w, 2)
        lean = end if random.random() < 0.5 else start
        edge = np.array([[start, 0.0], [lean, float(h)]])
        side = np.array([thickness / 2, 0.0])
        poles.append(np.concatenate([edge - side, edge[::-1] + side]))
    return _join(h, w, poles)


def lattice(random, h, w) -> np.ndarray:
    step, thickness = random.uniform(10, 40), random.uniform(1.5, 5)
    bars = []
    for x in np.arange(step / 2, w, step):
        bars.append(np.array([[x, 0], [x + thickness, 0], [x + thickness, h], [x, h]]))
    if random.random() < 0.6:
        for y in np.arange(step / 2, h, step):
            bars.append(np.array([[0, y], [w, y], [w, y + thickness], [0, y + thickness]]))
    return _join(h, w, bars)


def branches(random, h, w) -> np.ndarray:
    canvas = np.zeros((h, w), np.uint8)
    for _ in range(random.integers(4, 14)):
        points = np.cumsum(random.normal(0, [w / 8, h / 8], (6, 2)), 0) + [w / 2, h / 2]
        points = (points * 16).astype(np.int32)
        cv2.polylines(canvas, [points], False, 255, int(random.integers(2, 7)), cv2.LINE_AA, 4)
    return canvas


SILHOUETTES = (polygon, box, ellipse, blob, poles, lattice, branches)
SHARES = (0.24, 0.12, 0.2, 0.18, 0.12, 0.06, 0.08)


def _fill(h: int, w: int, polygons: list[np.ndarray]) -> np.ndarray:
    """Even-odd filled polygons of float corners."""
    canvas = np.zeros((h, w), np.uint8)
    cv2.fillPoly(canvas, [np.round(p * 16).astype(np.int32) for p in polygons], 255, cv2.LINE_AA, 4)
    return canvas


def _join(h: int, w: int, polygons: list[np.ndarray]) -> np.ndarray:
    canvas = np.zeros((h, w), np.uint8)
    for polygon in polygons:
        cv2.fillPoly(canvas, [np.round(polygon * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return canvas
