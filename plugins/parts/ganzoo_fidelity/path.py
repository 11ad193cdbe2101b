"""Perceptual path length: how far a sample moves when its latent moves a little.

Paper: Karras et al., "A Style-Based Generator Architecture for Generative Adversarial Networks", 2019,
    https://arxiv.org/abs/1812.04948, section 4.1
    E d(G(path(t)), G(path(t + e))) / e^2,   e = 1e-4, path(t) from z to z', t uniform in [0, 1]
The distances are torch-fidelity's, with d = LPIPS of VGG-16, whose weights it downloads when first used. As in
    torch-fidelity, the lowest and highest 1% are left out of the mean; this is done here, because torch-fidelity's code
    for it needs a NumPy older than 2.4. Departures, as in torch-fidelity: t is 0, the start of the path; the path is
    straight even if latents are normal; images are compared at 64x64 pixels.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
from torch_fidelity.generative_model_base import GenerativeModelBase
from torch_fidelity.metric_ppl import KEY_METRIC_PPL_RAW, calculate_ppl
from torch_fidelity.registry import NOISE_SOURCE_REGISTRY, register_noise_source

from ganzoo import Metric, Model, Samples, Score, UsageError

_NOISE = "ganzoo"  # name of a noise source in torch-fidelity: the latents of the model that is being measured
_measured: list[Model] = []


class PerceptualPathLength(Metric):
    """PPL of an image model with one latent vector per sample; lower is smoother. Real samples are not used."""

    def measure(self, fake: Samples, real: Samples) -> Mapping[str, Score]:
        if fake.model is None:
            raise UsageError("The metric 'ppl' needs a generator; real samples have none.")
        latent = fake.model.sample_latent(2, torch.Generator())
        if set(latent) != {"z"} or latent["z"].dim() != 2 or fake.values.dtype != torch.uint8:
            raise UsageError("The metric 'ppl' needs an image model whose latent is one vector, 'z'.")
        if _NOISE not in NOISE_SOURCE_REGISTRY:
            register_noise_source(_NOISE, _noise)
        _measured[:] = [fake.model]
        try:
            found = calculate_ppl(
                1,
                input1=_Generator(fake.model, latent["z"].shape[1]),
                input1_model_num_samples=len(fake.values),
                rng_seed=fake.seed % 2**32,
                ppl_sample_similarity_dtype="float32",
                ppl_reduction="none",
                ppl_discard_percentile_lower=None,
                ppl_discard_percentile_higher=None,
                cuda=False,
                verbose=False,
            )
        except OSError as error:  # such as URLError
            raise UsageError(
                f"The metric 'ppl' needs the weights of LPIPS and VGG-16, which could not be downloaded ({error}). "
                "Connect to the internet once, or leave out the metric."
            ) from error
        finally:
            _measured.clear()
        lengths = found[KEY_METRIC_PPL_RAW]  # (n,)
        ends = np.percentile(lengths, 1, method="lower"), np.percentile(lengths, 99, method="higher")
        kept = lengths[(lengths >= ends[0]) & (lengths <= ends[1])]
        return {"ppl": Score(float(kept.mean()), "lower", {"std": float(kept.std())})}


class _Generator(GenerativeModelBase):  # type: ignore[misc]  # torch-fidelity has no types
    """A ganzoo model as torch-fidelity expects it: from z (n, d) to images (n, 3, H, W) in [0, 255]."""

    num_classes, z_size, z_type = 0, 0, _NOISE

    def __init__(self, model: Model, z_size: int) -> None:
        super().__init__()
        self.model, self.z_size = model, z_size

    def forward(self, z: Tensor) -> Tensor:
        image = self.model.generate({"z": z.to(self.model.device)})
        return image.cpu().add(1).mul(127.5).expand(-1, 3, -1, -1)


def _noise(rng: np.random.RandomState, shape: tuple[int, int]) -> Tensor:
    """Return latents (n, d) of the model that is being measured, seeded by torch-fidelity's generator."""
    return _measured[0].sample_latent(shape[0], torch.Generator().manual_seed(int(rng.randint(2**31))))["z"]
