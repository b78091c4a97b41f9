"""Training of stereo networks: pairs, losses on disparities, validation by the evaluation of ``stereohg evaluate``.

Shapes: B batch, H height, W width; image (B,3,H,W) normalised, disparity (B,H,W) pixels, valid (B,H,W) bool.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from stereohg.data.preprocess import denormalise
from stereohg.data.registry import DATASETS, create_dataset
from stereohg.data.stereo import StereoBatch, StereoDataset, StereoSample, collate
from stereohg.data.synthetic import photograph_hashes
from stereohg.evaluation import FIGURES, REGIONS, Evaluation, evaluate_share
from stereohg.models.weights import save_model
from stereohg.prediction import Predictor
from stereohg.protocols import FULL, choose_protocol
from stereohg.training.config import VALIDATION_SEED, DataConfig, StereoTraining
from stereohg.training.initial import start, training_before
from stereohg.training.losses import (
    block_distribution,
    block_weights,
    border_weights,
    check_heads,
    coarse_counts,
    coarse_loss,
    known_blocks,
    masked_mean,
    multi_head_distribution,
    multi_head_smooth_l1,
)
from stereohg.training.settings import warn_of_the_same, without_folders
from stereohg.visual import colour_disparity, error_map

BAD = 3.0  # pixels
EXAMPLE_HEIGHT = 64  # pixels of the picture that the graph is drawn from; it is twice as wide


class StereoTask:
    """See ``Task``.

    Raises:
        ValueError, OSError: a set, network or weights cannot be had; the message says why.
    """

    measures = ("loss", "epe", "bad_3")
    has_loss = ("smooth_l1", "distribution")
    best = "lowest"
    normalisation: dict[str, list[float]] = {}
    """Mean and std that the weights to begin with want; those of ImageNet where they do not say."""

    def __init__(self, config: StereoTraining):
        if config.loss.name not in self.has_loss:
            raise ValueError(f"{type(self).__name__} has no loss {config.loss.name!r}; make_task chooses the task")
        self.config = config
        self.before = training_before(config.model.weights)
        self.data = replace(config.data, split=config.data.split or DATASETS[config.data.name].to_learn)
        self.samples = self.open_samples()
        self.validation: StereoDataset | None = None
        self.protocol = FULL
        if config.validation_data is not None:
            tried = config.validation_data
            if DATASETS[tried.name].has_root:
                split = tried.split or DATASETS[tried.name].evaluated
                tried = replace(tried, root=tried.root or config.data.root, split=split)
                warn_of_the_same(self.data, tried)
            self.validation = open_set(tried, seed=config.seed + VALIDATION_SEED)
            check_metric(config.validation.metric, self.validation)
            self.protocol = choose_protocol(config.protocol, tried.name)

    def open_samples(self) -> StereoDataset:
        config = self.config
        samples = open_set(self.data, seed=config.seed, transform=config.augmentation.compose())
        listed = samples.files if DATASETS[self.data.name].has_root else []
        if listed and not any(own.disparity for own in listed):
            raise ValueError(
                f"no pair of {self.data.root} has a disparity, and there is nothing to learn; give pairs with ground"
                " truth (stereohg data check tells what is found), or take the recipe adapt, which needs none"
            )
        return samples

    @property
    def validates(self) -> bool:
        return self.validation is not None

    def network(self) -> nn.Module:
        network = start(self.config.model)
        network.recomputes_features = self.config.recompute_features
        self.num_levels, self.coarse_levels = network.num_levels, network.coarse_levels
        self.normalisation = getattr(network, "card", {}).get("normalisation", {})
        self._check(network)
        return network

    def _check(self, network: nn.Module) -> None:
        """Raises ValueError where the settings do not fit the network."""
        for name, is_set in (("loss.coarse", self.config.loss.coarse), ("window", self.config.window)):
            if is_set and not network.coarse_levels:
                raise ValueError(f"{name} is of use to hgstereo, which has coarse answers, alone; leave it out")
        if (heads := count_heads(network)) is not None:
            check_heads(heads, self.config.loss.heads)
        for name, size in (("augmentation.crop", self.config.augmentation.crop), ("window", self.config.window)):
            if size is not None and (size.height % network.multiple or size.width % network.multiple):
                raise ValueError(
                    f"{name} is {size.width}x{size.height} (width x height), and the network takes multiples of"
                    f" {network.multiple}"
                )
        if self.config.window is not None and self.config.augmentation.crop is None:
            raise ValueError("window wants augmentation.crop, or a picture has the same window whenever it comes")

    def collate(self, samples: list[StereoSample]) -> StereoBatch:
        return collate(samples, **self.normalisation)

    def uncounted(self, sample: StereoSample) -> StereoSample:
        return replace(sample, valid=np.zeros_like(sample.valid))

    def counts(self, batch: StereoBatch) -> Tensor:
        """Pixels, for the distribution also blocks; and of what is learnt of coarse answers ``coarse_counts``."""
        whole, batch = batch, self._learnt(batch)
        valid = self._counted(batch)
        counts = [valid.sum()]
        if self.config.loss.name == "distribution":
            counts.append(known_blocks(self._target(batch, valid)).sum())
        if self.config.loss.coarse:
            counts += coarse_counts(whole.disparity, self._counted(whole), self.coarse_levels)
        return torch.stack(counts)

    def losses(self, network: nn.Module, batch: StereoBatch, counts: Tensor) -> Tensor:
        whole, batch = batch, self._learnt(batch)
        config, valid = self.config.loss, self._counted(batch)
        seen = self._seen(network, whole)
        predictions, similarities = network.forward_with_similarities(batch.left, batch.right, *seen)
        # once more and behind it, since a gradient wants the running statistics that it was made with
        looks = network.look(whole.left, whole.right) if config.coarse else []
        with torch.autocast(batch.left.device.type, enabled=False):
            pixels, blocks = 1.0, 1.0
            if config.borders:
                pixels = border_weights(batch.disparity, valid, config.borders)
                blocks = block_weights(pixels, valid)
            loss = multi_head_smooth_l1(predictions, batch.disparity, valid, config.heads, counts[0], pixels)
            if config.name == "distribution":
                target = self._target(batch, valid)
                loss = loss + multi_head_distribution(similarities, target, config.heads, counts[1], blocks)
            if config.coarse:
                own = coarse_loss(looks, whole.disparity, self._counted(whole), counts[-2 * len(looks) :].unbind())
                loss = loss + config.coarse * own
            error = (predictions[-1].detach() - batch.disparity).abs()
            measures = (masked_mean(values, valid, counts[0]) for values in (error, (error > BAD).to(error.dtype)))
            return torch.stack([loss, *measures])

    def _seen(self, network: nn.Module, whole: StereoBatch) -> list[Tensor]:
        """The coarse answer of whole pictures, in their windows, if there are any."""
        window = self.config.window
        if window is None:
            return []
        corners = window.corners(whole.left)
        return [window.cut(answer, corners, 4) for answer in network.seen_beforehand(whole.left, whole.right)]

    def _learnt(self, batch: StereoBatch) -> StereoBatch:
        """What is matched of the pictures: all of them, or their windows."""
        return batch if self.config.window is None else self.config.window.of_batch(batch)

    def _counted(self, batch: StereoBatch) -> Tensor:
        """The valid pixels in the loss's range (B,H,W)."""
        valid, config = batch.valid, self.config.loss
        if config.above is not None:
            valid = valid & (batch.disparity > config.above)
        if config.below is not None:
            valid = valid & (batch.disparity < config.below)
        return valid

    def _target(self, batch: StereoBatch, valid: Tensor) -> Tensor:
        return block_distribution(batch.disparity, valid, self.num_levels)

    def validate(
        self, network: nn.Module, rank: int, processes: int, gather: Callable[[list], list]
    ) -> dict[str, float]:
        """``Evaluation.figures`` by names such as all.per_pixel.epe.

        An unreadable pair is left out if the set skips those, and an error otherwise.
        """
        share = range(rank, len(self.validation), processes)
        with self._searching(network):
            predictor = Predictor(network, next(network.parameters()).device, self.config.precision)
            own = evaluate_share(predictor, self.validation, self.protocol, share, workers=self.config.workers)
        together = Evaluation(self.protocol, gather(own.pairs), gather(own.skipped)).check()
        unread = [pair for pair in together.skipped if pair.failed]
        if unread and self.validation.on_error == "raise":
            raise ValueError(f"validation cannot read {unread[0].name}: {unread[0].reason}")
        return {
            f"{region}.{mean}.{name}": value
            for region, means in together.figures().items()
            for mean, own in means.items()
            for name, value in own.items()
        }

    def pictures(self, network: nn.Module, batch: StereoBatch) -> dict[str, np.ndarray]:
        """The first pair: the left picture, the prediction, and where there is ground truth its error."""
        disparity = network(batch.left[:1], batch.right[:1])[-1][0].float().cpu().numpy()
        colours = denormalise(batch.left[0].cpu(), **self.normalisation).clamp(0, 1)
        pictures = {
            "left": (255 * colours).round().byte().permute(1, 2, 0).numpy(),
            "prediction": colour_disparity(disparity),
        }
        truth, valid = batch.disparity[0].cpu().numpy(), batch.valid[0].cpu().numpy()
        if valid.any():
            pictures["error"] = error_map(disparity, truth, valid)
        return pictures

    def example(self, network: nn.Module) -> tuple[Tensor, Tensor]:
        parameter = next(network.parameters())
        image = torch.zeros(1, 3, EXAMPLE_HEIGHT, 2 * EXAMPLE_HEIGHT, device=parameter.device)
        return image, image.clone()

    def save(self, network: nn.Module, path: Path, training: dict, metrics: dict) -> None:
        if self.config.data.name == "synthetic":
            training = {**training, "photographs": photograph_hashes()}
        if self.before is not None:
            training = {**training, "weights_before": without_folders(self.before)}
        with self._searching(network):
            save_model(network, path, {"training": training, "metrics": metrics}, half=self.config.model.half)

    @contextmanager
    def _searching(self, network: nn.Module) -> Iterator[None]:
        """The network with the levels that it is to have after training."""
        trained, network.max_disp = network.max_disp, self.config.model.saved_max_disp or network.max_disp
        try:
            yield
        finally:
            network.max_disp = trained


def count_heads(network: nn.Module) -> int | None:
    """Of training, found on a device where nothing is computed; None of a network that asks for values there."""
    image = torch.zeros(2, 3, 2 * network.multiple, 4 * network.multiple, device="meta")
    try:
        with torch.no_grad():
            return len(deepcopy(network).to("meta").train()(image, image))
    except (NotImplementedError, RuntimeError, TypeError):  # the first step will tell
        return None


def check_metric(metric: str, dataset: StereoDataset) -> None:
    """Raises ValueError where no evaluation of the set could give such a figure."""
    region, mean, name = (metric.split(".", 2) + ["", ""])[:3]
    if region not in REGIONS or mean not in ("per_pixel", "per_image") or name not in FIGURES:
        raise ValueError(
            f"validation.metric is {metric!r}; it is made of a region ({', '.join(REGIONS)}), per_pixel or per_image, "
            f"and a figure ({', '.join(FIGURES)}), such as all.per_pixel.epe"
        )
    mask = {"noc": "visible", "hidden": "visible", "fg": "foreground", "bg": "foreground"}.get(region)
    if mask and dataset.files and not any(getattr(files, mask) for files in dataset.files):
        raise ValueError(f"validation.metric is {metric!r}, and validation_data does not tell what is {region}")


def open_set(config: DataConfig, **options) -> StereoDataset:
    """The set of a recipe.

    Raises:
        ValueError, OSError: see ``create_dataset``.
    """
    return create_dataset(
        config.name, config.root, config.split, **{"on_error": config.on_error, **options, **config.options}
    )
