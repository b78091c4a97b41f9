"""The hub's functions, replaced by ones that stay on this disk."""

import shutil
from pathlib import Path

import huggingface_hub
import pytest


def keep_uploads(monkeypatch: pytest.MonkeyPatch, folder: Path) -> dict:
    """What is pushed to owner/name comes to lie in ``folder``/owner/name; who asked for what is in the dict."""
    seen = {}

    def create(self, repository, *, private, exist_ok):
        seen["repository"], seen["private"] = repository, private

    def upload(self, *, repo_id, folder_path, commit_message):
        shutil.copytree(folder_path, folder / repo_id)

    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", create)
    monkeypatch.setattr(huggingface_hub.HfApi, "upload_folder", upload)
    return seen


def serve(monkeypatch: pytest.MonkeyPatch, weights: Path) -> None:
    """Whatever is asked for is these weights."""
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *_, **__: str(weights))
