"""Training of keypoint networks: people, losses on heatmaps, validation by the measure that papers report on the set.

Shapes: B batch, K keypoints, H, W height and width of the crop, h = H/4, w = W/4; image (B,3,H,W), heatmaps (B,K,h,w).
"""

from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from stereohg.data.people.registry import KEYPOINT_DATASETS, create_keypoint_dataset, measure_of
from stereohg.data.people.samples import NO_STD, KeypointBatch, KeypointDataset, KeypointExample, collate
from stereohg.data.preprocess import denormalise
from stereohg.models.weights import save_model
from stereohg.pose.evaluation import check_measure, evaluate_share, join
from stereohg.pose.metrics import AP_NAMES, heatmap_accuracy
from stereohg.pose.prediction import KeypointPredictor
from stereohg.training.config import VALIDATION_SEED, KeypointTraining, PeopleConfig
from stereohg.training.heatmap_losses import heatmap_loss
from stereohg.training.initial import start
from stereohg.training.settings import warn_of_the_same
from stereohg.visual import heat


class KeypointTask:
    """See ``Task``.

    Raises:
        ValueError, OSError: a set, network or weights cannot be had; the message says why.
    """

    measures = ("loss", "accuracy")
    best = "highest"

    def __init__(self, config: KeypointTraining):
        self.config = config
        data = replace(config.data, split=config.data.split or KEYPOINT_DATASETS[config.data.name].to_learn)
        self.samples = self._open(data, config.augmentation, config.seed)
        self.collate: Callable = partial(collate, mean=self.samples.mean, std=NO_STD)
        self.validation: KeypointDataset | None = None
        if config.validation_data is not None:
            tried = config.validation_data
            if KEYPOINT_DATASETS[tried.name].has_root:
                split = tried.split or KEYPOINT_DATASETS[tried.name].evaluated
                tried = replace(tried, root=tried.root or config.data.root, split=split)
                warn_of_the_same(data, tried)
            self.validation = self._open(tried, seed=config.seed + VALIDATION_SEED)
            self.measure = measure_of(tried.name, self.validation.skeleton)
            self._check_validation()

    def _open(self, config: PeopleConfig, augmentation=None, seed: int = 0) -> KeypointDataset:
        options = {
            "augmentation": augmentation,
            "size": (self.config.size, self.config.size),
            "targets": self.config.targets,
            "published": self.config.published,
            "seed": seed,
            "on_error": config.on_error,
        }
        return create_keypoint_dataset(config.name, config.root, config.split, **{**options, **config.options})

    def _check_validation(self) -> None:
        """At once, as the first validation may be hours away."""
        learnt, tried = self.samples.skeleton, self.validation.skeleton
        if learnt.keypoints != tried.keypoints:
            raise ValueError(f"data has the keypoints of {learnt.name}, and validation_data those of {tried.name}")
        metric = self.config.validation.metric
        names = AP_NAMES if self.measure == "oks" else ("mean", "pooled", "auc", *(name for name, _ in tried.columns()))
        known = [f"{self.measure}.{name}" for name in names]
        if metric not in known:
            raise ValueError(f"validation.metric is {metric!r}; known are {', '.join(known)}")
        check_measure(self.measure, self.validation)

    @property
    def validates(self) -> bool:
        return self.validation is not None

    def network(self) -> nn.Module:
        arguments = {"num_keypoints": len(self.samples.skeleton), **self.config.model.arguments}
        network = start(replace(self.config.model, arguments=arguments))
        if network.num_keypoints != len(self.samples.skeleton):
            raise ValueError(
                f"the network has {network.num_keypoints} keypoints, and {self.config.data.name} "
                f"{len(self.samples.skeleton)}; leave num_keypoints out"
            )
        return network

    def uncounted(self, sample: KeypointExample) -> KeypointExample:
        return replace(sample, weight=np.zeros_like(sample.weight), counts=False)

    def counts(self, batch: KeypointBatch) -> Tensor:
        """People."""
        return batch.counts.sum().unsqueeze(0)

    def losses(self, network: nn.Module, batch: KeypointBatch, counts: Tensor) -> Tensor:
        predictions = network(batch.image)
        with torch.autocast(batch.image.device.type, enabled=False):
            loss = heatmap_loss(predictions, batch.heatmaps, batch.weight, self.config.hardest, counts[0])
        with torch.no_grad():
            accuracy = heatmap_accuracy(predictions[-1], batch.heatmaps)
        share = batch.counts.sum() / counts[0].clamp(min=1)
        return torch.stack([loss, accuracy * share.to(loss.dtype)])

    def validate(
        self, network: nn.Module, rank: int, processes: int, gather: Callable[[list], list]
    ) -> dict[str, float]:
        """The set's measure by name, such as pckh.mean, pckh.ankle or oks.AP.

        Who cannot be read is left out if the set skips them, and an error otherwise.
        """
        config, dataset = self.config, self.validation
        predictor = KeypointPredictor(
            self._with_card(network),
            next(network.parameters()).device,
            config.precision,
            size=dataset.size,
            sigma=dataset.targets.sigma,
            published=config.published,
            skeleton=dataset.skeleton,
        )
        share = evaluate_share(predictor, dataset, range(rank, len(dataset), processes))
        result = join(gather([share]))
        if result.skipped and dataset.on_error == "raise":
            raise ValueError(f"validation cannot read {result.skipped[0]}")
        if self.measure == "oks":
            return {f"oks.{name}": value for name, value in result.oks(dataset).items() if name != "measure"}
        found = result.pck(self.measure)
        figures = {name: found[name] for name in ("mean", "pooled", "auc")}
        figures |= {name: value for name, value in found["groups"].items() if value is not None}
        return {f"{self.measure}.{name}": value for name, value in figures.items()}

    def pictures(self, network: nn.Module, batch: KeypointBatch) -> dict[str, np.ndarray]:
        """The first crop, and on it the heatmaps, the truth's and the prediction's, the largest of all keypoints."""
        predicted = network(batch.image[:1])[-1]
        image = denormalise(batch.image[0].cpu(), self.samples.mean, NO_STD).clamp(0, 1).permute(1, 2, 0).numpy()
        pictures = {"image": np.round(255 * image).astype(np.uint8)}
        for name, maps in (("truth", batch.heatmaps), ("prediction", predicted)):
            largest = maps[0].float().amax(0).clamp(0, 1).cpu().numpy()
            pictures[name] = heat(pictures["image"], cv2.resize(largest, image.shape[1::-1]))
        return pictures

    def example(self, network: nn.Module) -> tuple[Tensor]:
        return (torch.zeros(1, 3, network.multiple, network.multiple, device=next(network.parameters()).device),)

    def save(self, network: nn.Module, path: Path, training: dict, metrics: dict) -> None:
        self._with_card(network)
        save_model(network, path, {"training": training, "metrics": metrics}, half=self.config.model.half)

    def _with_card(self, network: nn.Module) -> nn.Module:
        """The network, which says by its card what its input and its keypoints are."""
        dataset = self.samples
        network.card = getattr(network, "card", {}) | {
            "normalisation": {"mean": list(dataset.mean), "std": list(NO_STD)},
            "skeleton": asdict(dataset.skeleton),
        }
        return network
