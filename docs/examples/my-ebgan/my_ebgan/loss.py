# Paper: Zhao et al., 2017, as in model.py: equations 1 and 2, and section 2.4 for the pulling-away term
#     D minimizes D(x) + max(0, m - D(G(z)))        G minimizes D(G(z)) + weight * mean over pairs of cos^2(code, code')
from typing import Annotated

from torch.nn.functional import normalize, relu

from ganzoo import AdversarialLoss, Option, Penalty


class Energy(AdversarialLoss):
    """D gives low energy to real samples, and energy above the margin to fakes; G wants low energy for its fakes."""

    def __init__(self, *, margin: Annotated[float, Option("Fakes with this energy or more add no loss", gt=0)] = 0.2):
        super().__init__()
        self.margin = margin

    def discriminator(self, real, fake):
        return real.mean() + relu(self.margin - fake).mean()

    def generator(self, fake, real):
        return fake.mean()

    def log_scores(self, real, fake):  # not probabilities: these scores are not logits
        return {"energy(x)": real.mean(), "energy(G(z))": fake.mean()}


class PullAway(Penalty):
    """The codes of the fakes in a batch should point in different directions, so that G does not collapse."""

    player = "generator"

    def term(self, model, real, shared):  # shared: the fakes, and the latents they were made from
        code = normalize(model.discriminate(model.generate(shared), shared)["code"])  # (n, code_dim)
        return ((code @ code.T).square().sum() - len(code)) / max(1, len(code) * (len(code) - 1))
