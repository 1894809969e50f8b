"""Train the flows of chapter 57 and write them: `python train_flow_posteriors.py [name ...]`.

``planar`` and ``coupling``: flows of 2, 8 and 32 layers on the four energies of Rezende and Mohamed (2015);
the metric is KL(q || p) in nats. ``flow_vae``: a VAE of two latents whose posterior is a flow, beside its
mean-field twin; the metric is the mean bound of the test digits.
"""

import sys
import time

import torch
from torch import Tensor, nn

from gmtools.data import digits
from gmtools.distributions import rsample_and_log_prob
from gmtools.flows import Bijection, Planar, real_nvp
from gmtools.inference import elbo
from gmtools.models import VAE, BernoulliHead, StandardNormal
from gmtools.models.plane_energies import PLANE_ENERGIES
from gmtools.nets import MLP
from gmtools.posteriors import FlowPosterior, MeanField, gap
from gmtools.training import fit
from gmtools.weights import FOLDER, load_weights, save_weights

LENGTHS = (2, 8, 32)
STEPS = {"planar": (1500, 2000, 2500), "coupling": (1000, 1000, 1500)}  # one a length
LR = {"planar": (0.03, 0.02, 0.008), "coupling": (0.01, 0.01, 0.005)}
SAMPLES = 256
VAE_STEPS = 2000
TEST_DRAWS = 50  # a digit


def bijection(kind: str, layers: int) -> Bijection:
    if kind == "coupling":
        return real_nvp(2, layers, hidden=(16,))
    flow = Planar(2, layers)
    nn.init.normal_(flow.b)  # the layers begin on lines all over the cloud, not all through its centre
    return flow


def energy_flows(kind: str) -> nn.ModuleDict:
    """A flow posterior for each energy and length, by names such as ``"U1 8"``."""
    return nn.ModuleDict(
        {f"{name} {K}": FlowPosterior(bijection(kind, K)) for name in PLANE_ENERGIES for K in LENGTHS}
    )


def train_on_energy(q: FlowPosterior, log_joint, steps: int, lr: float) -> float:
    """Climb E[t log p~(z) - log q(z)] while t grows to 1 over the first half; returns the seconds."""
    optimizer = torch.optim.Adam(q.parameters(), lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    optimizer.register_step_pre_hook(lambda *_: clip(q))
    optimizer.register_step_post_hook(lambda *_: schedule.step())

    def loss() -> Tensor:
        warmth = min(1.0, 0.01 + 2 * schedule.last_epoch / steps)
        z, log_q = rsample_and_log_prob(q(), (SAMPLES,))
        return (log_q - warmth * log_joint(z)).mean()

    return fit(q, loss, steps=steps, optimizer=optimizer, device="cpu").seconds


def clip(module: nn.Module) -> None:
    nn.utils.clip_grad_norm_(module.parameters(), 10.0)


def energy_metrics(flows: nn.ModuleDict) -> dict[str, float]:
    """KL(q || p) of every flow, from 20 000 draws and log Z by quadrature."""
    found = {}
    for key, q in flows.items():
        target = PLANE_ENERGIES[key.split()[0]]
        torch.manual_seed(1)
        found[key] = gap(q(), target.log_joint, target.posterior().log_evidence).value.item()
    return found


def black_and_white(part: int) -> Tensor:
    """Digits of one part of the split, pixels 0 or 1: ``(N, 64)``."""
    return (digits()[part].scaled.flatten(1) > 0.5).float()


def vaes() -> nn.ModuleDict:
    """Two VAEs of two latents that differ in the posterior alone."""

    def vae(encoder: nn.Module) -> VAE:
        return VAE(encoder, BernoulliHead(MLP(2, 64, (64, 64))), StandardNormal(2))

    flow = real_nvp(2, layers=4, hidden=(32,), d_context=64)
    return nn.ModuleDict({"mean_field": vae(MeanField(2, 64)), "flow": vae(FlowPosterior(flow, 64))})


def train_vae(model: VAE) -> float:
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, VAE_STEPS)
    optimizer.register_step_post_hook(lambda *_: schedule.step())
    options = {"steps": VAE_STEPS, "batch_size": 100, "optimizer": optimizer, "device": "cpu"}
    history = fit(
        model,
        lambda x: -elbo(model.log_weights(x)).mean(),
        black_and_white(0),
        held_out=black_and_white(1),
        evaluate_every=VAE_STEPS // 20,
        **options,
    )
    return history.seconds


@torch.no_grad()
def vae_metrics(models: nn.ModuleDict) -> dict[str, float]:
    """The mean bound over the test digits."""
    x, found = black_and_white(2), {}
    for key, model in models.items():
        torch.manual_seed(0)
        found[key] = elbo(model.log_weights(x, TEST_DRAWS)).mean().item()
    return found


def train(name: str, models: nn.ModuleDict) -> None:
    for key, model in models.items():
        if name == "flow_vae":
            seconds = train_vae(model)
        else:
            energy, K = key.split()
            index = LENGTHS.index(int(K))
            log_joint = PLANE_ENERGIES[energy].log_joint
            seconds = train_on_energy(model, log_joint, STEPS[name][index], LR[name][index])
        print(f"{name}, {key}: {seconds:.0f} s", flush=True)


def build(name: str) -> nn.ModuleDict:
    return vaes() if name == "flow_vae" else energy_flows(name)


def metrics(name: str, models: nn.ModuleDict) -> dict[str, float]:
    return vae_metrics(models) if name == "flow_vae" else energy_metrics(models)


def main(names: list[str]) -> None:
    torch.set_num_threads(1)
    for name in names or ("planar", "coupling", "flow_vae"):
        torch.manual_seed(0)
        models = build(name)
        start = time.process_time()
        train(name, models)
        seconds = round(time.process_time() - start)
        path = FOLDER / f"{name}.safetensors"
        save_weights(models, path, {})
        load_weights(models, name)  # the metric is that of the rounded weights
        measured = {key: f"{value:.4f}" for key, value in metrics(name, models).items()}
        about = {"script": "lectures/weights/train_flow_posteriors.py", "seed": 0, "seconds": seconds}
        save_weights(models, path, about | measured)
        print(name, about | measured, f"{path.stat().st_size} bytes", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
