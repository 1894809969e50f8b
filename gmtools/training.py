"""One training loop for every chapter: ``fit`` and the ``History`` it returns."""

import copy
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from gmtools.checks import check_count, check_positive

Data = Tensor | tuple[Tensor, ...]


@dataclass
class History:
    """What happened during a fit.

    Attributes:
        loss: the training loss of every step.
        held_out: the held-out loss of every evaluation (empty without held-out data).
        held_out_steps: the number of steps taken before each of those evaluations.
        best_step: the evaluation whose weights were kept, or None without held-out data.
        seconds: wall-clock time of the whole fit.
    """

    loss: list[float] = field(default_factory=list)
    held_out: list[float] = field(default_factory=list)
    held_out_steps: list[int] = field(default_factory=list)
    best_step: int | None = None
    seconds: float = 0.0

    def __repr__(self) -> str:
        """One line, and no times: the value of a notebook's last expression says the same on every run."""
        parts = [f"{len(self.loss)} steps", *(f"loss {loss:.4g}" for loss in self.loss[-1:])]
        if self.held_out:
            best = self.held_out[self.held_out_steps.index(self.best_step)]
            parts.append(f"held out {best:.4g} at step {self.best_step}")
        return f"History({', '.join(parts)})"

    def plot(self, ax=None):
        """Draw both loss curves on ``ax`` (by default a new one) and return it."""
        import matplotlib.pyplot as plt

        ax = plt.subplots()[1] if ax is None else ax
        ax.plot(range(1, len(self.loss) + 1), self.loss, alpha=0.6, linewidth=1, label="обучение")
        if self.held_out:
            ax.plot(self.held_out_steps, self.held_out, marker="o", markersize=3, label="отделени данни")
            ax.axvline(self.best_step, linestyle=":", color="gray", label="запазени тегла")
        ax.set(xlabel="стъпка", ylabel="загуба")
        ax.legend()
        return ax


def fit(
    module: nn.Module,
    loss: Callable[..., Tensor],
    data: Data | None = None,
    *,
    steps: int = 1000,
    batch_size: int = 256,
    lr: float = 1e-3,
    optimizer: torch.optim.Optimizer | None = None,
    held_out: Data | None = None,
    evaluate_every: int = 100,
    patience: int | None = None,
    seed: int | None = 0,
    device: torch.device | str | None = None,
    mixed_precision: bool | None = None,
    progress: bool = True,
) -> History:
    r"""Minimise a loss over the parameters of a module by stochastic gradient descent.

    .. math:: \theta_{t+1} = \theta_t - \text{Adam}_t\Big(\nabla_\theta
              \tfrac{1}{B} \sum_{n \in \text{batch}_t} \ell(x_n; \theta_t)\Big)

    Batches are drawn without replacement, epoch after epoch; an incomplete last batch is left out. With
    ``held_out`` the weights of the best evaluation are the ones kept. All evaluations use the same random
    numbers, so two of them differ only because the weights do. The caller's random generator is untouched.

    Clip gradients, or follow a learning-rate schedule, with a hook of the optimizer:
    ``optimizer.register_step_post_hook(lambda *_: schedule.step())``.

    Args:
        module: holds every parameter to be trained; comes back in evaluation mode, on the device it was on.
        loss: ``loss(*batch)`` returns a scalar, the mean over the batch; ``loss()`` when ``data`` is None.
        data: a tensor ``(N, ...)`` or a tuple of tensors with common first dimension.
        steps: number of gradient steps.
        batch_size: rows in a batch; with ``batch_size >= N`` every step sees all the data.
        lr: learning rate of Adam, used when ``optimizer`` is None.
        optimizer: any ``torch.optim.Optimizer`` over the module's parameters.
        held_out: data of the same form as ``data``, not trained on.
        evaluate_every: steps between two evaluations on ``held_out``.
        patience: stop after this many evaluations in a row without improvement; None never stops early.
        seed: of batches and of any randomness in the loss; None continues the caller's random stream.
        device: where to train. None takes a GPU if there is one and the loss can be evaluated on it.
        mixed_precision: autocast, bfloat16 where the GPU has it and float16 with a scaled loss where it has
            not. None means "on a GPU, if the loss is finite under it".
        progress: show a progress bar, in a terminal or in Colab; anywhere else nothing is ever written.

    Returns:
        A :class:`History`: losses in the units of ``loss`` (nats for a negative log-likelihood).

    Raises:
        ValueError: an argument is out of range, ``data`` are no tensors, or they differ in length.
        FloatingPointError: the loss is not finite; the message names the step.

    Reference: Kingma & Ba (2015), Adam: a method for stochastic optimization; Prechelt (1998), Early
    stopping - but when?

    Chapter: 4-gradients/43-stochastic-inference

    >>> line, x = nn.Linear(1, 1), torch.linspace(-1, 1, 64)[:, None]
    >>> history = fit(line, lambda x, y: (line(x) - y).square().mean(), (x, 3 * x + 1), steps=500, lr=0.05)
    >>> f"{line.weight.item():.2f} {line.bias.item():.2f}"
    '3.00 1.00'
    >>> history.loss[-1] < 1e-3 < history.loss[0]
    True
    """
    batches, held_out = _check(data, held_out, steps, batch_size, lr, evaluate_every, patience)
    optimizer = torch.optim.Adam(module.parameters(), lr) if optimizer is None else optimizer
    home = next((p.device for p in module.parameters()), torch.device("cpu"))
    history, best, start = History(), None, time.perf_counter()
    with seeded(seed):
        try:
            device, dtype = _where(module, loss, batches, home, device, mixed_precision)
            module.to(device).train()
            batches, held_out = _to(batches, device), _to(held_out, device)
            scaler = torch.amp.GradScaler(device.type, enabled=dtype == torch.float16)
            stream = _minibatches(batches, batch_size)
            for step in _bar(steps, progress):
                optimizer.zero_grad(set_to_none=True)
                with _autocast(device, dtype):
                    value = loss(*next(stream))
                history.loss.append(_finite(value, step))
                scaler.scale(value).backward()
                scaler.step(optimizer)
                scaler.update()
                if held_out is None or (step % evaluate_every and step != steps):
                    continue
                history.held_out.append(_evaluate(module, loss, held_out, max(batch_size, 2048)))
                history.held_out_steps.append(step)
                least = min(range(len(history.held_out)), key=lambda i: _rank(history.held_out[i]))
                history.best_step = history.held_out_steps[least]
                if history.best_step == step:
                    best = copy.deepcopy(module.state_dict())
                if patience is not None and len(history.held_out) - 1 - least >= patience:
                    break
            if best is not None:
                module.load_state_dict(best)
        finally:
            module.to(home).eval()
            history.seconds = time.perf_counter() - start
    return history


def _check(data, held_out, steps, batch_size, lr, evaluate_every, patience):
    """Check fit's arguments; return data and held-out data as tuples of tensors (or None)."""
    for name, count in (("steps", steps), ("batch_size", batch_size), ("evaluate_every", evaluate_every)):
        check_count(name, count)
    check_positive("lr", lr)
    if patience is not None:
        check_count("patience", patience)
        if held_out is None:
            raise ValueError(
                f"patience is {patience} but held_out is None, expected held-out data to stop on"
            )
    found = []
    for name, value in (("data", data), ("held_out", held_out)):
        tensors = (value,) if isinstance(value, Tensor) else value
        if tensors is not None:
            if not isinstance(tensors, tuple | list) or not all(isinstance(t, Tensor) for t in tensors):
                raise ValueError(f"{name} is of {type(value)}, expected a tensor or a tuple of tensors")
            lengths = [len(t) for t in tensors]
            if not lengths or len(set(lengths)) > 1 or lengths[0] == 0:
                raise ValueError(
                    f"{name} has first dimensions {lengths}, expected one common, positive number"
                )
        found.append(tensors)
    return found


@contextmanager
def seeded(seed: int | None) -> Iterator[None]:
    """A random stream of its own that starts at ``seed``; the caller's, when ``seed`` is None."""
    if seed is None:
        yield
        return
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def _autocast(device: torch.device, dtype: torch.dtype | None):
    return nullcontext() if dtype is None else torch.autocast(device.type, dtype)


def _where(module, loss, batches, home, device, mixed_precision):
    """Device and autocast type (None: full precision): the fastest setting in which the loss is finite."""
    chosen = None if device is None else torch.device(device)
    if chosen is None and (batches is None or not torch.cuda.is_available()):
        chosen = home  # without data there is nothing to move: the loss's own tensors are where they are
    gpu = chosen if chosen is not None else torch.device("cuda")
    half = None
    if gpu.type == "cuda" and torch.cuda.is_available():
        half = torch.bfloat16 if torch.cuda.get_device_capability(gpu)[0] >= 8 else torch.float16
    elif mixed_precision:
        half = torch.bfloat16
    precisions = {True: [half], False: [None], None: [half, None] if half else [None]}[mixed_precision]
    settings = [(gpu, dtype) for dtype in precisions] + ([(home, None)] if chosen is None else [])
    for setting in settings[:-1]:
        try:
            with seeded(0), torch.no_grad(), _autocast(*setting):
                module.to(setting[0]).eval()
                batch = () if batches is None else tuple(t[:2048].to(setting[0]) for t in batches)
                if math.isfinite(float(loss(*batch))):
                    return setting
        except RuntimeError:  # an operation without this precision, or a constant left on another device
            continue
    return settings[-1]


def _to(tensors: tuple[Tensor, ...] | None, device: torch.device) -> tuple[Tensor, ...] | None:
    return None if tensors is None else tuple(t.to(device) for t in tensors)


def _minibatches(tensors: tuple[Tensor, ...] | None, size: int) -> Iterator[tuple[Tensor, ...]]:
    """Endless batches; every epoch is one random permutation."""
    while tensors is None or len(tensors[0]) <= size:
        yield tensors or ()
    while True:
        for rows in torch.randperm(len(tensors[0])).split(size):
            if len(rows) == size:
                rows = rows.to(tensors[0].device)
                yield tuple(t[rows] for t in tensors)


def _finite(value: Tensor, step: int) -> float:
    if not isinstance(value, Tensor) or value.numel() != 1:
        came = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"type {type(value).__name__}"
        raise ValueError(f"loss returned a value of {came}, expected a scalar tensor")
    number = value.item()
    if not math.isfinite(number):
        raise FloatingPointError(
            f"loss is {number} at step {step}, expected a finite number; "
            "try a smaller lr, clip the gradients, or look for log(0) and division by 0 in the loss"
        )
    return number


def _rank(value: float) -> float:
    return math.inf if math.isnan(value) else value


def _evaluate(
    module: nn.Module, loss: Callable[..., Tensor], tensors: tuple[Tensor, ...], size: int
) -> float:
    """Mean held-out loss in full precision, with the same random numbers at every call."""
    module.eval()
    total = 0.0
    with seeded(0), torch.no_grad():
        for chunk in zip(*(t.split(size) for t in tensors), strict=True):
            total += float(loss(*chunk)) * len(chunk[0])
    module.train()
    return total / len(tensors[0])


def _bar(steps: int, progress: bool):
    """Steps 1, 2, ..., with a progress bar only where somebody is watching."""
    numbers = range(1, steps + 1)
    colab = "google.colab" in sys.modules
    if not progress or not (colab or sys.stderr.isatty()):
        return numbers
    if colab:
        from tqdm.auto import tqdm
    else:
        from tqdm import tqdm
    return tqdm(numbers, leave=False)
