"""What a VAE's training step costs: ``python -m benchmarks.vae`` prints the table. One thread, float32.

784 binary variables, 16 latents, a hidden layer of 256 on either side, batches of 256; loss, gradient, Adam.
pythae comes with the extra "bench" of the package: it asks for the obsolete backport ``dataclasses``, which
lies unused beside the one of Python, and for packages that only its trainers need.
"""

import argparse
import warnings

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.harness import BATCH, FLOOR, Row, race_steps, table
from gmtools.models import mlp_vae

D_X, D_Z, HIDDEN = 784, 16, 256


class Floor(nn.Module):
    """The VAE written by hand: fused Bernoulli likelihood, divergence in closed form, nothing checked."""

    def __init__(self):
        super().__init__()
        self.encoder = _network(D_X, 2 * D_Z)
        self.decoder = _network(D_Z, D_X)

    def loss(self, x: Tensor) -> Tensor:
        mean, raw = self.encoder(x).chunk(2, -1)
        scale = F.softplus(raw)
        z = mean + scale * torch.randn_like(mean)
        reconstruction = F.binary_cross_entropy_with_logits(self.decoder(z), x, reduction="sum")
        divergence = ((scale.square() + mean.square() - 1) / 2 - scale.log()).sum()
        return (reconstruction + divergence) / x.shape[0]


def pyro_loss(x: Tensor) -> tuple[nn.Module, object]:
    """The same VAE in pyro, with its closed-form divergence; checks as pyro has them by default."""
    import pyro
    import pyro.distributions as dist
    from pyro.infer import TraceMeanField_ELBO

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.decoder = _network(D_X, 2 * D_Z), _network(D_Z, D_X)

        def model(self, x):
            pyro.module("decoder", self.decoder)
            with pyro.plate("data", x.shape[0]):
                z = pyro.sample(
                    "z", dist.Normal(x.new_zeros(D_Z), x.new_ones(D_Z)).to_event(1).expand([len(x)])
                )
                pyro.sample("x", dist.Bernoulli(logits=self.decoder(z)).to_event(1), obs=x)

        def guide(self, x):
            pyro.module("encoder", self.encoder)
            with pyro.plate("data", x.shape[0]):
                mean, raw = self.encoder(x).chunk(2, -1)
                pyro.sample("z", dist.Normal(mean, F.softplus(raw)).to_event(1))

    model, bound = Model(), TraceMeanField_ELBO()
    return model, lambda: bound.differentiable_loss(model.model, model.guide, x) / x.shape[0]


def pythae_loss(x: Tensor) -> tuple[nn.Module, object]:
    """The same VAE in pythae, with networks of these sizes."""
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder

    class Encoder(BaseEncoder):
        def __init__(self):
            super().__init__()
            self.net = _network(D_X, 2 * D_Z)

        def forward(self, x):
            mean, log_variance = self.net(x).chunk(2, -1)
            return ModelOutput(embedding=mean, log_covariance=log_variance)

    class Decoder(BaseDecoder):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(_network(D_Z, D_X), nn.Sigmoid())

        def forward(self, z):
            return ModelOutput(reconstruction=self.net(z))

    config = VAEConfig(input_dim=(D_X,), latent_dim=D_Z, reconstruction_loss="bce")
    model = VAE(config, encoder=Encoder(), decoder=Decoder())
    return model, lambda: model({"data": x}).loss


PEERS = {"pyro": pyro_loss, "pythae": pythae_loss}


def step(rounds: int = 40) -> list[Row]:
    """A training step of every contestant on the same batch."""
    torch.manual_seed(0)
    x = torch.bernoulli(torch.rand(BATCH, D_X))
    floor, model = Floor(), mlp_vae(D_X, D_Z, (HIDDEN,))
    losses = {
        FLOOR: (floor.parameters(), lambda: floor.loss(x)),
        "gmtools": (model.parameters(), lambda: -model.bound(x).mean()),
    }
    for name, make in PEERS.items():
        try:
            module, loss = make(x)
        except ImportError:
            print(f"{name} is not installed")
            continue
        losses[name] = (module.parameters(), loss)
    return race_steps(losses, rounds)


def _network(d_in: int, d_out: int) -> nn.Module:
    return nn.Sequential(nn.Linear(d_in, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, d_out))


def report(rounds: int) -> str:
    return table(f"VAE, D = {D_X}: training step", step(rounds), target=1.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # peers' deprecations
    print(report(rounds))


if __name__ == "__main__":
    main()
