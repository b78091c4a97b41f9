"""Weights of one's own to the Hugging Face hub, from where ``load_model("hf://owner/name")`` has them.

A repository holds ``model.safetensors`` with our card inside, and the card in words as README.md.
"""

import json
import re
import tempfile
from pathlib import Path

import yaml
from torch import nn

from stereohg.models.hub import SCHEME, WEIGHTS, hub_library
from stereohg.models.weights import load_model, read_card, save_model


def push_model(
    model: nn.Module | str | Path,
    repository: str,
    card: dict | None = None,
    *,
    private: bool = False,
    half: bool = False,
) -> str:
    """Uploads a network and its card to the hub, into a repository that is made if need be; returns its address.

    Args:
        model: a network, a bundled name, or the path of a weights file.
        repository: owner/name.
        card: goes before the model's own card, as in ``save_model``.
        private: who makes the repository alone sees it.
        half: store float16.

    Raises:
        ValueError: no such name of a repository, or a network that is not registered.
        OSError: not logged in, not allowed, or the hub out of reach; with what to do.
        ModuleNotFoundError: huggingface_hub is not installed.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise ValueError(f"repository is {repository!r}; it must be owner/name")
    hub = hub_library()
    from huggingface_hub.errors import LocalTokenNotFoundError, OfflineModeIsEnabled

    model = model if isinstance(model, nn.Module) else load_model(model)
    with tempfile.TemporaryDirectory() as folder:
        save_model(model, Path(folder) / WEIGHTS, card, half=half)
        readme = card_in_words(read_card(Path(folder) / WEIGHTS), repository)
        (Path(folder) / "README.md").write_text(readme, encoding="utf-8")
        try:
            api = hub.HfApi(library_name="stereohg")
            api.create_repo(repository, private=private, exist_ok=True)
            api.upload_folder(repo_id=repository, folder_path=folder, commit_message="Weights and card of stereohg")
        except LocalTokenNotFoundError as error:
            raise PermissionError("the hub does not know who you are: run 'hf auth login'") from error
        except OfflineModeIsEnabled as error:
            raise ConnectionError("HF_HUB_OFFLINE is set; unset it to push") from error
        except OSError as error:  # the hub's own errors are OSErrors as well
            raise OSError(f"{repository} was not pushed ({error}); see the network, and 'hf auth whoami'") from error
    return f"{SCHEME}{repository}"


def card_in_words(card: dict, repository: str) -> str:
    """README.md of a repository: what the hub reads (YAML), and what people do."""
    licence = card["licence"]
    is_mit = licence.split(";")[0].strip() == "MIT"
    stereo = card["architecture"] != "keypoint_hourglass"
    front = {
        "license": "mit" if is_mit else "other",
        **({} if is_mit else {"license_name": licence}),
        "library_name": "stereohg",
        "pipeline_tag": "depth-estimation" if stereo else "keypoint-detection",
        "tags": ["stereohg", card["architecture"], "stereo-matching" if stereo else "pose-estimation"],
        **({"metrics": metrics} if (metrics := _metrics(card["metrics"])) else {}),
    }
    load = f'import stereohg\n\nmodel = stereohg.load_model("{SCHEME}{repository}")'
    sections = {
        "Metrics": card["metrics"] or "not stated",
        "Training": card["training"] or "not stated",
        **{
            name.capitalize(): value
            for name, value in card.items()
            if name not in ("metrics", "training", "format", "licence", "architecture")
        },
    }
    body = "\n\n".join(f"## {name}\n\n{_block(value)}" for name, value in sections.items())
    title = f"# {repository.split('/')[1]}\n\nThe network `{card['architecture']}` of stereohg. Licence: {licence}."
    return f"---\n{yaml.safe_dump(front, sort_keys=False)}---\n\n{title}\n\n```python\n{load}\n```\n\n{body}\n"


def _metrics(figures) -> list[str]:
    """The names of figures, by set or without."""
    if not isinstance(figures, dict):
        return []
    names = {name for key, own in figures.items() for name in (own if isinstance(own, dict) else [key])}
    return sorted(names - {"pixels"})


def _block(value) -> str:
    return value if isinstance(value, str) else f"```json\n{json.dumps(value, indent=2)}\n```"
