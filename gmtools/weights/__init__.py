"""Weights that ship with the library: what takes longer to train than a page may run.

A committed script makes each file (``lectures/weights/``), a test computes its metric again, and the file's
metadata says how it came about. They are stored in half precision, so that the wheel stays light.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from gmtools.checks import check_choice

FOLDER = Path(__file__).parent

__all__ = ["available_weights", "load_weights", "save_weights"]


def available_weights() -> tuple[str, ...]:
    """The names that :func:`load_weights` knows, in alphabetical order.

    Chapter: 3-inference/40-richer-vaes.

    >>> "solids" in available_weights()
    True
    """
    return tuple(sorted(path.stem for path in FOLDER.glob("*.safetensors")))


def save_weights(module: nn.Module, path: str | Path, metadata: Mapping[str, object]) -> None:
    r"""Write a module's weights in half precision, :math:`\theta \mapsto \operatorname{fl}_{16}(\theta)`.

    Args:
        module: any module whose weights lie within half precision's range.
        path: the file to write.
        metadata: how the weights came about; values are stored as text. Give at least the seed, the metric
            and the time that training took.

    Raises:
        ValueError: a weight is not finite, or too large for half precision.

    Chapter: 3-inference/40-richer-vaes.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_weights(nn.Linear(2, 1), Path(folder) / "line.safetensors", {"seed": 0})
    """
    from safetensors.torch import save_file

    weights = {key: value.detach().cpu().half().contiguous() for key, value in module.state_dict().items()}
    for key, value in weights.items():
        if not value.isfinite().all():
            raise ValueError(f"module has {key!r} outside half precision, expected finite weights")
    save_file(weights, path, {key: str(value) for key, value in metadata.items()})


def load_weights(module: nn.Module, name: str) -> dict[str, str]:
    """Fill a module with the weights that ship under a name.

    Args:
        module: built as the script that trained the weights builds it; it is left in evaluation mode, and
            keeps its device and floating type.
        name: one of :func:`available_weights`.

    Returns:
        The metadata: the seed, the held-out metrics and the seconds that training took, as text.

    Raises:
        ValueError: an unknown name, or a module of another form; the message says what differs.

    Chapter: 3-inference/40-richer-vaes.

    >>> load_weights(nn.Linear(2, 1), "drawing")
    Traceback (most recent call last):
    ValueError: name is 'drawing', expected one of ...
    """
    from safetensors import safe_open

    check_choice("name", name, available_weights())
    with safe_open(FOLDER / f"{name}.safetensors", "pt") as file:
        weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  not a mapping
        metadata = file.metadata() or {}
    own = {key: tuple(value.shape) for key, value in module.state_dict().items()}
    stored = {key: tuple(value.shape) for key, value in weights.items()}
    differ = sorted(key for key in own.keys() | stored.keys() if own.get(key) != stored.get(key))
    if differ:
        key = differ[0]
        raise ValueError(
            f"module has {key!r} of shape {own.get(key)}, expected {stored.get(key)} as in {name!r}; "
            f"{len(differ)} such differences"
        )
    with torch.no_grad():
        module.load_state_dict(weights)
    module.eval()
    return metadata
