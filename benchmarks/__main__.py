"""Every benchmark, one after the other, and the tables of what came out.

    python -m benchmarks [pretrained_model_KITTI2015.tar --pairs left.png right.png ...]

The options are those of ``benchmarks.answers``, which is left out without them.
"""

import subprocess
import sys

import torch

from benchmarks import tables

BENCHMARKS = ("networks", "large", "motorcycle", "trust", "adapting", "training", "export", "keypoints", "data")


def main(options: list[str]) -> None:
    for name in (*BENCHMARKS, *(["gpu"] if torch.cuda.is_available() else [])):
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)
    if options:
        subprocess.run([sys.executable, "-m", "benchmarks.answers", *options], check=True)
    tables.main()


if __name__ == "__main__":
    main(sys.argv[1:])
