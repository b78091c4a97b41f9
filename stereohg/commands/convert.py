"""``stereohg convert``: weights from one form to another."""

from pathlib import Path

from stereohg.models.published import save_published
from stereohg.models.weights import SUFFIX, load_model, save_model

PUBLISHED_SUFFIXES = (".tar", ".ckpt", ".pth")


def convert(
    source: str,
    target: Path,
    half: bool = False,
    overwrite: bool = False,
    align_corners: bool | None = None,
    output_scale: float | None = None,
) -> None:
    """Brings weights, published or ours, into safetensors with a card, or into the form of the paper's own code.

    Args:
        source: a bundled name or the path of a weights file, ours or published.
        target: .safetensors is ours; .tar, .ckpt or .pth is the published form of that network.
        half: ours: store float16, half the size.
        overwrite: replace what is there.
        align_corners: how a published file's network upsamples, if not as recognised.
        output_scale: factor on a published file's disparities.
    """
    ours = target.suffix == SUFFIX
    if not ours and target.suffix not in PUBLISHED_SUFFIXES:
        raise ValueError(f"{target} should end in {SUFFIX} (ours) or in {', '.join(PUBLISHED_SUFFIXES)} (published)")
    if half and not ours:
        raise ValueError(f"published files hold float32; leave out --half, or name {target.name} {SUFFIX}")
    if target.exists() and not overwrite:
        raise FileExistsError(f"{target} is there already; give another name, or --overwrite")
    model = load_model(source, align_corners=align_corners, output_scale=output_scale)
    if ours:
        save_model(model, target, half=half)
    else:
        save_published(model, target, epochs=_epochs(model.card))
    form = "with its card" if ours else "as its authors' code writes it"
    print(f"{source}: {model.architecture}, written to {target} {form}")


def _epochs(card: dict) -> int:
    """Of training behind the weights; GwcNet's files have the number of the last one, from zero."""
    training = card.get("training", {})
    epoch = training.get("epoch", 0) if isinstance(training, dict) else 0  # a card may tell it in words
    return epoch + card["architecture"].startswith("gwcnet") if isinstance(epoch, int) else 0
