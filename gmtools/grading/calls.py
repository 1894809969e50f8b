"""One call of a student's function, as a check asks for it; the same code in the notebook and in the
sandbox."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
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
    parameters: the same gradients for the parameters of the module that was called, or else of the first
        module among the arguments, by name (None unless asked for).

    ``changed`` and ``operations`` are what the student's process says, and cannot be verified outside it (a
    copy of all inputs would have to come back with every answer): enough for style, not for a grade.
    """

    value: Any
    gradients: list[Tensor | None] | None = None
    changed: tuple[int, ...] = ()
    operations: int | None = None
    parameters: dict[str, Tensor | None] | None = None


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


def perform(
    function: Callable,
    args: list,
    kwargs: dict,
    *,
    seed: int = 0,
    count: bool = False,
    parameters: bool = False,
) -> Outcome:
    """Call ``function`` with torch seeded, and observe gradients, in-place changes and, if asked, operations
    and the gradients of a module's parameters."""
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
    candidates = (getattr(function, "__self__", function), *args) if parameters else ()
    owner = next((c for c in candidates if isinstance(c, nn.Module)), None)
    named = {} if owner is None else dict(owner.named_parameters())
    found = _gradients(value, [*wanted, *named.values()]) if wanted or named else None
    outcome = Outcome(value, found and found[: len(wanted)], changed, operations)
    if named and found:
        outcome.parameters = dict(zip(named, found[len(wanted) :], strict=True))
    return outcome


@dataclass
class Call:
    """One call that a check asks for. ``of`` is the number of the object whose method ``name`` is (None: a
    name of the notebook's), ``keep`` asks to keep the value there and to answer with its number."""

    name: str
    args: list
    kwargs: dict
    seed: int = 0
    count: bool = False
    parameters: bool = False
    of: int | None = None
    keep: bool = False


class Handle:
    """An object that the student's class made. It stays where the student's code runs.

    ``model(x)`` and ``model.inverse(z)`` are values, ``model.trace("inverse", z)`` an Outcome (with
    ``parameters=True`` also of its parameters), ``model.get("dim")`` an attribute, ``model.state_dict()`` its
    weights by name, and ``model.load_state_dict(weights)`` sets them. A handle may be an argument of another
    call.
    """

    def __init__(self, student: "Student", number: int):
        self._student, self.number = student, number

    def trace(
        self,
        method: str,
        *args: Any,
        seed: int = 0,
        count: bool = False,
        parameters: bool = False,
        **kwargs: Any,
    ) -> Outcome:
        return self._student.perform(
            Call(method, list(args), kwargs, seed, count, parameters, of=self.number)
        )

    def get(self, attribute: str) -> Any:
        return self.trace("__getattribute__", attribute).value

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.trace("__call__", *args, **kwargs).value

    def __getattr__(self, method: str) -> Callable:
        if method.startswith("_"):
            raise AttributeError(method)
        return lambda *args, **kwargs: self.trace(method, *args, **kwargs).value


class Student:
    """What a check sees: ``student.gaussian_kl(mu, logvar)`` is the value, ``student.trace("gaussian_kl",
    ...)`` an Outcome, ``student.make("Coupling", 2)`` a Handle on an object of the student's class."""

    def perform(self, call: Call) -> Outcome:
        raise NotImplementedError

    def trace(
        self,
        name: str,
        *args: Any,
        seed: int = 0,
        count: bool = False,
        parameters: bool = False,
        **kwargs: Any,
    ) -> Outcome:
        return self.perform(Call(name, list(args), kwargs, seed, count, parameters))

    def make(self, name: str, *args: Any, seed: int = 0, **kwargs: Any) -> Handle:
        return Handle(self, self.perform(Call(name, list(args), kwargs, seed, keep=True)).value)

    def __getattr__(self, name: str) -> Callable:
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *args, **kwargs: self.trace(name, *args, **kwargs).value


def _real(value: Any, kept: list) -> Any:
    return kept[value.number] if isinstance(value, Handle) else value


def perform_in(namespace: dict[str, Any], kept: list, call: Call) -> Outcome:
    """Perform a call on what stands in ``namespace``, or on an object that an earlier call put into
    ``kept``."""
    function = namespace[call.name] if call.of is None else getattr(kept[call.of], call.name)
    args = [_real(a, kept) for a in call.args]
    kwargs = {name: _real(a, kept) for name, a in call.kwargs.items()}
    outcome = perform(function, args, kwargs, seed=call.seed, count=call.count, parameters=call.parameters)
    if call.keep:
        kept.append(outcome.value)
        outcome = Outcome(len(kept) - 1)
    return outcome
