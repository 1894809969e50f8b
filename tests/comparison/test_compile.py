"""Everything that a generator or critic is trained with compiles to one whole graph."""

import pytest
import torch
from torch import nn

from gmtools.comparison import (
    F_DIVERGENCES,
    GAN_LOSSES,
    KERNELS,
    SCORING_RULES,
    Kernel,
    bregman_ratio_loss,
    classification_loss,
    energy_distance,
    f_divergence,
    frechet_distance,
    gan_loss,
    mmd2,
    moment_distance,
    sinkhorn_divergence,
    smoothed_discriminator_loss,
    wasserstein_1d,
)

critic = nn.Linear(2, 1).double()

LOSSES = {
    **{f"bregman {n}": lambda x, y, n=n: bregman_ratio_loss(n, critic(x), critic(y)) for n in F_DIVERGENCES},
    **{f"f {n}": lambda x, y, n=n: f_divergence(n, critic(y)) for n in F_DIVERGENCES},
    **{f"score {n}": lambda x, y, n=n: classification_loss(n, critic(x), critic(y)) for n in SCORING_RULES},
    **{f"gan {n}": lambda x, y, n=n: gan_loss(n).discriminator(critic(x), critic(y)) for n in GAN_LOSSES},
    **{f"generator {n}": lambda x, y, n=n: gan_loss(n).generator(critic(y)) for n in GAN_LOSSES},
    **{f"mmd {n}": lambda x, y, n=n: mmd2(x, y, Kernel(n, (0.5, 2.0))) for n in KERNELS},
    "mmd biased": lambda x, y: mmd2(x, y, Kernel(), "biased"),
    "mmd linear": lambda x, y: mmd2(x, y, Kernel(), "linear"),
    "smoothed": lambda x, y: smoothed_discriminator_loss(critic(x), critic(y)),
    "energy": energy_distance,
    "moments": moment_distance,
    "frechet": frechet_distance,
    "wasserstein": lambda x, y: wasserstein_1d(x[:, 0], y[:, 0]),
    "sinkhorn": lambda x, y: sinkhorn_divergence(x, y, 0.5, iterations=10),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_compile_to_one_graph_with_the_same_value(name, compile_whole):
    torch.manual_seed(0)
    x, y = torch.randn(12, 2), torch.randn(12, 2)
    loss = LOSSES[name]
    torch.testing.assert_close(compile_whole(loss)(x, y), loss(x, y))
