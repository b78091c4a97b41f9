"""What the README and the guides show is true: commands and snippets run, files and options are there.

A new command or snippet runs as it is found; where that is not to be, a table here says so, and why.
"""

import configparser
import importlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from jsonargparse import ArgumentParser

import stereohg
from stereohg import cli
from stereohg.cli import COMMANDS, TRAININGS, _with_recipe_file, build_parser, main
from stereohg.data.transforms import RandomCrop
from stereohg.exporting import CARD, TOLERANCE
from stereohg.models import MODELS
from stereohg.models.quantities import quantities
from stereohg.models.weights import bundled_names, read_card
from stereohg.training.config import Augmentation, LossConfig, StereoModelConfig
from stereohg.training.recipes import list_recipes, load_recipe
from tests import guides, hub, runs, trees
from tests.guides import PAGES, ROOT, Block, Command, Shelf

README = (ROOT / "README.md").read_text()

STEREO = (
    "--steps 1 --epochs null --batch_size 2 --workers 0 --model.arguments.max_disp 16"
    " --augmentation.crop.height 32 --augmentation.crop.width 96"
)
KEYPOINTS = "--steps 1 --batch_size 2 --workers 0 --validation_data null"

SHORTER: dict[str, str] = {
    "stereohg train psmnet_": f"{STEREO} --validation_data null",
    "stereohg train gwcnet_": f"{STEREO} --validation_data null",
    "stereohg train own.yaml": f"{STEREO} --augmentation.scale null",
    "stereohg train hgstereo ": "--model.weights random --steps 1 --batch_size 1 --workers 0"
    " --validation_data null --model.arguments.max_disp 16"
    " --data.options.height 64 --data.options.width 64 --data.options.max_disp 15"
    " --augmentation.crop.height 64 --augmentation.crop.width 64",
    "stereohg train finetune": f"{STEREO} --augmentation.scale null",
    "stereohg train adapt": f"{STEREO} --augmentation.scale null --batch_size 1",
    "stereohg train selftrain": f"{STEREO} --augmentation.scale null --batch_size 1",
    "stereohg train hourglass_figures": KEYPOINTS,
    "stereohg train hourglass_": f"{KEYPOINTS} --epochs null --size 128",
    "stereohg evaluate --data kitti2015 --root KITTI2015/ -o": "--figures 1",
    "stereohg evaluate --data sceneflow": "--max_disp 16",
    "stereohg evaluate --data kitti2015 --root KITTI2015/ --split": "--max_disp 16",
    "stereohg submit": "--incomplete --max_disp 16",
    "stereohg export": "--size 64x96 --max_disp 32",
    "stereohg export hgstereo_s -o any_size.onnx": "--max_disp 32",
    "stereohg models --verbose": "--size 64x128 --max_disp 32",
    "torchrun": f"{STEREO} --validation_data null",
}
"""What is appended to the commands that begin so, the longest beginning first: the trees and pictures are small, and
neither they nor a test's time are enough for the papers' crops, ranges and lengths."""

SLOW = (
    "stereohg calibrate",
    "stereohg compare",
    "stereohg evaluate --data kitti2015 --root KITTI2015/ --split",
    "stereohg evaluate --data motorcycle",
    "stereohg evaluate --data sceneflow",
    "stereohg export",
    "stereohg models --verbose",
    "stereohg pose evaluate . --data figures",
    "stereohg predict left.png right.png -o disparity.pfm --model gwcnet.ckpt",
    "stereohg train gwcnet_",
    "stereohg train hgstereo ",
    "stereohg train hourglass_",
    "stereohg train own.yaml -o runs/own --",
    "stereohg train psmnet_kitti2015",
    "stereohg train psmnet_sceneflow -o runs/psmnet",
    "python examples/run_onnx.py",
    "python examples/run_pt2.py",
    "torchrun",
)
"""Commands that begin so take too long all the same; in the default suite they are only parsed."""

NOT_RUN: dict[str, str] = {
    "stereohg demo": "tests/commands/test_cli.py::test_demo_compares_and_says_where_each_file_is runs it",
    "pytest": "this is what it runs",
    "pip": "it would want a network; test_what_is_installed_is_there looks at what it names",
}
"""Commands that begin so, and why they are not run here."""

FAILS: dict[str, str] = {
    "stereohg data check SceneFlow/": "where the published set has",
    "stereohg data check KITTI2015/ --expect kitti2015": "where the published set has",
}
"""Commands whose exit status is 1, since the trees are small, and what each line says that tells what is wrong."""

SMALLER: dict[str, tuple[str, str]] = {
    "model = train(": ("epochs=20", "epochs=1"),
    "multi_head_smooth_l1": ("RandomCrop(256, 512)", "RandomCrop(32, 96)"),
    'create_model("gwcnet_gc"': ("torch.zeros(1, 3, 256, 512)", "torch.zeros(1, 3, 32, 64)"),
}
"""What is written otherwise in the snippets in which the key occurs."""

COMMAND_LINES = list(guides.commands())
SNIPPETS = [block for block in guides.blocks() if block.language == guides.PYTHON]


@pytest.fixture(scope="session")
def shelf(tmp_path_factory) -> Shelf:
    return Shelf(tmp_path_factory.mktemp("shelf"))


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """An empty folder, in which the test stands; parsers are made once, which for each command takes as long as it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "build_parser", lambda table: parser_of(table["train"]))
    return tmp_path


@cache
def parser_of(train: Callable) -> ArgumentParser:
    """Of all commands, with the training of one task."""
    return build_parser({**COMMANDS, "train": train})


def longest(beginnings, text: str) -> str | None:
    """The longest of the beginnings that the text has."""
    return max((own for own in beginnings if text.startswith(own)), key=len, default=None)


# --- commands -------------------------------------------------------------------------------------------------------


def status(arguments: list[str]) -> int:
    """What the shell sees."""
    try:
        return main(arguments)
    except SystemExit as stop:
        return stop.code


def run(words: list[str]) -> int:
    program, *arguments = words
    if program == "stereohg":
        return status(arguments)
    if program == "python":
        return subprocess.run([sys.executable, *arguments]).returncode
    if program == "torchrun":
        there = arguments.index("-m")
        launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.run([*launcher, *arguments[there:]], env=environment).returncode
    raise AssertionError(f"nothing here runs {program}; teach it, or add it to NOT_RUN with the reason")


def cases() -> Iterator:
    for command in COMMAND_LINES:
        if longest(NOT_RUN, command.text) is None:
            marks = [pytest.mark.slow] if longest(SLOW, command.text) else []
            yield pytest.param(command, marks=marks, id=f"{command.page}: {command.text[:70]}")


@pytest.mark.filterwarnings("ignore::stereohg.PairWarning")  # random weights make no good network
@pytest.mark.parametrize("command", list(cases()))
def test_command(command: Command, shelf, place, monkeypatch, capsys):
    shelf.put(guides.needed(command.text), place)
    if "hf://" in command.text:
        shelf.put(["psmnet.safetensors"], place)
        hub.serve(monkeypatch, place / "psmnet.safetensors")
    pushed = hub.keep_uploads(monkeypatch, place / "hub")
    there = {path: path.stat().st_mtime_ns for path in place.rglob("*") if path.is_file()}
    beginning = longest(SHORTER, command.text)
    told_wrong = FAILS.get(command.text)
    assert run([*command.words, *shlex.split(SHORTER.get(beginning, ""))]) == (told_wrong is not None)
    if told_wrong is not None:
        wrong = [line for line in capsys.readouterr().out.splitlines() if line.startswith("wrong: ")]
        assert wrong and all(told_wrong in line for line in wrong)
    output = guides.output_of(command.text)
    if output and "--print_config" not in command.text:
        written = place / output
        assert list(written.iterdir()) if written.is_dir() else written.stat().st_size
        assert {path: path.stat().st_mtime_ns for path in place.rglob("*") if path.is_file()} != there
    assert pushed == ({"repository": "OWNER/NAME", "private": False} if command.words[1] == "push" else {})


def test_commands_parse_as_they_stand(shelf, place):
    """With none of their options overridden, and the slow ones, too."""
    shelf.put(["own.yaml"], place)
    for command in COMMAND_LINES:
        words = command.words
        if "stereohg" not in words:
            continue
        arguments, table = _with_recipe_file(words[words.index("stereohg") + 1 :])
        if "--print_config" not in arguments:
            assert parser_of(table["train"]).parse_args(arguments).command in COMMANDS, command.text


def test_what_is_installed_is_there():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    text = "\n".join(page.read_text() for page in PAGES)
    asked = re.findall(r"pip install (?:-c (\S+) )?(?:-e )?'(?:\.|stereohg)\[(\w+)\]'", text)
    assert {extra for _, extra in asked} == {"demo", "test", "train", "pose", "export", "hub"}
    assert {extra for _, extra in asked} <= set(setup["options.extras_require"])
    assert {path for path, _ in asked if path} == {"constraints.txt"} and (ROOT / "constraints.txt").is_file()


def test_the_readmes_two_commands():
    """The second one is what .ci/run takes."""
    shell = [block.text for block in guides.blocks() if (block.page, block.language) == ("README.md", "bash")]
    assert [block.strip().split(" && ")[1] for block in shell] == ["stereohg demo", "pytest -n 2 --dist loadfile"]


def test_the_tests_that_run_what_is_not_run_here_are_there():
    for path, name in re.findall(r"(tests/\w+\.py)::(\w+)", " ".join(NOT_RUN.values())):
        assert f"def {name}(" in (ROOT / path).read_text()


@pytest.mark.parametrize("table", [SHORTER, SLOW, NOT_RUN, FAILS], ids=["SHORTER", "SLOW", "NOT_RUN", "FAILS"])
def test_no_entry_of_a_table_is_left_over(table):
    assert set(table) == {longest(table, command.text) for command in COMMAND_LINES} - {None}


# --- snippets -------------------------------------------------------------------------------------------------------


def check_prediction(names: dict, place: Path) -> None:
    assert names["depth"].shape == (48, 96)
    assert names["model"].architecture == "psmnet" and names["result"].values.shape == (48, 96)
    assert (place / "disparity.pfm").stat().st_size > 4 * 48 * 96


def check_network(names: dict, place: Path) -> None:
    assert [disparity.shape for disparity in names["predictions"]] == [(1, 32, 64)] * 4
    assert names["model"].max_disp == 288


def check_predictor(names: dict, place: Path) -> None:
    sure = names["sure"]
    assert (sure.confidence[sure.valid] >= 0.5).all() and sure.valid.any()
    assert np.array_equal(names["result"].valid & (sure.confidence >= 0.5), sure.valid)


def check_depth(names: dict, place: Path) -> None:
    assert names["depth"].shape == (48, 96) and names["half"].focal == names["calibration"].focal / 2
    assert len(names["points"]) == len(names["colours"]) > 0 and names["points"][:, 2].max() <= 3


def check_recognition(names: dict, place: Path) -> None:
    assert names["model"].architecture == "psmnet" and names["model"].max_disp == 256
    assert "was taken for PSMNet (stacked hourglass)" in names["model"].card["recognised"]


def check_forms(names: dict, place: Path) -> None:
    ours, theirs = (stereohg.load_model(place / name) for name in ("gwcnet.safetensors", "checkpoint_000016.ckpt"))
    runs.assert_same(ours, theirs)
    assert ours.card["metrics"] == {"mine": {"epe": 0.9}} and theirs.card["training"]["epoch"] == 15


def check_run(names: dict, place: Path) -> None:
    assert not names["model"].training and names["model"].architecture == "hgstereo_s"
    assert {path.name for path in (place / "runs" / "own").iterdir()} >= {
        *("best.safetensors", "hgstereo_s.safetensors", "settings.yaml", "history.jsonl", "checkpoints")
    }
    assert [row["step"] for row in runs.history(place / "runs" / "own") if "validation/all.per_pixel.epe" in row] == [1]


def check_loop(names: dict, place: Path) -> None:
    assert len(names["pairs"]) == 2 and names["loss"].isfinite()
    saved, before = stereohg.load_model(place / "mine.safetensors"), stereohg.load_model("hgstereo_s")
    assert saved.card["training"] == {"data": "pairs.csv"}
    assert not torch.equal(next(saved.parameters()), next(before.parameters()))


def check_card(names: dict, place: Path) -> None:
    card = names["card"]
    training = card["training"]
    steps, own = [], training
    while own:
        steps.append(own["settings"]["steps"])
        own = own.get("weights_before")
    assert len(steps) > 1 and steps[-1] == load_recipe("hgstereo_synthetic").steps
    assert training["photographs"] and card["metrics"]


def check_people(names: dict, place: Path) -> None:
    assert names["people"].keypoints.shape == (1, 16, 2) and names["picture"].shape == (120, 160, 3)


def check_segmentation(names: dict, place: Path) -> None:
    assert names["Segmentation"]()(torch.randn(1, 3, 64, 128)).shape == (1, 2, 16, 32)


def check_hourglass(names: dict, place: Path) -> None:
    body, x = names["body"].eval(), torch.randn(1, 64, 8, 16)
    assert body(x).shape == x.shape and body.inner.inner.down(x).shape == (1, 64, 4, 8)
    with pytest.raises(RuntimeError):
        body(x[..., :12])


def check_own_network(names: dict, place: Path) -> None:
    model = stereohg.create_model("tiny", max_disp=32).eval()
    (disparity,) = model(torch.randn(2, 3, 48, 96), torch.randn(2, 3, 48, 96))
    assert disparity.shape == (2, 48, 96) and "tiny" in stereohg.list_models()
    result = stereohg.predict("left.png", "right.png", model, max_memory="2GB", check=False)
    assert result.values.shape == (48, 96) and result.values.min() >= 0 and result.values.max() < 32
    stereohg.save_model(model, place / "tiny.safetensors")
    runs.assert_same(stereohg.load_model(place / "tiny.safetensors"), model)
    config = runs.replace(
        runs.TINY,
        steps=2,
        model=StereoModelConfig("tiny", {"max_disp": 32}),
        loss=LossConfig(heads=[1.0]),
        augmentation=Augmentation(crop=RandomCrop(48, 64)),
    )
    trained = runs.run(config, place / "run")
    assert trained.architecture == "tiny" and (place / "run" / "tiny.safetensors").is_file()


def check_rectification(names: dict, place: Path) -> None:
    assert names["left"].shape == names["right"].shape == (trees.HEIGHT, trees.WIDTH, 3)
    assert stereohg.read_calibration(place / "of_rectified.yml").baseline == pytest.approx(0.12)


CHECKS: dict[str, Callable[[dict, Path], None]] = {
    "to_depth(": check_prediction,
    'create_model("gwcnet_gc"': check_network,
    "class Tiny(": check_own_network,
    "predictor(": check_predictor,
    "read_calibration(": check_depth,
    "Rectifier(": check_rectification,
    'card["recognised"]': check_recognition,
    "save_published(": check_forms,
    "model = train(": check_run,
    "multi_head_smooth_l1(": check_loop,
    "read_card(": check_card,
    "predict_keypoints(": check_people,
    "class Segmentation(": check_segmentation,
    "def hourglass(": check_hourglass,
}
"""What has to hold when a snippet with these words has run."""


def check_of(snippet: Block) -> Callable[[dict, Path], None] | None:
    """The last that has words in it."""
    return next((check for words, check in reversed(CHECKS.items()) if words in snippet.text), None)


def name_of(snippet: Block) -> str:
    return f"{snippet.page}: {getattr(check_of(snippet), '__name__', snippet.text[:40])}"


@pytest.mark.filterwarnings("ignore::stereohg.PairWarning")
@pytest.mark.parametrize("snippet", SNIPPETS, ids=name_of)
def test_snippet(snippet: Block, shelf, place, monkeypatch):
    check = check_of(snippet)
    assert check is not None, "CHECKS has nothing that has to hold after it"
    monkeypatch.setitem(MODELS, "tiny", None)  # so that what a snippet registers is gone afterwards
    shelf.put([*guides.needed(snippet.text), "left.png", "right.png"], place)
    recipe, text = place / "own.yaml", snippet.text
    if recipe.exists():
        recipe.write_text(recipe.read_text().replace("height: 256, width: 512", "height: 32, width: 96"))
    for words, (long, short) in SMALLER.items():
        if words in text:
            assert long in text
            text = text.replace(long, short)
    names = {}
    exec(compile(text, snippet.page, "exec"), names)
    check(names, place)


def test_every_check_is_of_a_snippet():
    for words in [*CHECKS, *SMALLER]:
        assert any(words in snippet.text for snippet in SNIPPETS), words


TEN_LINES = next(snippet.text for snippet in SNIPPETS if "class Tiny(" in snippet.text)


def test_a_network_of_ten_lines():
    assert len([line for line in TEN_LINES.splitlines() if line and not line.startswith("from")]) == 10


@pytest.mark.slow
def test_a_network_of_ten_lines_is_exported(place, monkeypatch):
    monkeypatch.setitem(MODELS, "tiny", None)
    exec(TEN_LINES, {})
    model = stereohg.create_model("tiny", max_disp=32).eval()
    assert stereohg.export(model, place / "tiny.onnx", size=(50, 100)).largest_difference < TOLERANCE


# --- blocks and words -----------------------------------------------------------------------------------------------


def test_every_block_is_of_a_known_kind():
    """A command, a snippet, a drawing, or a file that commands are run with."""
    for block in guides.blocks():
        if block.language in guides.FILES:
            assert block.name in guides.MAKERS, f"{block.page}: nothing is run with {block.name!r}"
        else:
            assert block.language in (*guides.SHELL, guides.PYTHON, guides.DRAWING), f"{block.page}: {block.language}"


OPEN = ("--options.", "--data.options.", "--model.arguments.")
"""What has options of its own, by set or network."""


def codes(page: Path) -> list[str]:
    """What the text has between backticks."""
    return [code.replace("\n", " ") for code in re.findall(r"`([^`]+)`", guides.prose(page))]


@pytest.fixture(scope="module")
def options() -> set[str]:
    """Of all commands, with those of both trainings."""
    found = set()
    for train in TRAININGS.values():
        for command in parser_of(train)._subcommands_action._name_parser_map.values():
            found |= {option for action in command._actions for option in action.option_strings}
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_the_text_names_is_there(page, options):
    settings = {option.removeprefix("--") for option in options}
    sections = {setting.split(".")[0] for setting in settings if "." in setting} - {"model"}  # a network's name, too
    networks = {*list_recipes(), *stereohg.list_models()}
    for code in codes(page):
        words = code.split()
        if words[0] == "stereohg" and len(words) > 1:
            assert words[1] in COMMANDS, code
        for option in (word for word in words if word.startswith("--") and not code.startswith(("pip", "torchrun"))):
            assert option in options or option.startswith(OPEN), code
        if re.match(rf"({'|'.join(sections)})\.\w", code):
            assert code.split("=")[0] in settings, code
        if re.fullmatch(r"(psmnet|gwcnet_gc?|hourglass|hgstereo)_\w+", code):
            assert code in networks, code
        for path in re.findall(r"(?<![\w/])(?:tests|stereohg|examples|benchmarks)/[\w./]+", code):
            assert (ROOT / path).exists(), code
        for module in re.findall(r"python -m (benchmarks\.\w+)", code):
            assert (ROOT / f"{module.replace('.', '/')}.py").is_file(), code
        for name in re.findall(r"stereohg(?:\.\w+)+", code.replace(CARD, "")):
            assert resolves(name), code


def resolves(name: str) -> bool:
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            found = getattr(found, part, None)
        return found is not None
    return False


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)]+)\)", guides.prose(page)):
        if target.startswith("http"):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists() or file.match("benchmarks/results/*.png"), target  # those are made by the benchmarks
        if anchor:
            headings = re.findall(r"^#+ (.*)$", guides.prose(file), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}, (
                target
            )


def test_every_public_name_is_explained():
    told = (ROOT / "docs" / "api.md").read_text()
    assert [name for name in stereohg.__all__ if not re.search(rf"`{name}\b", told)] == []


def test_every_guide_is_in_the_readme():
    for page in PAGES[1:]:
        assert f"(docs/{page.name})" in README


def test_the_folders_of_the_package_are_those_that_are_drawn():
    drawing = next(block.text for block in guides.blocks() if block.text.startswith("stereohg/\n"))
    for name in os.listdir(ROOT / "stereohg"):
        if not name.startswith("__") and name != "version.py":
            assert re.search(rf"(?<!\w){re.escape(name)}(?!\w)", drawing), name
    for name in re.findall(r"\w+\.py\b", drawing):
        assert list((ROOT / "stereohg").rglob(name)), name


@pytest.mark.parametrize("name", [name for name in stereohg.list_models() if name != "keypoint_hourglass"])
def test_sizes_of_the_networks(name):
    row = next(line for line in README.splitlines() if line.startswith(f"| `{name}` |"))
    parameters, gflop = (cell.strip().removesuffix(" M") for cell in row.split("|")[3:5])
    scale = read_card(name)["arguments"]["scale"] if name in bundled_names() else 1.0
    own = quantities(name, 256, 512, 192, scale)
    assert f"{own.parameters / 1e6:.1f}" == parameters and f"{own.flop / 1e9:.0f}" == gflop
