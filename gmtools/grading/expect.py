"""The verdicts a check can give, worded in Bulgarian for the student.

Everything a student's function returned is checked here for type, shape, dtype and finiteness before any
number is compared, so that a check reads as the property it tests.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from gmtools.grading import advice
from gmtools.grading.calls import Foreign, Outcome, Student
from gmtools.grading.lab import Failed, WrongForm


def _kind(value: Any) -> str:
    return advice.on_kind(value.name if isinstance(value, Foreign) else type(value).__name__)


def _is_tensor(value: Any) -> bool:
    return type(value) in (Tensor, torch.nn.Parameter)


def expect(condition: bool, message: str) -> None:
    """Fail with ``message`` unless ``condition`` holds."""
    if not condition:
        raise Failed(message)


def expect_tensor(value: Any, shape: tuple[int, ...], dtype: torch.dtype | None = None) -> Tensor:
    """Fail unless ``value`` is a plain finite tensor of this shape (and dtype); return it."""
    if not _is_tensor(value):
        raise WrongForm(f"Функцията трябва да върне тензор, а {_kind(value)}")
    found, wanted = tuple(value.shape), tuple(shape)
    if found != wanted:
        got = f"има форма {found}" if found else "е скалар ()"
        asked = f"с форма {wanted}" if wanted else "скалар ()"
        raise WrongForm(f"Резултатът {got}, а трябва да е {asked}. {advice.on_shape(found, wanted)}")
    if not value.dtype.is_floating_point:
        raise WrongForm(f"Типът на числата е {value.dtype}, а се очакват реални числа (float).")
    if dtype is not None and value.dtype != dtype:
        raise WrongForm(f"Типът на числата е {value.dtype}, а входът е {dtype}; запазете типа на входа.")
    infinite = advice.on_infinite(value)
    if infinite:
        raise Failed(infinite)
    return value.detach()


def expect_tensors(value: Any, *shapes: tuple[int, ...], dtype: torch.dtype | None = None) -> list[Tensor]:
    """Fail unless ``value`` is a tuple (or list) of plain finite tensors of these shapes; return them."""
    if type(value) not in (tuple, list):
        raise WrongForm(f"Функцията трябва да върне {len(shapes)} тензора, а {_kind(value)}")
    if len(value) != len(shapes):
        raise WrongForm(f"Функцията трябва да върне {len(shapes)} тензора, а върна {len(value)}.")
    return [expect_tensor(v, shape, dtype) for v, shape in zip(value, shapes, strict=True)]


def expect_close(
    value: Any,
    expected: Tensor | Sequence[Tensor],
    message: str,
    *,
    rtol: float | None = None,
    atol: float | None = None,
) -> None:
    """Fail with ``message`` unless ``value`` is a tensor (or tensors) like ``expected`` up to rounding.

    The default tolerance is that of ``torch.testing`` for the dtype (1.3e-6 relative in float32), times ten:
    right answers differ by the order of their sums.
    """
    if not isinstance(expected, Tensor):
        found = expect_tensors(value, *(e.shape for e in expected), dtype=expected[0].dtype)
        for one, wanted in zip(found, expected, strict=True):
            expect_close(one, wanted, message, rtol=rtol, atol=atol)
        return
    value = expect_tensor(value, tuple(expected.shape), expected.dtype)
    single = expected.dtype == torch.float32
    rtol = rtol if rtol is not None else (1.3e-5 if single else 1e-6)
    atol = atol if atol is not None else (1e-4 if single else 1e-8)
    if not torch.allclose(value, expected.detach(), rtol=rtol, atol=atol):
        raise Failed(message)


def expect_mean(values: Any, expected: float, message: str, *, errors: float = 5.0) -> None:
    """Fail unless the mean of independent unbiased ``values`` is within ``errors`` standard errors of
    ``expected``.

    At five standard errors a right answer fails about once in two million runs.
    """
    values = expect_tensor(values, tuple(values.shape) if isinstance(values, Tensor) else ()).double()
    standard_error = values.std().item() / math.sqrt(values.numel())
    if abs(values.mean().item() - expected) > errors * standard_error + 1e-6 * (1 + abs(expected)):
        raise Failed(message)


def expect_gradients(outcome: Outcome, expected: list[Tensor], message: str, **tolerance: float) -> None:
    """Fail unless the outcome is differentiable and its gradients are those expected."""
    if outcome.gradients is None:
        parts = outcome.value if type(outcome.value) in (tuple, list) else [outcome.value]
        if not all(map(_is_tensor, parts)):
            raise WrongForm(f"Функцията трябва да върне тензор, а {_kind(outcome.value)}")
        raise Failed(
            "Резултатът не е диференцируем: използвате ли .item(), .detach(), numpy или torch.no_grad()?"
        )
    for found, wanted in zip(outcome.gradients, expected, strict=True):
        if found is None:
            raise Failed("Резултатът не зависи диференцируемо от един от аргументите (прекъснат градиент).")
        try:
            expect_close(found, wanted, message, **tolerance)
        except WrongForm:
            raise
        except Failed as failure:
            raise Failed(message if str(failure) == message else f"Градиентът: {failure}") from None


def expect_unchanged(outcome: Outcome) -> None:
    """Fail if the call changed its arguments in place."""
    if outcome.changed:
        raise Failed(
            "Функцията променя аргументите си на място; използвайте нови тензори вместо +=, mul_, exp_ …"
        )


def expect_no_loop(student: Student, name: str, small: tuple, large: tuple, what: str) -> None:
    """Fail if the number of tensor operations of ``name`` grows from the arguments ``small`` to ``large``."""
    counts = [student.trace(name, *args, count=True).operations for args in (small, large)]
    if None in counts or counts[1] > counts[0] + 2:
        raise Failed(f"Броят на операциите расте с {what}: има цикъл.")


def expect_vectorised(
    student: Student, name: str, expected: Callable, small: tuple, large: tuple, what: str, **tolerance: float
) -> None:
    """Fail unless ``name`` is ``expected`` at ``small``, leaves its arguments as they are, and has no loop.

    The number of its tensor operations may not grow from the arguments ``small`` to ``large``.
    """
    wanted = expected(*small)
    outcome = student.trace(name, *small)
    expect_close(outcome.value, wanted, "Стойността е друга.", **tolerance)
    expect_unchanged(outcome)
    expect_no_loop(student, name, small, large, what)
