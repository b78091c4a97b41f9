"""Weights on the Hugging Face hub: where ``load_model("hf://owner/name")`` finds them."""

import re
from pathlib import Path

SCHEME = "hf://"
WEIGHTS = "model.safetensors"
_ADDRESS = re.compile(r"hf://(?P<repository>[\w.-]+/[\w.-]+)(?:/(?P<file>[^@]+))?(?:@(?P<revision>.+))?")


def download(address: str) -> Path:
    """The local copy of ``hf://owner/name[/file][@revision]``; what was fetched once needs no network again.

    Args:
        address: the file is model.safetensors if not named; a revision is a branch, tag or commit.

    Raises:
        ValueError: no such address.
        OSError: the repository, file or revision is not there, or the hub out of reach; with what to do.
        ModuleNotFoundError: huggingface_hub is not installed.
    """
    parts = _ADDRESS.fullmatch(address)
    if parts is None:
        raise ValueError(f"{address} is no address; it must be hf://owner/name, with /file and @revision if need be")
    repository, file, revision = parts["repository"], parts["file"] or WEIGHTS, parts["revision"]
    hub = hub_library()
    from huggingface_hub import errors

    try:
        return Path(hub.hf_hub_download(repository, file, revision=revision, library_name="stereohg"))
    except errors.RevisionNotFoundError as error:
        raise FileNotFoundError(f"{address}: {repository} has no branch, tag or commit {revision!r}") from error
    except errors.RepositoryNotFoundError as error:
        raise FileNotFoundError(
            f"{address}: there is no such repository, or it is private or gated; see the spelling, or 'hf auth login'"
        ) from error
    except errors.LocalEntryNotFoundError as error:
        raise ConnectionError(
            f"{address} is not in the cache, and the hub is out of reach (no network, or HF_HUB_OFFLINE=1); connect "
            "and load it once, or copy the file here and give its path"
        ) from error
    except errors.EntryNotFoundError as error:
        raise FileNotFoundError(f"{address}: {repository} has no {file}; name a file: hf://owner/name/FILE") from error


def hub_library():
    """huggingface_hub; ModuleNotFoundError, with what to do, where it is not installed."""
    try:
        import huggingface_hub
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("the hub needs huggingface_hub: pip install 'stereohg[hub]'") from error
    return huggingface_hub
