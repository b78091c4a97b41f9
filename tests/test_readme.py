"""What the README shows runs as it stands."""

import re
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

import stereohg
from stereohg.data.synthetic import SyntheticStereo

README = (Path(__file__).parents[1] / "README.md").read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
SHELL = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)


@pytest.mark.filterwarnings("ignore::stereohg.PairWarning")
def test_prediction_snippet(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scene = SyntheticStereo(64, 128, max_disp=32, asymmetry=0)[0]
    Image.fromarray(scene.left).save("left.png")
    Image.fromarray(scene.right).save("right.png")
    stereohg.save_published(stereohg.create_model("psmnet"), "pretrained_model_KITTI2015.tar")
    names = {side: torch.randn(1, 3, 32, 64) for side in ("left", "right")}
    exec(SNIPPETS[0], names)
    assert names["depth"].shape == (64, 128)
    assert len(names["predictions"]) == 4
    assert sorted(p.name for p in tmp_path.iterdir() if p.suffix != ".png") == [
        "disparity.pfm",
        "pretrained_model_KITTI2015.tar",
        "psmnet.safetensors",
        "psmnet.tar",
    ]


def test_keypoint_snippet(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (160, 200), "grey").save("people.jpg")
    stereohg.save_published(stereohg.create_model("keypoint_hourglass"), "hg_s2_b1.pth.tar")
    names = {}
    exec(SNIPPETS[1], names)
    assert names["people"].keypoints.shape == (1, 16, 2) and names["picture"].shape == (200, 160, 3)


def test_segmentation_snippet():
    names = {}
    exec(SNIPPETS[2], names)
    assert names["Segmentation"]()(torch.randn(1, 3, 64, 128)).shape == (1, 2, 16, 32)


@pytest.mark.parametrize("name", [name for name in stereohg.list_models() if name != "keypoint_hourglass"])
def test_sizes_of_the_networks(name):
    row = next(line for line in README.splitlines() if line.startswith(f"| `{name}` |"))
    parameters, gflop = (float(cell.strip().removesuffix(" M")) for cell in row.split("|")[3:5])
    with torch.device("meta"):
        model = stereohg.create_model(name, max_disp=192).eval()
        image = torch.empty(1, 3, 256, 512)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(image, image)
    assert round(sum(p.numel() for p in model.parameters()) / 1e6, 1) == parameters
    assert counter.get_total_flops() / 1e9 == pytest.approx(gflop, abs=0.6)


def test_two_commands():
    assert [block.strip().split(" && ")[1] for block in SHELL] == ["stereohg demo", "pytest"]
