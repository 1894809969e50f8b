"""Train the models of chapter 40 and write them to gmtools/weights: `python train_richer_vaes.py [name ...]`.

An experiment is a family of models that learn from the same data, the plain VAE always among them. The metric
is the mean evidence lower bound of data that no training saw, in nats a data point.
"""

import sys
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gmtools.data import digits, scenes, solids
from gmtools.inference import elbo
from gmtools.models import (
    AIR,
    DRAW,
    VAE,
    GaussianHead,
    SequenceVAE,
    StandardNormal,
    conv_vae,
    mlp_vae,
    semi_supervised_vae,
)
from gmtools.nets import MLP
from gmtools.training import History, fit
from gmtools.weights import FOLDER, load_weights, save_weights

TRAIN, VALIDATION, TEST = 0, 1, 2  # parts of the data, and the seeds of those that are drawn
CHOICES = 5  # of ten labels a class
ALPHA = 10.0  # weight of log q(y | x) where the label is known
SIZES = (8000, 500, 500)


def two_digits(part: int) -> Tensor:
    """Up to two digits on a canvas: ``(N, 1, 20, 20)``."""
    torch.manual_seed(part)
    return scenes(digits()[part].scaled, SIZES[part])[0]


def binary_two_digits(part: int) -> Tensor:
    """The same, black on white."""
    return (two_digits(part) > 0.5).float()


def draw_models() -> nn.ModuleDict:
    return nn.ModuleDict(
        {
            "vae": mlp_vae(400, 24, (128,)),
            "draw": DRAW((20, 20), d_z=6, steps=4, points=6),
            "draw_dependent": DRAW((20, 20), d_z=6, steps=4, points=6, dependent_prior=True),
        }
    )


def fixed_noise(d_in: int, d_x: int, hidden: int, scale: float) -> GaussianHead:
    """p(x | z) of a network and a noise that is not learned."""
    head = GaussianHead(MLP(d_in, d_x, (hidden,)), scale=scale)
    head.log_scale.requires_grad_(False)
    return head


def scene_models() -> nn.ModuleDict:
    air = AIR((20, 20), objects=2, d_what=8)
    plain = VAE(GaussianHead(MLP(400, 44, (128,))), fixed_noise(22, 400, 128, 0.3), StandardNormal(22))
    return nn.ModuleDict({"air": air, "vae": plain})


def bodies(part: int) -> Tensor:
    """Balls, boxes, cylinders and cones: binary ``(N, 1, 12, 12, 12)``."""
    torch.manual_seed(part)
    return solids(SIZES[part])[0]


def solid_models() -> nn.ModuleDict:
    return nn.ModuleDict({"vae": mlp_vae(1728, 10, (64,)), "volumetric": conv_vae(1, (12, 12, 12), 10)})


def rows(part: int) -> Tensor:
    """Digits read row by row: binary sequences ``(N, 8, 8)``."""
    return (digits()[part].scaled[:, 0] > 0.5).float()


def row_models() -> nn.ModuleDict:
    return nn.ModuleDict({"vae": mlp_vae(64, 16, (64,)), "sequence": SequenceVAE(8, 2, hidden=48)})


def grey_digits(part: int) -> Tensor:
    """``(N, 64)``."""
    return digits()[part].scaled.flatten(1)


def label_models() -> nn.ModuleDict:
    def semi_supervised() -> nn.Module:
        return semi_supervised_vae(64, 8, 10, (96,), fixed_noise(18, 64, 96, 0.2))

    plain = VAE(GaussianHead(MLP(64, 16, (96,))), fixed_noise(8, 64, 96, 0.2), StandardNormal(8))
    return nn.ModuleDict({"vae": plain, **{str(choice): semi_supervised() for choice in range(CHOICES)}})


class Experiment(NamedTuple):
    """What to train on what; the numbers belong to every model of the family."""

    build: Callable[[], nn.ModuleDict]
    data: Callable[[int], Tensor]
    steps: int
    lr: float
    clip: float = 100.0  # greatest norm of a gradient
    evaluations: int = 25  # on the validation data


EXPERIMENTS = {
    "draw": Experiment(draw_models, binary_two_digits, 8000, 3e-3, clip=10.0, evaluations=16),
    "air": Experiment(scene_models, two_digits, 1500, 2e-3),
    "solids": Experiment(solid_models, bodies, 1200, 3e-3),
    "rows": Experiment(row_models, rows, 500, 5e-3),
    "semi_supervised": Experiment(label_models, grey_digits, 1000, 3e-3),
}


def form(model: nn.Module, x: Tensor) -> Tensor:
    """The data as the model wants them: models of multilayer perceptrons take vectors."""
    volumetric = isinstance(model, VAE) and not isinstance(model.encoder.net, MLP)
    return x if volumetric or isinstance(model, (AIR, DRAW, SequenceVAE)) else x.flatten(1)


def bound(model: nn.Module, x: Tensor) -> Tensor:
    """A one-sample estimate of every data point's bound; in closed form as far as possible."""
    return model.bound(x) if hasattr(model, "bound") else elbo(model.log_weights(x))


def ten_labels(choice: int) -> Tensor:
    """The labels of ten training digits of each class, -1 for all the others."""
    labels = digits().train.labels
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(choice))
    known = torch.full_like(labels, -1)
    for label in range(10):
        chosen = order[labels[order] == label][:10]
        known[chosen] = label
    return known


def train(model: nn.Module, experiment: Experiment, seed: int, known: Tensor | None = None) -> History:
    """Climb the bound and keep what is best on the validation data."""
    x, held_out = (form(model, experiment.data(part)) for part in (TRAIN, VALIDATION))
    optimizer = torch.optim.Adam(model.parameters(), experiment.lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, experiment.steps)
    optimizer.register_step_pre_hook(lambda *_: clip(model, experiment.clip))
    optimizer.register_step_post_hook(lambda *_: schedule.step())

    def loss(batch: Tensor) -> Tensor:
        value = -bound(model, batch).mean()
        if known is None or not model.training:
            return value
        return value - model.objective(x[known >= 0], known[known >= 0], ALPHA).mean()

    options = {"steps": experiment.steps, "optimizer": optimizer, "held_out": held_out, "seed": seed}
    every = experiment.steps // experiment.evaluations
    return fit(model, loss, x, batch_size=64, evaluate_every=every, **options)


def clip(model: nn.Module, norm: float) -> None:
    nn.utils.clip_grad_norm_(model.parameters(), norm)


def metrics(name: str, models: nn.ModuleDict) -> dict[str, float]:
    """The mean bound of every model over the test data, from 20 samples a data point."""
    x, found = EXPERIMENTS[name].data(TEST), {}
    with torch.no_grad():
        for key, model in models.items():
            torch.manual_seed(0)
            found[key] = bound_of(model, form(model, x)).mean().item()
    return found


def bound_of(model: nn.Module, x: Tensor) -> Tensor:
    """20 samples a data point; with the label unknown where there are labels."""
    return model.bound(x, K=20) if hasattr(model, "classify") else elbo(model.log_weights(x, 20))


def course(history: History) -> str:
    """The bound of the validation data at every evaluation, as the file's metadata hold it."""
    return " ".join(f"{-loss:.2f}" for loss in history.held_out)


def main(names: list[str]) -> None:
    torch.set_num_threads(1)
    for name in names or EXPERIMENTS:
        experiment, seconds, courses = EXPERIMENTS[name], 0.0, {}
        torch.manual_seed(0)
        models = experiment.build()
        for key, model in models.items():
            known = ten_labels(int(key)) if key.isdigit() else None
            history = train(model, experiment, int(key) if key.isdigit() else 0, known)
            seconds += history.seconds
            courses[f"validation {key}"] = course(history)
            print(f"{name}, {key}: {sum(p.numel() for p in model.parameters())} weights", flush=True)
        path = FOLDER / f"{name}.safetensors"
        save_weights(models, path, {})
        load_weights(models, name)  # the metric is that of the rounded weights
        measured = {f"elbo {key}": f"{value:.4f}" for key, value in metrics(name, models).items()}
        metadata = {"script": "lectures/weights/train_richer_vaes.py", "seed": 0, "seconds": round(seconds)}
        metadata |= {"steps": experiment.steps} | measured | courses
        save_weights(models, path, metadata)
        print(name, metadata, f"{path.stat().st_size} bytes", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
