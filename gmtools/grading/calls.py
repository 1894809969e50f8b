"""One call of a student's function, as a check asks for it; the same code in the notebook and in the
sandbox."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


@dataclass
class Outcome:
    """What one call gave.

    value: what the function returned.
    gradients: for each tensor argument with ``requires_grad``, the gradient of the sum of ``value`` (of all
        its tensors, if it is a tuple or list), None where it does not depend on it; None as a whole if the
        value is not differentiable.
    changed: positions of the tensor arguments that the call changed in place.
    operations: how many tensor operations it took (None unless asked for).
    """

    value: Any
    gradients: list[Tensor | None] | None = None
    changed: tuple[int, ...] = ()
    operations: int | None = None


class Foreign:
    """Stands for a returned value that is no tensor, number, text or list of such: only its type's name is
    known."""

    def __init__(self, name: str):
        self.name = name


class _Count(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        self.count += 1
        return operation(*args, **(kwargs or {}))


def _gradients(value: Any, inputs: list[Tensor]) -> list[Tensor | None] | None:
    parts = value if isinstance(value, tuple | list) else (value,)
    sums = [part.sum() for part in parts if isinstance(part, Tensor) and part.requires_grad]
    return list(torch.autograd.grad(sum(sums), inputs, allow_unused=True)) if sums else None


def perform(function: Callable, args: list, kwargs: dict, *, seed: int = 0, count: bool = False) -> Outcome:
    """Call ``function`` with torch seeded, and observe gradients, in-place changes and, if asked,
    operations."""
    tensors = [(i, a) for i, a in enumerate(args) if isinstance(a, Tensor)]
    before = [a.detach().clone() for _, a in tensors]
    torch.default_generator.manual_seed(seed)  # the CPU alone: torch.manual_seed also asks every accelerator
    if count:
        with _Count() as counter:
            value = function(*args, **kwargs)
        operations = counter.count
    else:
        value, operations = function(*args, **kwargs), None
    changed = tuple(
        i
        for (i, a), old in zip(tensors, before, strict=True)
        if not torch.equal(a.detach().nan_to_num(), old.nan_to_num())
    )
    wanted = [a for _, a in tensors if a.requires_grad]
    gradients = _gradients(value, wanted) if wanted else None
    return Outcome(value, gradients, changed, operations)


class Student:
    """What a check sees: ``student.gaussian_kl(mu, logvar)`` is the value, ``student.trace(...)`` an
    Outcome."""

    def trace(self, name: str, *args: Any, seed: int = 0, count: bool = False, **kwargs: Any) -> Outcome:
        raise NotImplementedError

    def __getattr__(self, name: str) -> Callable:
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *args, **kwargs: self.trace(name, *args, **kwargs).value
