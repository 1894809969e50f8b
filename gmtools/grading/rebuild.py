"""Networks rebuilt from weights that were handed in: the grader runs its own layers, no student's code.

What a rebuilt network computes is a function of its input alone, so a decoder cannot look at the data that it
is marked on.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from gmtools.data import ImageSet
from gmtools.grading.expect import expect
from gmtools.grading.lab import Failed, WrongForm
from gmtools.inference import iwae
from gmtools.nets import MLP
from gmtools.widgets import bulgarian

MAX_NUMBERS = 5_000_000


def mlp_from(
    weights: dict[str, Tensor],
    part: str,
    d_in: int,
    d_out: int | None = None,
    activation: Callable[[], nn.Module] = nn.SiLU,
) -> MLP:
    """The :class:`gmtools.nets.MLP` whose ``state_dict`` stands in ``weights`` under ``part``, in float64.

    The sizes of the hidden layers (and of the output, if ``d_out`` is None) are those of the weights, which
    do not show the activation.

    Raises:
        WrongForm: the weights are not those of such a network. Failed: they are not finite.

    >>> weights = {f"encoder.{name}": value for name, value in MLP(4, 6, hidden=(3,)).state_dict().items()}
    >>> mlp_from(weights, "encoder", 4).d_out
    6
    """
    mine = {k.removeprefix(part + "."): v for k, v in weights.items() if k.startswith(part + ".")}
    count = sum(k.endswith(".weight") for k in mine)
    layers = [mine.get(f"layers.{2 * i}.weight") for i in range(count)]
    if count == 0 or any(w is None or w.dim() != 2 for w in layers):
        raise WrongForm(f"В теглата няма многослоен перцептрон (MLP) с име „{part}“.")
    sizes = [w.shape[0] for w in layers]
    if sum(v.numel() for v in mine.values()) > MAX_NUMBERS:
        raise WrongForm(f"Мрежата „{part}“ има над {MAX_NUMBERS // 10**6} милиона числа.")
    network = MLP(d_in, d_out or sizes[-1], hidden=tuple(sizes[:-1]), activation=activation).double()
    shapes = {name: value.shape for name, value in network.state_dict().items()}
    if shapes != {name: value.shape for name, value in mine.items()}:
        raise WrongForm(
            f"Мрежата „{part}“ не е MLP с {d_in} входа" + (f" и {d_out} изхода." if d_out else ".")
        )
    if not all(bool(torch.isfinite(value).all()) for value in mine.values()):
        raise Failed(f"В теглата на „{part}“ има NaN или безкрайност.")
    network.load_state_dict({name: value.double() for name, value in mine.items()})
    return network.requires_grad_(False)


def black_and_white(part: ImageSet) -> Tensor:
    """The images of a part as ones (from one half of the range up) and zeros: (N, D), in float64.

    >>> from gmtools.data import digits
    >>> black_and_white(digits().test).shape[1]
    64
    """
    return (part.scaled >= 0.5).double().flatten(1)


def mean_bound(log_weights: Callable[[Tensor], Tensor], x: Tensor) -> float:
    """Mean IWAE bound of log p(x) over the rows of ``x``, in nats.

    ``log_weights`` is a function from some rows (n, D) to their log-weights (K, n): K draws for each.

    >>> mean_bound(lambda rows: torch.zeros(3, len(rows)) - 1, torch.zeros(60, 2))
    -1.0
    """
    return torch.cat([iwae(log_weights(rows)) for rows in x.split(25)]).mean().item()


def expect_bound(bound: float, least: float) -> None:
    """Fail unless the ``bound`` of an image model, in nats an image, is at least ``least``."""
    text = f"{bulgarian(bound, 2)} ната на изображение, а е нужно поне {bulgarian(least, 1)}"
    expect(bound >= least, f"Границата е {text}.")
