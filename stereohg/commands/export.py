"""``stereohg export``: a network as a file for other runtimes."""

from pathlib import Path

from stereohg.commands.sizes import parse_size
from stereohg.exporting import ExportPrecision, Format
from stereohg.exporting import export as write
from stereohg.models.weights import load_model


def export(
    model: str,
    output: Path,
    format: Format = "onnx",
    size: str | None = None,
    dynamic: bool = False,
    precision: ExportPrecision = "float32",
    max_disp: int | None = None,
    check: bool = True,
    align_corners: bool | None = None,
    output_scale: float | None = None,
) -> None:
    """Writes a network as ONNX or as a program of torch.export, from pictures to disparity and confidence.

    Args:
        model: a bundled name or the path of a weights file, ours or published.
        output: the file, .onnx or .pt2 (torch).
        format: onnx or torch.
        size: height x width of the pictures, such as 375x1242; default 384x1248, of keypoints 256x256.
        dynamic: take any size that is a multiple of the network's.
        precision: of weights and activations, float32 or float16.
        max_disp: largest disparity looked for, pixels, in place of the weights' own.
        check: run the file and compare it with PyTorch.
        align_corners: how a published file's network upsamples, if not as recognised.
        output_scale: factor on a published file's disparities.
    """
    shape = None if size is None else parse_size(size)
    network = load_model(model, max_disp=max_disp, align_corners=align_corners, output_scale=output_scale)
    written = write(network, output, format, size=shape, dynamic=dynamic, precision=precision, check=check)
    for key, value in written.metadata.items():
        print(f"{key + ':':<15}{value}")
    if written.largest_difference is not None:
        print(f"from PyTorch:  {written.largest_difference:.2g} at most, on a made pair")
    print(f"written:       {output}, {output.stat().st_size / 1e6:.1f} MB")
