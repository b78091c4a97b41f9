"""The hub, without one: its cache on this disk, and its functions replaced."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import pytest
import torch
import yaml
from huggingface_hub import errors

import stereohg
from stereohg.cli import main
from stereohg.models.hub import download
from stereohg.sharing import card_in_words, push_model
from tests import hub

COMMIT = "0123456789abcdef0123456789abcdef01234567"
ROOT = Path(__file__).parents[1]


@pytest.fixture
def uploads(monkeypatch, tmp_path) -> dict:
    """What would have gone to the hub."""
    return hub.keep_uploads(monkeypatch, tmp_path)


def cached(folder: Path, weights: Path) -> None:
    """The hub's cache as it is after a download of owner/name."""
    repository = folder / "models--owner--name"
    snapshot = repository / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    shutil.copy(weights, snapshot / "model.safetensors")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)


def test_what_is_cached_loads_offline(tmp_path, uploads):
    """In a process of its own, since the hub's settings are read at import."""
    push_model("hgstereo_s", "owner/name")
    cached(tmp_path / "cache", tmp_path / "owner/name/model.safetensors")
    program = (
        "import stereohg\n"
        "print(stereohg.load_model('hf://owner/name').architecture)\n"
        f"print(stereohg.load_model('hf://owner/name@{COMMIT}', max_disp=64).max_disp)\n"
        "try:\n    stereohg.load_model('hf://owner/other')\nexcept ConnectionError as error:\n    print(error)\n"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(tmp_path / "cache")}
    told = subprocess.run([sys.executable, "-c", program], env=environment, cwd=ROOT, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    first, second, third = told.stdout.splitlines()
    assert (first, second) == ("hgstereo_s", str(stereohg.load_model("hgstereo_s", max_disp=64).max_disp))
    assert third.startswith("hf://owner/other is not in the cache") and "copy the file here" in third


@pytest.mark.parametrize(
    "address, asked",
    [
        ("hf://owner/name", ("owner/name", "model.safetensors", None)),
        ("hf://owner/name@v1.0", ("owner/name", "model.safetensors", "v1.0")),
        ("hf://owner/name/old/psmnet.tar@main", ("owner/name", "old/psmnet.tar", "main")),
    ],
)
def test_addresses(monkeypatch, address, asked):
    seen = []
    monkeypatch.setattr(
        huggingface_hub,
        "hf_hub_download",
        lambda repo, file, *, revision, **_: seen.append((repo, file, revision)) or "x",
    )
    assert download(address) == Path("x") and seen == [asked]


@pytest.mark.parametrize("address", ["hf://owner", "hf://owner/na me", "hf:///name"])
def test_no_addresses(address):
    with pytest.raises(ValueError, match="must be hf://owner/name"):
        stereohg.load_model(address)


@pytest.mark.parametrize(
    "error, told",
    [
        (errors.LocalEntryNotFoundError("no network"), "hub is out of reach"),
        (errors.EntryNotFoundError("404"), "has no model.safetensors"),
        (errors.RepositoryNotFoundError.__new__(errors.RepositoryNotFoundError), "no such repository"),
        (errors.RevisionNotFoundError.__new__(errors.RevisionNotFoundError), "no branch, tag or commit 'v2'"),
    ],
)
def test_what_the_hub_answers_is_told(monkeypatch, error, told):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)
    with pytest.raises(OSError, match=told):
        stereohg.load_model("hf://owner/name@v2")


def test_push(tmp_path, uploads, capsys):
    assert main(["push", "hgstereo_s", "owner/name", "--private", "--half"]) == 0
    assert capsys.readouterr().out == "pushed: hf://owner/name\n"
    assert uploads == {"repository": "owner/name", "private": True}
    assert sorted(path.name for path in (tmp_path / "owner/name").iterdir()) == ["README.md", "model.safetensors"]
    front, text = (tmp_path / "owner/name/README.md").read_text(encoding="utf-8").split("---\n", 2)[1:]
    front = yaml.safe_load(front)
    assert front["license"] == "mit" and "hgstereo_s" in front["tags"]
    assert front["metrics"][:3] == ["bad_1", "bad_2", "bad_3"]
    assert 'stereohg.load_model("hf://owner/name")' in text
    pushed = stereohg.load_model(tmp_path / "owner/name/model.safetensors").state_dict()
    expected = stereohg.load_model("hgstereo_s").state_dict()
    assert all(torch.equal(pushed[key], value) for key, value in expected.items())  # bundled are halves as well


def test_a_card_without_a_licence_says_so():
    card = {"architecture": "psmnet", "licence": "not stated", "metrics": {}, "training": {}}
    front = yaml.safe_load(card_in_words(card, "owner/name").split("---\n")[1])
    assert front["license"] == "other" and front["license_name"] == "not stated" and "metrics" not in front


@pytest.mark.parametrize(
    "error, kind, told",
    [
        (errors.LocalTokenNotFoundError("no token"), PermissionError, "run 'hf auth login'"),
        (errors.OfflineModeIsEnabled("offline"), ConnectionError, "unset it"),
        (OSError("unreachable"), OSError, "was not pushed"),
    ],
)
def test_a_push_that_fails(monkeypatch, error, kind, told):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", fail)
    with pytest.raises(kind, match=told):
        push_model("hgstereo_s", "owner/name")
    with pytest.raises(ValueError, match="must be owner/name"):
        push_model("hgstereo_s", "name")


def test_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'stereohg\[hub\]'"):
        stereohg.load_model("hf://owner/name")


def test_torch_hub():
    model = torch.hub.load(str(ROOT), "load_model", "hgstereo_s", source="local")
    assert model.architecture == "hgstereo_s"
