"""What the papers' authors call the parameters of the networks: our names to theirs.

Theirs are the keys of the files that they publish, without ``module.``: PSMNet (JiaRenChang/PSMNet), GwcNet
(xy-guo/GwcNet) and pytorch-pose (bearpaw/pytorch-pose). Each rule is a pattern of ours and what replaces it. Stacks and
blocks of the keypoint network may be of any number; the numbers of the stereo networks are fixed.
"""

import re
from collections.abc import Callable, Iterable

Rule = tuple[str, str | Callable[[re.Match], str]]

TRUNK_RULES: tuple[Rule, ...] = (
    (r"^features\.(trunk\.)?", "feature_extraction."),
    (r"^fusion\.", "feature_extraction.fusion."),
    (r"\.pyramid\.branches\.(\d)", lambda m: f".branch{4 - int(m[1])}.1"),
    (r"\.stem\.(\d)", lambda m: f".firstconv.{2 * int(m[1])}"),
    (r"\.(layer\d\.\d+)\.conv1", r".\1.conv1.0"),
    (r"\.(layer\d\.\d+)\.skip", r".\1.downsample"),
    (r"\.fusion\.(\d)", lambda m: f".lastconv.{2 * int(m[1])}"),
)
VOLUME_RULES: tuple[Rule, ...] = (
    (r"^entry\.(\d)", lambda m: f"dres0.{2 * int(m[1])}"),
    (r"^refine\.conv(\d)", lambda m: f"dres1.{2 * int(m[1]) - 2}"),
    (r"^refine\.(\d)\.conv(\d)", lambda m: f"dres{1 + int(m[1])}.{2 * int(m[2]) - 2}"),
    (r"^stacks\.(\d)", lambda m: f"dres{2 + int(m[1])}"),
    (r"\.inner\.down\.(\d)", lambda m: f".conv{3 + int(m[1])}.0"),
    (r"\.inner\.up", ".conv5"),
    (r"\.inner\.skip", ".redir2"),
    (r"^(dres\d)\.up", r"\1.conv6"),
    (r"^(dres\d)\.skip", r"\1.redir1"),
    (r"^(classif\w+)\.1\.", r"\1.2."),
)
NORM_RULES: tuple[Rule, ...] = ((r"\.conv\.", ".0."), (r"\.norm\.", ".1."))

PSMNET_RULES: tuple[Rule, ...] = (
    (r"^head\.", "classify."),
    (r"^heads\.(\d)", lambda m: f"classif{1 + int(m[1])}"),
    *TRUNK_RULES,
    *VOLUME_RULES,
    (r"^(dres\d)\.down\.", r"\1.conv1.0."),
    (r"^(dres\d)\.pre\.", r"\1.conv2."),
    *NORM_RULES,
)
GWCNET_RULES: tuple[Rule, ...] = (
    (r"^heads\.(\d)", r"classif\1"),
    *TRUNK_RULES,
    *VOLUME_RULES,
    (r"^(dres\d)\.down\.(\d)", lambda m: f"{m[1]}.conv{1 + int(m[2])}.0"),
    *NORM_RULES,
)
POSE_RULES: tuple[Rule, ...] = (
    (r"\.norm(\d)\.", r".bn\1."),
    (r"\.skip\.(weight|bias)$", r".downsample.0.\1"),
    (r"^stem\.0\.", "conv1."),
    (r"^stem\.1\.", "bn1."),
    (r"^stem\.3\.", "layer1.0."),
    (r"^stem\.(5|6)\.", lambda m: f"layer{int(m[1]) - 3}.0."),
    (r"^stacks\.(\d+)\.0\.inner\.inner\.inner\.inner\.", r"hg.\1.hg.0.3."),
    (r"^stacks\.(\d+)\.0\.((?:inner\.)*)", lambda m: f"hg.{m[1]}.hg.{3 - m[2].count('inner')}."),
    (r"^(hg\.\d+\.hg\.\d)\.skip\.", r"\1.0."),
    (r"^(hg\.\d+\.hg\.\d)\.down\.1\.", r"\1.1."),
    (r"^(hg\.\d+\.hg\.\d)\.up\.0\.", r"\1.2."),
    (r"^stacks\.(\d+)\.1\.", r"res.\1."),
    (r"^stacks\.(\d+)\.2\.", r"fc.\1."),
    (r"^heads\.", "score."),
    (r"^merge_features\.", "fc_."),
    (r"^merge_heatmaps\.", "score_."),
)

RULES: dict[str, tuple[Rule, ...]] = {
    "psmnet": PSMNET_RULES,
    "psmnet_basic": PSMNET_RULES,
    "gwcnet_g": GWCNET_RULES,
    "gwcnet_gc": GWCNET_RULES,
    "keypoint_hourglass": POSE_RULES,
}
"""Registered network to the rules for it; a network that is not here has no published format."""


def published_keys(architecture: str, keys: Iterable[str]) -> dict[str, str]:
    """Our keys of a network to its authors' keys, in our order."""
    return {key: _apply(RULES[architecture], key) for key in keys}


def _apply(rules: tuple[Rule, ...], key: str) -> str:
    for pattern, replacement in rules:
        key = re.sub(pattern, replacement, key)
    return key
