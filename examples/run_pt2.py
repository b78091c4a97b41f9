"""Runs what ``stereohg export --format torch`` wrote, with numpy, pillow and PyTorch: MODEL.pt2 LEFT RIGHT OUT.npy"""

import sys

import numpy as np
import torch
from PIL import Image

if len(sys.argv) != 5:
    sys.exit("usage: python run_pt2.py MODEL.pt2 LEFT RIGHT OUT.npy")
model, left, right, output = sys.argv[1:]
network = torch.export.load(model).module()
pair = [torch.from_numpy(np.array(Image.open(path).convert("RGB")))[None] for path in (left, right)]
if pair[0].shape != pair[1].shape or not output.endswith(".npy"):
    sys.exit(f"both pictures must have one size, and {output} must end in .npy")
with torch.no_grad():
    disparity, confidence = (answer[0].numpy() for answer in network(*pair))  # of pictures of the file's size
np.save(output, disparity)
print(f"disparity {disparity.min():.1f} to {disparity.max():.1f} px, mean confidence {confidence.mean():.2f}: {output}")
