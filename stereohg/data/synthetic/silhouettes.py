"""Outlines of objects: coverage (h,w) uint8, 255 inside, antialiased."""

import cv2
import numpy as np

FRACTION = 4  # bits of OpenCV's fixed-point coordinates


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
        _stroke(canvas, points, int(random.integers(2, 7)))
    return canvas


def fence(random, h, w) -> np.ndarray:
    """Slats between rails, as of a bench, a railing or a ladder; some have crosses."""
    step = random.uniform(0.06, 0.3) * w
    canvas = np.zeros((h, w), np.uint8)
    slat = step * random.uniform(0.15, 0.6)
    for x in np.arange(slat / 2, w, step):
        _stroke(canvas, [[x, 0], [x, h]], slat)
    rail = random.uniform(0.03, 0.12) * h
    for y in [rail / 2, h - rail / 2, *random.uniform(0, h, random.integers(0, 3))]:
        _stroke(canvas, [[0, y], [w, y]], rail)
    if random.random() < 0.3:
        panel = step * random.integers(2, 5)
        for x in np.arange(0, w, panel):
            _stroke(canvas, [[x, 0], [x + panel, h]], slat)
            _stroke(canvas, [[x + panel, 0], [x, h]], slat)
    return canvas


def wheel(random, h, w) -> np.ndarray:
    """Tyre, hub and spokes."""
    canvas = np.zeros((h, w), np.uint8)
    side = min(h, w)
    middle = radius = np.array([w / 2, h / 2])
    tyre, hub = random.uniform(0.08, 0.3), random.uniform(0.08, 0.35)
    circle = np.linspace(0, 2 * np.pi, 65)
    rim = np.stack([np.cos(circle), np.sin(circle)], 1)
    _stroke(canvas, middle + rim * radius * (1 - tyre / 2), tyre * side / 2)
    cv2.fillPoly(canvas, [_fixed(middle + rim * radius * hub)], 255, cv2.LINE_AA, FRACTION)
    spokes, lean = int(random.integers(3, 13)), random.normal(0, 0.2)
    for angle in np.arange(spokes) * 2 * np.pi / spokes + random.uniform(0, 2 * np.pi):
        ends = np.array([[np.cos(angle), np.sin(angle)], [np.cos(angle + lean), np.sin(angle + lean)]])
        _stroke(canvas, middle + ends * radius * [[hub], [1 - tyre / 2]], side * random.uniform(0.015, 0.05))
    return canvas


def truss(random, h, w) -> np.ndarray:
    """Straight bars between a few nodes: the frame of a bicycle, a stand, a crane."""
    canvas = np.zeros((h, w), np.uint8)
    nodes = random.uniform(0.05, 0.95, (int(random.integers(4, 10)), 2)) * [w, h]
    thickness = min(h, w) * random.uniform(0.02, 0.09)
    for i, node in enumerate(nodes):
        others = np.argsort(((nodes - node) ** 2).sum(1))[1 : 1 + random.integers(1, 4)]
        for other in {*others.tolist(), (i + 1) % len(nodes)}:
            _stroke(canvas, [node, nodes[other]], thickness * random.uniform(0.6, 1.4))
    return canvas


def tubes(random, h, w) -> np.ndarray:
    """Bent tubes and cables."""
    canvas = np.zeros((h, w), np.uint8)
    for _ in range(random.integers(2, 7)):
        points = random.uniform(0.02, 0.98, (4, 2)) * [w, h]
        t = np.linspace(0, 1, 33)[:, None]
        curve = sum(k * (1 - t) ** (3 - i) * t**i * points[i] for i, k in enumerate((1, 3, 3, 1)))
        _stroke(canvas, curve, min(h, w) * random.uniform(0.015, 0.08))
    return canvas


SILHOUETTES = (polygon, box, ellipse, blob, poles, lattice, branches)
OPENWORK = (fence, wheel, truss, tubes)
"""Things that one looks through: what lies behind is seen in their gaps, by one eye often not."""
SHARES = (0.24, 0.12, 0.2, 0.18, 0.12, 0.06, 0.08)


def _fixed(points) -> np.ndarray:
    return np.round(np.asarray(points) * 2**FRACTION).astype(np.int32)


def _stroke(canvas: np.ndarray, points, thickness: float) -> None:
    cv2.polylines(canvas, [_fixed(points)], False, 255, max(1, round(float(thickness))), cv2.LINE_AA, FRACTION)


def _fill(h: int, w: int, polygons: list[np.ndarray]) -> np.ndarray:
    """Even-odd filled polygons of float corners."""
    canvas = np.zeros((h, w), np.uint8)
    cv2.fillPoly(canvas, [_fixed(p) for p in polygons], 255, cv2.LINE_AA, FRACTION)
    return canvas


def _join(h: int, w: int, polygons: list[np.ndarray]) -> np.ndarray:
    canvas = np.zeros((h, w), np.uint8)
    for polygon in polygons:
        cv2.fillPoly(canvas, [_fixed(polygon)], 255, cv2.LINE_AA, FRACTION)
    return canvas
