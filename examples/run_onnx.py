"""Runs what ``stereohg export`` wrote, with numpy, pillow and onnxruntime alone: MODEL.onnx LEFT RIGHT OUT.npy"""

import sys

import numpy as np
import onnxruntime
from PIL import Image

model, left, right, output = sys.argv[1:]
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
multiple = int(session.get_modelmeta().custom_metadata_map["multiple"])  # 1 where the file pads by itself
pair = {side: np.asarray(Image.open(path).convert("RGB")) for side, path in (("left", left), ("right", right))}
height, width = pair["left"].shape[:2]
margins = ((-height % multiple, 0), (0, -width % multiple), (0, 0))  # at the top and on the right
pair = {side: np.pad(picture, margins, mode="edge")[None] for side, picture in pair.items()}
disparity, confidence = (answer[0, -height:, :width] for answer in session.run(["disparity", "confidence"], pair))
np.save(output, disparity)
print(f"disparity {disparity.min():.1f} to {disparity.max():.1f} px, mean confidence {confidence.mean():.2f}: {output}")
