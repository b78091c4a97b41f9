"""ETH3D's two-view set (Schoeps et al., CVPR 2017): grey pictures of a camera rig, ground truth of a laser scanner."""

from pathlib import Path
from typing import Literal

from stereohg.data.samples import OnError
from stereohg.data.stereo import Listing, SceneFolders, Transform, files_named, match, no_pairs

PAIRS = {"training": 27, "test": 20}
TEST_FOLDERS = ("two_view_test", "two_view_testing")
GT = "two_view_training_gt"
SCENE = "*_[0-9][ls]"  # such as delivery_area_1l; Middlebury's files have the same names


class Eth3d(SceneFolders):
    """ETH3D two-view, 27 pairs with ground truth and 20 without, about 900x490::

        ROOT
          two_view_training
            delivery_area_1l
              im0.png, im1.png, calib.txt
          two_view_training_gt
            delivery_area_1l
              disp0GT.pfm      inf: unknown
              mask0nocc.png    255: visible
          two_view_test        or two_view_testing
            lakeside_1l
              im0.png, im1.png, calib.txt

    The scenes of the training part may also lie in ROOT itself, with pictures and ground truth side by side.

    Args:
        root: the folder.
        split: "training" or "test" (no ground truth: no pixel is valid).
        transform, seed, on_error: see ``StereoDataset``.

    Raises:
        FileNotFoundError: there is nothing of it.
        ValueError: a picture or disparity lacks its counterpart.
    """

    def __init__(
        self,
        root: str | Path,
        split: Literal["training", "test"] = "training",
        transform: Transform | None = None,
        seed: int = 0,
        on_error: OnError = "raise",
    ):
        if split not in PAIRS:
            raise ValueError(f"split is {split!r}; known are {', '.join(PAIRS)}")
        super().__init__(list_eth3d(Path(root), split), transform, seed, on_error)


def list_eth3d(root: Path, split: str) -> Listing:
    """The scenes by name."""
    names = ("two_view_training",) if split == "training" else TEST_FOLDERS
    there = [root / name for name in names if (root / name).is_dir()]
    is_unpacked_here = split == "training" and not there and any(root.glob(f"{SCENE}/disp0GT.pfm"))
    folder, truths = (root, root) if is_unpacked_here else ((*there, root / names[0])[0], root / GT)
    required = {"left": files_named(folder, "im0.png"), "right": files_named(folder, "im1.png")}
    if not any(required.values()):
        raise no_pairs(root, f"ETH3D's {split} part", f"{folder.name}/SCENE/im0.png")
    optional = {"calibration": files_named(folder, "calib.txt")}
    if split == "training":
        required["disparity"] = files_named(truths, "disp0GT.pfm")
        optional["visible"] = files_named(truths, "mask0nocc.png")
    return match(required, optional)
