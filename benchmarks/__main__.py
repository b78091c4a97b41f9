"""Every benchmark, one after the other, and the tables of what came out.

    python -m benchmarks [--weights pretrained_model_KITTI2015.tar --pairs left.png right.png ...]

The options are those of ``benchmarks.networks``.
"""

import subprocess
import sys

from benchmarks import tables

BENCHMARKS = ("networks", "large", "motorcycle", "trust", "adapting", "training", "export", "keypoints", "data")


def main(options: list[str]) -> None:
    for name in BENCHMARKS:
        own = options if name == "networks" else []
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *own], check=True)
    tables.main()


if __name__ == "__main__":
    main(sys.argv[1:])
