"""Runs what ``stereohg export`` wrote, with numpy, pillow and onnxruntime alone: MODEL.onnx LEFT RIGHT OUT.npy"""

import sys

import numpy as np
import onnxruntime
from PIL import Image


def brought_back(values, size):
    """To a width and height, linearly; but where two surfaces meet, the nearest pixel's value and no mean of both."""
    columns, rows = (
        np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
        for new, old in zip(size, values.shape[::-1], strict=True)
    )
    x, y = columns.astype(int), rows.astype(int)
    right, below = np.minimum(x + 1, values.shape[1] - 1), np.minimum(y + 1, values.shape[0] - 1)
    along, down = columns - x, (rows - y)[:, None]
    above, under = (values[r][:, x] * (1 - along) + values[r][:, right] * along for r in (y, below))
    nearest = values[(rows + 0.5).astype(int)][:, (columns + 0.5).astype(int)]
    off = above * (1 - down) + under * down - nearest
    return (nearest + off * np.clip(2 - np.abs(off), 0, 1)).astype(np.float32)


def main():
    if len(sys.argv) != 5:
        sys.exit("usage: python run_onnx.py MODEL.onnx LEFT RIGHT OUT.npy")
    model, left, right, output = sys.argv[1:]
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    about = session.get_modelmeta().custom_metadata_map
    multiple, scale = int(about["multiple"]), float(about.get("scale", 1))  # 1 and 1 where the file does it by itself
    pair = {side: Image.open(path).convert("RGB") for side, path in (("left", left), ("right", right))}
    size = pair["left"].size
    if pair["right"].size != size or not output.endswith(".npy"):
        sys.exit(f"both pictures must have one size, and {output} must end in .npy")
    of_file = session.get_inputs()[0].shape[2:0:-1]
    if any(isinstance(side, int) for side in of_file) and tuple(of_file) != size:
        sys.exit(f"{model} takes pictures of {of_file[0]}x{of_file[1]}, and {left} is {size[0]}x{size[1]}; export anew")
    width, height = (round(scale * side) for side in size)
    margins = ((-height % multiple, 0), (0, -width % multiple), (0, 0))  # at the top and on the right
    larger = {side: np.asarray(picture.resize((width, height), Image.BILINEAR)) for side, picture in pair.items()}
    padded = {side: np.pad(picture, margins, mode="edge")[None] for side, picture in larger.items()}
    disparity, confidence = (answer[0, -height:, :width] for answer in session.run(["disparity", "confidence"], padded))
    if scale != 1:
        disparity, confidence = brought_back(disparity * (size[0] / width), size), brought_back(confidence, size)
    np.save(output, disparity)
    print(f"{disparity.min():.1f} to {disparity.max():.1f} px, mean confidence {confidence.mean():.2f}: {output}")


if __name__ == "__main__":
    main()
