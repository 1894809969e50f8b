"""Argument checks whose errors name the argument, what came and what was expected.

Checks of shapes are free and run always. Checks of values read the tensor, so they are skipped while
``torch.compile`` traces (a branch on data would break ``fullgraph=True``).
"""

import torch
from torch import Tensor


def _compiling() -> bool:
    return torch.compiler.is_compiling()


def check_shape(name: str, value: Tensor, *expected: int | str) -> None:
    """Raise ValueError unless ``value`` has the expected shape.

    Integers must match; strings name free dimensions; a leading ``"..."`` admits any batch dimensions.

    >>> check_shape("x", torch.zeros(3, 2), "N", 2)
    >>> check_shape("x", torch.zeros(3, 2), "N", 5)
    Traceback (most recent call last):
    ValueError: x has shape (3, 2), expected (N, 5)
    """
    open_batch = bool(expected) and expected[0] == "..."
    wanted = expected[1:] if open_batch else expected
    shape = tuple(value.shape)
    tail = shape[len(shape) - len(wanted) :] if open_batch else shape
    matches = len(tail) == len(wanted) and all(
        isinstance(w, str) or w == s for w, s in zip(wanted, tail, strict=True)
    )
    if not matches:
        text = ", ".join(str(e) for e in expected) + ("," if len(expected) == 1 else "")
        raise ValueError(f"{name} has shape {shape}, expected ({text})")


def check_count(name: str, value: int, minimum: int = 1) -> None:
    """Raise ValueError unless ``value`` is an integer of at least ``minimum``.

    >>> check_count("K", 0)
    Traceback (most recent call last):
    ValueError: K is 0, expected an integer >= 1
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise ValueError(f"{name} is {value!r}, expected an integer >= {minimum}")


def check_positive(name: str, value: Tensor | float) -> None:
    """Raise ValueError unless every entry of ``value`` is a positive number.

    >>> check_positive("scale", torch.tensor([1.0, -2.0]))
    Traceback (most recent call last):
    ValueError: scale has shape (2,) and minimum -2, expected positive values
    """
    if _compiling():
        return
    tensor = torch.as_tensor(value)
    if not bool((tensor > 0).all()):  # also False for NaN
        raise ValueError(
            f"{name} has shape {tuple(tensor.shape)} and minimum {tensor.min().item():g}, "
            "expected positive values"
        )


def check_not_nan(name: str, value: Tensor) -> None:
    """Raise ValueError if any entry of ``value`` is NaN. Infinities pass: log 0 is a legitimate value.

    >>> check_not_nan("log_w", torch.tensor([0.0, float("nan")]))
    Traceback (most recent call last):
    ValueError: log_w has shape (2,) and 1 NaN entries, expected none
    """
    if _compiling():
        return
    count = int(torch.isnan(value).sum())
    if count:
        raise ValueError(f"{name} has shape {tuple(value.shape)} and {count} NaN entries, expected none")


def check_float(name: str, value: Tensor) -> None:
    """Raise ValueError unless ``value`` is of a floating-point type: integers would be cut off or rounded.

    >>> check_float("x", torch.tensor([1, 2]))
    Traceback (most recent call last):
    ValueError: x has dtype torch.int64, expected a floating-point one
    """
    if not value.is_floating_point():
        raise ValueError(f"{name} has dtype {value.dtype}, expected a floating-point one")


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise ValueError unless ``value`` is one of ``choices``.

    >>> check_choice("kernel", "cubic", ("gaussian", "laplace"))
    Traceback (most recent call last):
    ValueError: kernel is 'cubic', expected one of gaussian, laplace
    """
    if value not in choices:
        raise ValueError(f"{name} is {value!r}, expected one of {', '.join(choices)}")
