"""Scenes that stay on disk once they are rendered, for training that passes over them more than once."""

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from stereohg.data.synthetic.scene import Scene
from stereohg.files import replacing
from stereohg.version import __version__


@dataclass(frozen=True)
class KeptScenes:
    """``scenes`` out of a folder, into which each goes when it is first asked for.

    A scene takes eleven bytes a pixel. Every kind, size, seed and version of the package has a folder of its own in it.

    Args:
        scenes: a source, a dataclass of ``stereohg.data.synthetic``.
        folder: made where it is missing.
    """

    scenes: object
    folder: Path

    def __getitem__(self, index: int) -> Scene:
        path = self.path(index)
        try:
            with np.load(path) as kept:
                return Scene(**kept)
        except (FileNotFoundError, BadZipFile, EOFError, ValueError, TypeError):  # never rendered, or damaged
            scene = self.scenes[index]
            self.keep(index, scene)
            return scene

    def keep(self, index: int, scene: Scene) -> None:
        with replacing(self.path(index)) as part:
            np.savez(part, **{field.name: getattr(scene, field.name) for field in fields(scene)})

    def path(self, index: int) -> Path:
        """Where a scene lies or would lie."""
        settings = "_".join(map(str, (*asdict(self.scenes).values(), __version__)))
        return Path(self.folder, f"{type(self.scenes).__name__}_{settings}", f"{index}.npz")
