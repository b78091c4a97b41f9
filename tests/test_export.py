"""Exported files give PyTorch's answers, of standard operators, where PyTorch is not."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image
from torch import nn

import stereohg
from stereohg.cli import main
from stereohg.data.motorcycle import motorcycle
from stereohg.exporting import CARD, TOLERANCE, Exported, export
from stereohg.models.resizing import brought_back
from stereohg.nn import BasicBlock

pytestmark = pytest.mark.filterwarnings("ignore::stereohg.PairWarning")  # the range is short on purpose

EXAMPLE = Path(__file__).parents[1] / "examples" / "run_onnx.py"
STEREO = [name for name in stereohg.list_models() if name != "keypoint_hourglass"]


def trained(name: str, **arguments) -> nn.Module:
    """A network whose norms have seen the pictures, so that its answers are of all levels, as after training."""
    if name == "hgstereo_s":
        return stereohg.load_model(name, **arguments)
    torch.manual_seed(0)
    model = stereohg.create_model(name, **arguments).train()
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm3d):
            layer.momentum = None  # the mean over all that was seen
            if isinstance(layer, nn.BatchNorm3d):
                nn.init.normal_(layer.bias, 0, 0.1)
        if isinstance(layer, nn.Conv3d) and layer.out_channels == 1:  # similarities of a few units, as after training:
            nn.init.normal_(layer.weight, 0, 0.01)  # of far larger ones the softmax turns rounding into pixels
    with torch.no_grad():
        model(*(torch.randn(2, 2, 3, 64, 128) if name in STEREO else [torch.randn(2, 3, 64, 64)]))
    return model.eval()


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray]:
    """Of the Motorcycle, 90x150, no multiple of anything."""
    left, right, _, _ = motorcycle()
    return left[200:290, 250:400], right[200:290, 240:390]


def check_graph(path: Path) -> onnx.ModelProto:
    """Standard operators alone; no resize of five dimensions, no sampling by a grid; no path of this machine."""
    model = onnx.shape_inference.infer_shapes(onnx.load(path))
    onnx.checker.check_model(model)
    assert {node.domain for node in model.graph.node} == {""} and not model.functions
    ranks = {v.name: len(v.type.tensor_type.shape.dim) for v in (*model.graph.value_info, *model.graph.input)}
    resized = [ranks[node.input[0]] for node in model.graph.node if node.op_type == "Resize"]
    assert set(resized) == {4}
    assert "GridSample" not in {node.op_type for node in model.graph.node}
    assert b"site-packages" not in path.read_bytes() and b"stereohg/" not in path.read_bytes()
    return model


def run(path: Path, *pictures: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]
    return session.run(None, {name: picture[None] for name, picture in zip(names, pictures, strict=True)})


@pytest.fixture(scope="module")
def written(tmp_path_factory, pair) -> Exported:
    """The bundled network for the pair."""
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    return export(stereohg.load_model("hgstereo_s", max_disp=64), path, size=(90, 150))


def test_a_fixed_size_equals_predict(written, pair):
    model = stereohg.load_model("hgstereo_s", max_disp=64)
    assert written.largest_difference < TOLERANCE
    disparity, sureness = run(written.path, *pair)
    expected = stereohg.predict(*pair, model, device="cpu", check=False)
    assert disparity.shape == sureness.shape == (1, 90, 150) and np.ptp(expected.values) > 5
    assert np.abs(disparity[0] - expected.values).max() < TOLERANCE
    assert np.abs(sureness[0] - expected.confidence).max() < 1e-4
    check_graph(written.path)
    said = onnxruntime.InferenceSession(written.path).get_modelmeta().custom_metadata_map
    assert said == written.metadata and said["max_disp"] == "64" and said["size"] == "90x150"
    assert json.loads(said["normalisation"])["mean"] == [0.485, 0.456, 0.406]


def assert_runs_without_pytorch(written: Exported, model: nn.Module, pair, folder: Path) -> None:
    """The example, as a user runs it, where importing PyTorch or this package fails."""
    check_graph(written.path)
    for picture, side in zip(pair, ("left", "right"), strict=True):
        Image.fromarray(picture).save(folder / f"{side}.png")
    for name in ("torch", "stereohg"):
        (folder / f"{name}.py").write_text("raise ImportError('not here')")
    arguments = [written.path, *(folder / name for name in ("left.png", "right.png", "out.npy"))]
    told = subprocess.run(
        [sys.executable, EXAMPLE, *arguments],
        env={"PYTHONPATH": str(folder), "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert told.returncode == 0, told.stderr
    expected = stereohg.predict(*pair, model, device="cpu", check=False).values
    assert np.abs(np.load(folder / "out.npy") - expected).max() < TOLERANCE


def test_a_fixed_size_runs_without_pytorch(written, tmp_path, pair):
    assert_runs_without_pytorch(written, stereohg.load_model("hgstereo_s", max_disp=64), pair, tmp_path)


@pytest.mark.parametrize("size", [(40, 30), (64, 96), (71, 100)])
def test_the_example_brings_disparities_back_as_predict_does(size):
    """Two surfaces 20 pixels apart, on a slant."""
    example = runpy.run_path(str(EXAMPLE))["brought_back"]
    rows, columns = np.mgrid[:60, :90].astype(np.float32)
    disparity = np.where(columns + rows / 3 < 50, 10, 30) + 0.05 * columns
    expected = brought_back(torch.from_numpy(disparity)[None], size)[0].numpy()
    np.testing.assert_allclose(example(disparity * (size[1] / 90), size[::-1]), expected, atol=1e-4)


@pytest.mark.slow
def test_any_size_runs_without_pytorch(tmp_path, pair):
    model = stereohg.load_model("hgstereo_s", max_disp=32)
    model.scale = 1.0  # or Pillow enlarges the pictures, to whole levels of colour
    written = export(model, tmp_path / "model.onnx", size=(64, 96), dynamic=True, check=False)
    assert_runs_without_pytorch(written, model, pair, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", STEREO)
def test_every_network_at_a_fixed_size(tmp_path, pair, name):
    model = trained(name, max_disp=32)
    written = export(model, tmp_path / "model.onnx", size=(90, 150), check=False)
    check_graph(written.path)
    disparity, sureness = run(written.path, *pair)
    expected = stereohg.predict(*pair, model, device="cpu", check=False)
    assert np.ptp(expected.values) > 1, "a flat answer would hide a fault"
    assert np.abs(disparity[0] - expected.values).max() < TOLERANCE
    is_apart = np.abs(sureness[0] - expected.confidence) > 1e-3
    assert is_apart.mean() < 0.01  # where two levels are as likely, rounding says about which the confidence is


@pytest.mark.slow
@pytest.mark.parametrize("name", STEREO)
@pytest.mark.parametrize("format, suffix", [("onnx", ".onnx"), ("torch", ".pt2")])
def test_every_network_at_any_size(tmp_path, name, format, suffix):
    model = trained(name, max_disp=32)
    written = export(model, tmp_path / f"model{suffix}", format, size=(256, 256), dynamic=True)
    assert written.largest_difference < TOLERANCE


@pytest.mark.slow
def test_the_whole_motorcycle(tmp_path):
    left, right, _, _ = motorcycle()
    written = export(stereohg.load_model("hgstereo_s"), tmp_path / "model.onnx", size=left.shape[:2], check=False)
    disparity, _ = run(written.path, left, right)
    difference = np.abs(disparity[0] - stereohg.predict(left, right, device="cpu", check=False).values)
    assert (difference > TOLERANCE).sum() <= 5  # of 370500, where the heavier of two neighbours turns by rounding
    assert np.median(difference) < 1e-4


def test_keypoints(tmp_path):
    model = trained("keypoint_hourglass", num_stacks=1)
    written = export(model, tmp_path / "model.onnx", size=(64, 128), dynamic=False)
    assert written.largest_difference < 1e-4
    crop = motorcycle()[0][:64, :128]
    (heatmaps,) = run(written.path, crop)
    expected = stereohg.KeypointPredictor(model, "cpu").heatmaps(
        torch.tensor(crop / 255.0).permute(2, 0, 1)[None].float()
    )
    assert heatmaps.shape == (1, 16, 16, 32)
    assert np.abs(heatmaps - expected.numpy()).max() < 1e-4 * np.abs(heatmaps).max()
    with pytest.raises(ValueError, match="takes multiples of 64, such as 128x128"):
        export(model, tmp_path / "model.onnx", size=(100, 128))


@pytest.mark.slow
def test_a_program_of_torch_export(tmp_path, pair):
    model = stereohg.load_model("hgstereo_s", max_disp=64)
    written = export(model, tmp_path / "model.pt2", "torch", size=(90, 150))
    assert written.largest_difference < TOLERANCE
    told = {CARD: ""}
    program = torch.export.load(written.path, extra_files=told)
    assert json.loads(told[CARD]) == written.metadata
    disparity, _ = program.module()(*(torch.from_numpy(picture.copy())[None] for picture in pair))
    expected = stereohg.predict(*pair, model, device="cpu", check=False).values
    assert np.abs(disparity[0].numpy() - expected).max() < TOLERANCE


@pytest.mark.slow
def test_half_precision_takes_two_bytes_a_weight_less(tmp_path, written, pair):
    model = stereohg.load_model("hgstereo_s", max_disp=64)
    half = export(model, tmp_path / "half.onnx", size=(90, 150), precision="float16", check=False)
    saved = written.path.stat().st_size - half.path.stat().st_size
    assert saved > 0.95 * 2 * sum(p.numel() for p in model.parameters())
    disparity, _ = run(half.path, *pair)
    expected = stereohg.predict(*pair, model, device="cpu", check=False).values
    assert disparity.dtype == np.float32 and np.median(np.abs(disparity[0] - expected)) < 0.05


@pytest.mark.parametrize(
    "options, told",
    [
        ({"size": (100, 160), "dynamic": True}, "multiples of 32, such as 128x160"),
        ({"size": (64, 64), "dynamic": True}, "takes 64x320 and more at max_disp=192"),
        ({"size": (0, 64)}, "must be height and width"),
        ({"precision": "int8"}, "precision is 'int8'"),
        ({"format": "tensorrt"}, "format is 'tensorrt'"),
        ({"format": "torch"}, "name it .pt2"),
    ],
)
def test_options_that_cannot_be(tmp_path, options, told):
    with pytest.raises(ValueError, match=told):
        export(stereohg.load_model("hgstereo_s", max_disp=192), tmp_path / "model.onnx", **options)
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="no network that can be exported"):
        export(BasicBlock(3, 3), tmp_path / "model.onnx")


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_file_that_differs_is_not_kept(tmp_path, monkeypatch, value):
    answer = np.full((1, 64, 96), value, np.float32)
    monkeypatch.setattr("stereohg.exporting._runner", lambda *_: lambda pictures: [answer])
    with pytest.raises(ValueError, match="differs from PyTorch"):
        export(stereohg.load_model("hgstereo_s", max_disp=32), tmp_path / "model.pt2", "torch", size=(64, 96))
    assert not list(tmp_path.iterdir())


def test_what_is_not_installed_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("stereohg.exporting.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"onnx and onnxscript.*stereohg\[export\]"):
        export(stereohg.load_model("hgstereo_s"), tmp_path / "model.onnx", check=False)


def test_the_command(tmp_path, capsys):
    target = tmp_path / "model.pt2"
    assert (
        main(["export", "hgstereo_s", "-o", str(target), "--format", "torch", "--size", "60x100", "--max_disp", "32"])
        == 0
    )
    told = capsys.readouterr().out
    assert "max_disp:      32" in told and "from PyTorch:" in told and target.exists()
    assert main(["export", "hgstereo_s", "-o", str(target), "--format", "torch", "--size", "60"]) == 1
    assert "such as 384x1248" in capsys.readouterr().err
