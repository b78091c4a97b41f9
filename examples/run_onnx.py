"""Runs what ``stereohg export`` wrote, with numpy, pillow and onnxruntime alone: MODEL.onnx LEFT RIGHT OUT.npy"""

import sys

import numpy as np
import onnxruntime
from PIL import Image

model, left, right, output = sys.argv[1:]
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
about = session.get_modelmeta().custom_metadata_map
multiple, scale = int(about["multiple"]), float(about.get("scale", 1))  # 1 and 1 where the file does it by itself
pair = {side: Image.open(path).convert("RGB") for side, path in (("left", left), ("right", right))}
size = pair["left"].size
width, height = (round(scale * side) for side in size)
margins = ((-height % multiple, 0), (0, -width % multiple), (0, 0))  # at the top and on the right
larger = {side: np.asarray(picture.resize((width, height), Image.BILINEAR)) for side, picture in pair.items()}
padded = {side: np.pad(picture, margins, mode="edge")[None] for side, picture in larger.items()}
answers = (answer[0, -height:, :width] for answer in session.run(["disparity", "confidence"], padded))
disparity, confidence = (np.asarray(Image.fromarray(answer).resize(size, Image.BILINEAR)) for answer in answers)
disparity = disparity * (size[0] / width)
np.save(output, disparity)
print(f"disparity {disparity.min():.1f} to {disparity.max():.1f} px, mean confidence {confidence.mean():.2f}: {output}")
