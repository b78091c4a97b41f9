"""Middlebury's stereo sets of version 3 and of 2014 (Scharstein et al., GCPR 2014)."""

from pathlib import Path
from typing import Literal

from stereohg.data.samples import OnError
from stereohg.data.stereo import Listing, SceneFolders, Transform, files_named, match, no_pairs

Split = Literal["trainingQ", "trainingH", "trainingF", "testQ", "testH", "testF", "2014"]
SPLITS = ("trainingQ", "trainingH", "trainingF", "testQ", "testH", "testF", "2014")
PAIRS_V3 = 15  # in training and test each


class Middlebury(SceneFolders):
    """Middlebury, version 3 in a quarter, half or the full resolution, or the pairs of 2014::

        ROOT                                ROOT
          trainingQ                           Adirondack-perfect
            Adirondack                          im0.png
              im0.png         left              im1.png    right; im1E, im1L: in other light
              im1.png         right             disp0.pfm
              disp0GT.pfm     inf: unknown      disp1.pfm  of the right picture
              disp1GT.pfm     where there       calib.txt
              mask0nocc.png   255: visible      ...
              calib.txt
          testQ
            Australia
              im0.png, im1.png, calib.txt

    Args:
        root: the folder (of version 3: MiddEval3).
        split: a folder of version 3 (the tests have no ground truth: no pixel is valid), or "2014".
        right: the picture of 2014 to match with: "im1", "im1E" (another exposure) or "im1L" (another lamp).
        transform, seed, on_error, right_truth: see ``StereoDataset``.

    Raises:
        FileNotFoundError: there is nothing of it.
        ValueError: a picture or disparity lacks its counterpart.
    """

    def __init__(
        self,
        root: str | Path,
        split: Split = "trainingQ",
        right: Literal["im1", "im1E", "im1L"] = "im1",
        transform: Transform | None = None,
        seed: int = 0,
        on_error: OnError = "raise",
        right_truth: bool | None = None,
    ):
        if split not in SPLITS:
            raise ValueError(f"split is {split!r}; known are {', '.join(SPLITS)}")
        if right != "im1" and (split != "2014" or right not in ("im1E", "im1L")):
            raise ValueError(f"right is {right!r}; it is im1, and in 2014 also im1E or im1L")
        super().__init__(list_middlebury(Path(root), split, right), transform, seed, on_error, right_truth)


def list_middlebury(root: Path, split: Split, right: str = "im1") -> Listing:
    """The scenes by name; version 3 and 2014 differ in the names of their files."""
    folder, suffix = (root, "") if split == "2014" else (root / split, "GT")
    required = {"left": files_named(folder, "im0.png"), "right": files_named(folder, f"{right}.png")}
    if not any(required.values()):
        raise no_pairs(root, f"Middlebury's {split}", f"{(folder / 'SCENE' / 'im0.png').relative_to(root)}")
    if not split.startswith("test"):
        required["disparity"] = files_named(folder, f"disp0{suffix}.pfm")
    optional = {
        "right_disparity": files_named(folder, f"disp1{suffix}.pfm"),
        "visible": files_named(folder, "mask0nocc.png"),
        "calibration": files_named(folder, "calib.txt"),
    }
    return match(required, optional)
