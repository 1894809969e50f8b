"""Train the models of chapters 50 and 51 and write them to gmtools/weights: `train_deep_gaussian.py`.

Deep latent Gaussian models of binary digits: a small one, whose posterior fits on a grid of three numbers,
and a large one. They climb the importance-weighted bound of 20 draws rather than the plain one, so that their
posteriors are not bent towards the factorised recognition model. The metric is the mean of the bound of 200
draws over the test data, in nats.
"""

import torch
from torch import Tensor, nn

from gmtools.data import digits
from gmtools.inference import iwae
from gmtools.models import DeepLatentGaussian
from gmtools.training import fit
from gmtools.weights import FOLDER, load_weights, save_weights

NAME, SIZES = "deep_gaussian", {"small": (2, 1), "large": (8, 4)}
STEPS, LR, DRAWS = 3000, 3e-3, 20
TRAIN, VALIDATION, TEST = 0, 1, 2


def build() -> nn.ModuleDict:
    return nn.ModuleDict({name: DeepLatentGaussian(64, sizes) for name, sizes in SIZES.items()})


def binary_digits(part: int) -> Tensor:
    """``(N, 64)``, black on white."""
    return (digits()[part].scaled.flatten(1) > 0.5).float()


def train(model: nn.Module, steps: int = STEPS) -> float:
    """Climb the bound and keep what is best on the validation data; returns the seconds it took."""
    optimizer = torch.optim.Adam(model.parameters(), LR)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    optimizer.register_step_post_hook(lambda *_: schedule.step())

    def loss(x: Tensor) -> Tensor:
        return -iwae(model.log_weights(x, DRAWS)).mean()

    data, held_out = binary_digits(TRAIN), binary_digits(VALIDATION)
    options = {"batch_size": 64, "optimizer": optimizer, "held_out": held_out}
    return fit(model, loss, data, steps=steps, evaluate_every=max(1, steps // 25), **options).seconds


@torch.no_grad()
def metric(model: nn.Module) -> float:
    torch.manual_seed(0)
    return iwae(model.log_weights(binary_digits(TEST), 200)).mean().item()


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    models, path = build(), FOLDER / f"{NAME}.safetensors"
    seconds = sum(train(model) for model in models.values())
    save_weights(models, path, {})
    load_weights(models, NAME)  # the metric is that of the rounded weights
    measured = {f"iwae {name}": f"{metric(model):.4f}" for name, model in models.items()}
    metadata = {"script": "lectures/weights/train_deep_gaussian.py", "seed": 0, "seconds": round(seconds)}
    save_weights(models, path, metadata | measured)
    print(NAME, metadata | measured, f"{path.stat().st_size} bytes", flush=True)


if __name__ == "__main__":
    main()
