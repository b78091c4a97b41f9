"""KITTI 2012 (Geiger et al., CVPR 2012) and 2015 (Menze & Geiger, CVPR 2015): sparse ground truth of a laser scanner.

The validation splits are those that the papers' code uses. GwcNet's are lists of names. PSMNet's are the first 160
training pairs and the rest, in whatever order the folder was listed; here they are sorted, so that they differ from
anyone's actual ones. In 2012 PSMNet's code trains on all 194, those that it validates on among them; here the two are
apart.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np

from stereohg.data.samples import OnError
from stereohg.data.stereo import (
    StereoDataset,
    StereoFiles,
    Transform,
    files_in,
    match,
    no_pairs,
    read_mask,
)

Split = Literal["training", "testing", "gwcnet_train", "gwcnet_val", "psmnet_train", "psmnet_val"]

PSMNET_TRAIN = 160  # pairs
GWCNET_VAL_2015 = frozenset((1, 6, 26, 38, 43, 49, 67, 81, 89, 109, 122, 129, 132, 141, 152, 159, 171, 179, 184, 187))
GWCNET_VAL_2012 = frozenset(range(180, 194))
FRAME = "_10.png"  # the second picture of each sequence, the one with ground truth


class _Kitti(StereoDataset):
    """What the two years share; the subclasses say where their folders are."""

    pairs: dict[str, int]  # of the published set
    left: str
    right: str
    occ: str
    noc: str
    objects: str
    calib: str
    gwcnet_val: frozenset[int]

    def __init__(
        self,
        root: str | Path,
        split: Split = "training",
        ground_truth: Literal["occ", "noc"] = "occ",
        transform: Transform | None = None,
        seed: int = 0,
        on_error: OnError = "raise",
    ):
        chosen: dict[str, Callable[[int], bool]] = {
            "training": lambda number: True,
            "testing": lambda number: True,
            "gwcnet_train": lambda number: number not in self.gwcnet_val,
            "gwcnet_val": lambda number: number in self.gwcnet_val,
            "psmnet_train": lambda number: number < PSMNET_TRAIN,
            "psmnet_val": lambda number: number >= PSMNET_TRAIN,
        }
        if split not in chosen:
            raise ValueError(f"split is {split!r}; known are {', '.join(chosen)}")
        if ground_truth not in ("occ", "noc"):
            raise ValueError(f"ground_truth is {ground_truth!r}; it is 'occ' (all pixels) or 'noc' (not occluded)")
        folder = Path(root) / ("testing" if split == "testing" else "training")

        def found(name: str) -> dict[str, Path]:
            files = {n: path for n, path in files_in(folder / name, FRAME).items() if n.isdecimal()}
            own = {f"{n}_10": path for n, path in files.items() if chosen[split](int(n))}
            if files and not own:
                raise FileNotFoundError(
                    f"{folder / name} has {len(files)} pictures, and none of the split {split}; take split training"
                )
            return own

        required = {"left": found(self.left), "right": found(self.right)}
        calibrations = files_in(folder / self.calib, ".txt")
        optional = {"calibration": {f"{number}_10": path for number, path in calibrations.items()}}
        if split != "testing":
            required["disparity"] = found(self.occ if ground_truth == "occ" else self.noc)
            optional |= {"visible": found(self.noc), "foreground": found(self.objects)}
        if not any(required.values()):
            raise no_pairs(Path(root), type(self).__name__, f"{folder.name}/{self.left}/000000_10.png")
        super().__init__(match(required, optional), transform, seed, on_error)

    def read_truth(self, files: StereoFiles, size: tuple[int, int]) -> dict[str, np.ndarray]:
        truth = super().read_truth(files, size)
        if files.visible is not None:
            truth["visible"] = self.read_disparity(files.visible)[1]
        if files.foreground is not None:
            truth["foreground"] = read_mask(files.foreground) > 0
        return truth


class Kitti2012(_Kitti):
    """KITTI 2012, 194 pairs with ground truth and 195 without, about 1240x376::

        ROOT
          training
            colored_0/000000_10.png    left
            colored_1/000000_10.png    right
            disp_occ/000000_10.png     disparity x 256, 16 bits, 0 where unknown
            disp_noc/000000_10.png     the same without the pixels that the right camera does not see
            calib/000000.txt           the cameras, where they were unpacked
          testing
            colored_0, colored_1

    Args:
        root: the folder.
        split: "training", "testing" (no ground truth: no pixel is valid), or a published part of the training pairs.
        ground_truth: "occ", all known pixels; or "noc", those that both cameras see.
        transform, seed, on_error: see ``StereoDataset``.

    Raises:
        FileNotFoundError: there is nothing of it.
        ValueError: a picture or disparity lacks its counterpart.
    """

    pairs = {"training": 194, "testing": 195}
    left, right, occ, noc, objects = "colored_0", "colored_1", "disp_occ", "disp_noc", "obj_map"
    calib = "calib"
    gwcnet_val = GWCNET_VAL_2012


class Kitti2015(_Kitti):
    """KITTI 2015, 200 pairs with ground truth and 200 without, about 1242x375; its archive is data_scene_flow.zip::

        ROOT
          training
            image_2/000000_10.png       left
            image_3/000000_10.png       right
            disp_occ_0/000000_10.png    disparity x 256, 16 bits, 0 where unknown
            disp_noc_0/000000_10.png    the same without the pixels that the right camera does not see
            obj_map/000000_10.png       cars, numbered from 1; 0 is background
            calib_cam_to_cam/000000.txt the cameras, where they were unpacked (data_scene_flow_calib.zip)
          testing
            image_2, image_3

    Arguments and errors are those of ``Kitti2012``.
    """

    pairs = {"training": 200, "testing": 200}
    left, right, occ, noc, objects = "image_2", "image_3", "disp_occ_0", "disp_noc_0", "obj_map"
    calib = "calib_cam_to_cam"
    gwcnet_val = GWCNET_VAL_2015
