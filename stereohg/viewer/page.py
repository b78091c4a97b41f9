"""What a prediction looks like, as one HTML file: maps with their values, a slider, and points to turn.

The pictures are drawn here. The values under them go along in full, so that the page shows what the file holds.

Shapes: H height, W width; left (H,W,3), disparity and truth (H,W) float32 pixels, valid (H,W) bool, confidence (H,W) in
[0,1].
"""

import base64
import io
import zlib
from functools import cache
from importlib.resources import files

import cv2
import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from PIL import Image

from stereohg.calibration.cameras import StereoCalibration
from stereohg.data.preprocess import Picture, as_rgb
from stereohg.files import FilePath, replacing
from stereohg.metrics import disparity_metrics
from stereohg.visual import ERROR_LIMIT, colour_bar, colour_disparity, colour_range, error_map, shade

JPEG_QUALITY = 92  # of the left picture; the maps are lossless


def write_page(
    path: FilePath,
    left: Picture,
    disparity: np.ndarray,
    valid: np.ndarray | None = None,
    *,
    confidence: np.ndarray | None = None,
    truth: np.ndarray | None = None,
    truth_valid: np.ndarray | None = None,
    calibration: StereoCalibration | None = None,
    title: str = "",
) -> None:
    """Writes the page; it asks nothing of any other file or host.

    Without a calibration the focal length is guessed, the picture's width, and the page says so: shapes are then about
    right, lengths are in baselines, and there is no depth.

    Args:
        path: of the page, .html; its folder is made if need be.
        left: the picture that the disparity belongs to.
        disparity: (H,W) pixels; what is not finite is unknown.
        valid: (H,W) bool, where it is known.
        confidence: (H,W), shown to two digits.
        truth: (H,W) pixels, the ground truth.
        truth_valid: (H,W) bool, where that is known.
        calibration: of the rectified cameras, for pictures of this size.
        title: above everything, the pair's name.

    Raises:
        ValueError: shapes differ, the calibration is of another size, or the path is not .html.
    """
    if not str(path).lower().endswith((".html", ".htm")):
        raise ValueError(f"{path} would hold a page; name it .html")
    picture = np.round(255 * as_rgb(left)).astype(np.uint8)
    height, width = picture.shape[:2]
    maps = {"disparity": _unknown_is_nan(disparity, valid)}
    if confidence is not None:
        maps["confidence"] = np.asarray(confidence, np.float32).round(2)
    if truth is not None:
        maps["truth"] = _unknown_is_nan(truth, truth_valid)
    for name, values in maps.items():
        if values.shape != (height, width):
            raise ValueError(f"the picture for {path} is {width}x{height} pixels, and its {name} {values.shape} (H,W)")
    if calibration is not None:
        calibration.check_size((width, height))
    middle = ((width - 1) / 2, (height - 1) / 2)
    camera = calibration or StereoCalibration(float(width), 1.0, middle)
    scene = {
        "width": width,
        "height": height,
        "focal": camera.focal,
        "focal_y": camera.focal_y,
        "baseline": camera.baseline if calibration else None,
        "doffs": camera.doffs,
        "centre": camera.centre,
        "maps": {name: _packed(values) for name, values in maps.items()},
    }
    parts = {name: Markup(_text(name)) for name in ("page.css", "page.js", "cloud.js", "three.min.js")}
    page = _template().render(
        title=title,
        facts=_facts(maps),
        left=_data_url(picture, "JPEG", quality=JPEG_QUALITY),
        layers=_layers(maps),
        camera=_camera_in_words(calibration, width),
        scene=scene,
        **{name.replace(".", "_"): text for name, text in parts.items()},
    )
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _unknown_is_nan(values: np.ndarray, valid: np.ndarray | None) -> np.ndarray:
    values = np.asarray(values, np.float32)
    known = np.isfinite(values)
    if valid is not None:
        if np.shape(valid) != values.shape:
            raise ValueError(f"the disparity is {values.shape} and its mask {np.shape(valid)}; both must be (H,W)")
        known &= np.asarray(valid, bool)
    return np.where(known, values, np.float32(np.nan))


def _layers(maps: dict[str, np.ndarray]) -> list[dict]:
    """What can be laid over the left picture: name, picture, and the scale of its colours."""
    disparity, truth = maps["disparity"], maps.get("truth")
    low, high = colour_range(disparity if truth is None else truth)
    turbo = {"low": f"{low:.1f}", "high": f"{high:.1f} px", "bar": colour_bar(cv2.COLORMAP_TURBO)}
    layers = [{"name": "disparity", "picture": colour_disparity(disparity, None, low, high), **turbo}]
    if "confidence" in maps:
        bar = {"low": "0", "high": "1", "bar": colour_bar(cv2.COLORMAP_VIRIDIS)}
        layers.append({"name": "confidence", "picture": shade(maps["confidence"], 0, 1, cv2.COLORMAP_VIRIDIS), **bar})
    if truth is not None:
        bar = {"low": "0", "high": f"{ERROR_LIMIT:g} px and more", "bar": colour_bar(cv2.COLORMAP_INFERNO)}
        layers.append({"name": "truth", "picture": colour_disparity(truth, None, low, high), **turbo})
        layers.append({"name": "error", "picture": error_map(disparity, truth, np.isfinite(truth)), **bar})
    return [layer | {"picture": _data_url(layer["picture"]), "bar": _data_url(layer["bar"])} for layer in layers]


def _facts(maps: dict[str, np.ndarray]) -> list[str]:
    """What stands below the title."""
    disparity = maps["disparity"]
    height, width = disparity.shape
    known = np.isfinite(disparity)
    facts = [f"{width} × {height} pixels"]
    if known.any():
        facts.append(f"disparity {disparity[known].min():.1f} to {disparity[known].max():.1f} px")
    if not known.all():
        facts.append(f"{100 * known.mean():.1f} % valid")
    if "confidence" in maps:
        facts.append(f"mean confidence {maps['confidence'].mean():.2f}")
    if "truth" in maps:
        compared = known & np.isfinite(maps["truth"])
        if compared.any():
            figures = disparity_metrics(disparity, maps["truth"], compared)
            facts.append(f"EPE {figures['epe']:.2f} px, bad-3 {figures['bad_3']:.1f} %")
    return facts


def _camera_in_words(calibration: StereoCalibration | None, width: int) -> str:
    if calibration is None:
        view = np.degrees(2 * np.arctan(0.5))  # of a focal length as long as the picture is wide
        return (
            f"No calibration: the focal length is guessed, {width} px (a view {view:.0f}° wide), and lengths are in"
            " baselines; shapes may be stretched along the view."
        )
    shift = f", doffs {calibration.doffs:g} px" if calibration.doffs else ""
    return (
        f"Calibration as given: focal length {calibration.focal:.1f} px, baseline {calibration.baseline:.4g} m{shift}."
    )


def _packed(values: np.ndarray) -> str:
    """float32 (H,W), losslessly: all first bytes, all second ones and so on, which deflates better, in base64."""
    planes = np.ascontiguousarray(values, "<f4").view(np.uint8).reshape(-1, 4).T
    return base64.b64encode(zlib.compress(planes.tobytes())).decode()


def _data_url(picture: np.ndarray, kind: str = "PNG", **options) -> str:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(stream.getvalue()).decode()}"


@cache
def _text(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


@cache
def _template():
    return Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(_text("page.html"))
