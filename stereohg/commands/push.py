"""``stereohg push``: weights to the Hugging Face hub."""

from stereohg.sharing import push_model


def push(model: str, repository: str, private: bool = False, half: bool = False) -> None:
    """Uploads weights and their card to the Hugging Face hub, for load_model("hf://owner/name").

    Args:
        model: a bundled name or the path of a weights file, ours or published.
        repository: owner/name; made if need be.
        private: a repository made now is seen by its owner alone.
        half: store float16, half the size.
    """
    print(f"pushed: {push_model(model, repository, private=private, half=half)}")
