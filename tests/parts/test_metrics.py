"""Each metric against an independent computation."""

import hashlib

import numpy as np
import pytest
import torch
import torch_fidelity
import torchvision
from ganzoo_fidelity.frechet import FrechetDistance, FrechetInceptionDistance
from ganzoo_fidelity.kernel import KernelDistance
from ganzoo_fidelity.prdc import PrecisionRecallDensityCoverage
from ganzoo_fidelity.score import ClassifierScore
from scipy import linalg
from torch.utils.data import TensorDataset as TorchTensorDataset
from torch_fidelity import sample_similarity_lpips as lpips
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

import ganzoo as package
from ganzoo import TensorDataset, randomness
from ganzoo.evaluation.extractors import Extractor
from ganzoo.metric import Samples
from ganzoo.zoo import Zoo


def samples(features, seed=0):
    """Samples of which only the features matter."""
    return Samples(features, {}, TensorDataset({"point": features}), seed, None, lambda kind: features)


def clouds(n=400, dim=12):
    """Two sets of correlated features that overlap partly."""
    rng = randomness.generator(1, "clouds")
    mix = torch.randn(dim, dim, generator=rng)
    fake = torch.randn(n, dim, generator=rng) @ mix + 0.7
    real = torch.randn(n, dim, generator=rng) @ (mix + 0.3 * torch.randn(dim, dim, generator=rng))
    return fake, real


def measured(metric, fake, real, seed=0):
    return {name: score.value for name, score in metric.measure(samples(fake, seed), samples(real, seed)).items()}


def frechet(fake, real):
    """The formula, with scipy's matrix square root."""
    x, y = fake.double().numpy(), real.double().numpy()
    root = linalg.sqrtm(np.cov(x, rowvar=False) @ np.cov(y, rowvar=False)).real
    gap = x.mean(0) - y.mean(0)
    return gap @ gap + np.trace(np.cov(x, rowvar=False) + np.cov(y, rowvar=False) - 2 * root)


def test_frechet_distance():
    fake, real = clouds()
    found = measured(FrechetDistance(), fake, real)
    assert found == {"fd": pytest.approx(frechet(fake, real), rel=1e-6)}
    assert measured(FrechetDistance(), real, real)["fd"] == pytest.approx(0, abs=1e-6)


def test_frechet_distance_in_the_digit_classifiers_features():
    zoo = Zoo()
    dataset = zoo.part("data", "mnist").load()(split="test")
    extractor = Extractor(zoo, "mnist", ["fid"], torch.device("cpu"))
    images = dataset.tensors()["image"]
    noisy = (images[:500].float() + 60 * torch.rand(500, 1, 28, 28, generator=torch.Generator())).clamp(0, 255).byte()
    fake, real = extractor(noisy)["fid"], extractor(images[500:1000])["fid"]
    assert measured(FrechetDistance(), fake, real)["fd"] == pytest.approx(frechet(fake, real), rel=1e-6)


def test_kernel_distance():
    fake, real = clouds(n=60)
    x, y = fake.double().numpy(), real.double().numpy()

    def kernel(a, b):
        return (a @ b / len(a) + 1) ** 3

    n = len(x)
    within = sum(kernel(a[i], a[j]) for a in (x, y) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    across = sum(kernel(a, b) for a in x for b in y) / n**2
    found = measured(KernelDistance(subsets=1, subset_size=n), fake, real)  # one subset: all samples
    assert found["kd"] == pytest.approx(within - 2 * across, rel=1e-6)


def test_precision_recall_density_and_coverage():
    fake, real = clouds(n=150, dim=4)
    k = 5

    def radii(points):
        return [sorted(np.linalg.norm(points - point, axis=1))[k] for point in points]  # [0] is the point itself

    x, y = fake.double().numpy(), real.double().numpy()
    to_real = [[np.linalg.norm(a - b) for b in y] for a in x]  # [fake][real]
    real_radii, fake_radii = radii(y), radii(x)
    n = len(x)
    inside_real = [[to_real[i][j] < real_radii[j] for j in range(n)] for i in range(n)]
    inside_fake = [[to_real[i][j] < fake_radii[i] for j in range(n)] for i in range(n)]
    found = measured(PrecisionRecallDensityCoverage(), fake, real)
    assert found["precision"] == pytest.approx(np.mean([any(row) for row in inside_real]), abs=1e-7)
    assert found["recall"] == pytest.approx(
        np.mean([any(inside_fake[i][j] for i in range(n)) for j in range(n)]), abs=1e-7
    )
    assert found["density"] == pytest.approx(np.sum(inside_real) / (k * n), abs=1e-9)
    assert found["coverage"] == pytest.approx(np.mean([any(row[j] for row in inside_real) for j in range(n)]), abs=1e-9)
    assert 0 < found["recall"] < 1
    assert 0 < found["coverage"] < 1


def test_very_close_neighbors_are_distinguished():
    rng = randomness.generator(0, "narrow")
    fake, real = (torch.randn(500, 2, generator=rng) * 1e-4 + 0.8 for _ in range(2))
    near = measured(PrecisionRecallDensityCoverage(), fake, real)
    wide = measured(PrecisionRecallDensityCoverage(), (fake - 0.8) * 1e4, (real - 0.8) * 1e4)
    assert near == pytest.approx(wide, abs=0.02)  # float32 keeps three digits of 0.8 + 1e-4


def test_classifier_score():
    logits = 3 * torch.randn(200, 7, generator=randomness.generator(0, "logits"))
    order = np.random.RandomState(0).permutation(200)
    p = softmax(logits.double().numpy()[order])
    splits = [np.exp(np.mean(np.sum(q * (np.log(q) - np.log(q.mean(0))), axis=1))) for q in np.split(p, 10)]
    found = measured(ClassifierScore(), logits, logits)
    assert found["is"] == pytest.approx(np.mean(splits), rel=1e-6)
    assert measured(ClassifierScore(), torch.ones(50, 7), torch.ones(50, 7))["is"] == pytest.approx(1)


def softmax(logits):
    exps = np.exp(logits - logits.max(1, keepdims=True))
    return exps / exps.sum(1, keepdims=True)


class Images(TorchTensorDataset):
    """Images as torch-fidelity expects them."""

    def __getitem__(self, index):
        return self.tensors[0][index]


def test_fid_equals_torch_fidelitys_on_random_weights(tmp_path, monkeypatch):
    weights = tmp_path / "inception.pth"
    torch.save({}, weights)
    with monkeypatch.context() as patch, randomness.preserved():
        torch.manual_seed(0)
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
        network = FeatureExtractorInceptionV3(
            "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(weights)
        )
    for name, buffer in network.named_buffers():
        if name.endswith("running_var"):
            buffer.fill_(1 / 6)  # keeps the scale of features with random weights and ReLU
    torch.save(network.state_dict(), weights)

    rng = torch.Generator().manual_seed(0)
    fake, real = (torch.randint(low, 256, (8, 3, 32, 32), generator=rng, dtype=torch.uint8) for low in (0, 100))
    theirs = torch_fidelity.calculate_metrics(
        input1=Images(fake),
        input2=Images(real),
        fid=True,
        cuda=False,
        feature_extractor="inception-v3-compat",
        feature_extractor_weights_path=str(weights),
        verbose=False,
        cache=False,
        save_cpu_ram=True,
    )
    known = hashlib.sha256(weights.read_bytes()).hexdigest()
    extractor = Extractor(Zoo(), "inception-v3-compat", ["fid"], torch.device("cpu"), weights, known)
    ours = measured(FrechetInceptionDistance(), extractor(fake)["fid"], extractor(real)["fid"])
    assert ours == {"fid": pytest.approx(theirs["frechet_inception_distance"], rel=1e-6)}
    assert ours["fid"] > 1e-3
    assert FrechetInceptionDistance().min_samples(2048) == 2049


def test_path_length_against_the_formula(trained, monkeypatch):
    """With LPIPS on random weights and the generator of a short run."""
    with randomness.preserved():
        torch.manual_seed(0)
        kept, vgg = {}, torchvision.models.vgg16(weights=None)
    monkeypatch.setattr(lpips, "torchvision_load_pretrained_vgg16", lambda: vgg)
    monkeypatch.setattr(lpips, "load_state_dict_from_url", lambda *arguments, **options: kept)
    with monkeypatch.context() as patch:

        def keep(self, state):
            for weights in self.parameters():
                weights.data.abs_()  # LPIPS has no negative weights
            kept.update(self.state_dict())

        patch.setattr(lpips.SampleSimilarityLPIPS, "load_state_dict", keep)
        distance = lpips.SampleSimilarityLPIPS("lpips-vgg16", 64, "float32")  # resizes to 64x64
    run = package.load(trained)
    (record,) = run.evaluate("ppl", n=120, seed=3)

    rng = np.random.RandomState(3)
    ends = [run.model.sample_latent(120, torch.Generator().manual_seed(int(rng.randint(2**31))))["z"] for _ in range(2)]
    lengths = []
    with torch.no_grad():
        for start, end in zip(ends[0].split(64), ends[1].split(64), strict=True):  # same batches: the steps are tiny
            both = torch.cat([start, start + (end - start) * 1e-4])
            pictures = run.model.generate({"z": both}).add(1).mul(127.5).expand(-1, 3, -1, -1)
            lengths += (distance(*pictures.chunk(2)) / 1e-4**2).flatten().tolist()
    lengths.sort()
    assert record["value"] == pytest.approx(np.mean(lengths[1:-1]), rel=1e-3)  # without the lowest and highest percent
    assert record["value"] > 0
