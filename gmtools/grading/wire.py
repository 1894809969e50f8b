"""Frames between the grader and the sandbox: length-prefixed JSON, then safetensors. Nothing is ever
unpickled.

A frame is 4 bytes (length of the JSON), 4 bytes (length of the tensors), the JSON, the tensors. Both lengths
are capped before anything is read or allocated. Tensors stand in the JSON by number; modules that checks
pass as arguments (a decoder) are sent as the names of a few known layers and their weights, other functions
as numbers to call back by (callback.py), and objects of the student's own as the numbers of their handles.
"""

import json
import socket
import struct
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from safetensors.torch import load
from torch import Tensor, nn

from gmtools.grading.calls import Foreign, Handle

MAX_JSON = 8 * 2**20
MAX_TENSORS = 256 * 2**20
MAX_COUNT = 256
MAX_DEPTH = 16
HEADER = struct.Struct("!II")
LAYERS = {"Linear": nn.Linear, "Tanh": nn.Tanh, "Softplus": nn.Softplus, "Unflatten": nn.Unflatten}
CODES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.bool: "BOOL",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
}


class ProtocolError(Exception):
    """The other side sent something that is not a frame, or too much of it."""


def _layers(module: nn.Module) -> list[nn.Module]:
    return list(module) if isinstance(module, nn.Sequential) else [module]


def _pack_layer(layer: nn.Module, tensors: dict[str, Tensor]) -> dict[str, Any]:
    name = type(layer).__name__
    if name == "Unflatten":
        return {"layer": name, "args": [layer.dim, list(layer.unflattened_size)]}
    if name == "Linear":
        weight = pack(layer.weight, tensors)
        bias = None if layer.bias is None else pack(layer.bias, tensors)
        return {
            "layer": name,
            "args": [layer.in_features, layer.out_features],
            "weight": weight,
            "bias": bias,
        }
    return {"layer": name, "args": []}


def _pack_tensor(value: Tensor, tensors: dict[str, Tensor]) -> dict[str, Any]:
    if value.dtype not in CODES or value.layout != torch.strided or value.is_meta:
        return {"foreign": f"Tensor ({value.dtype}, {value.layout}, {value.device.type})"}
    key = str(len(tensors))
    plain = value.detach().as_subclass(Tensor).cpu()
    # clone always: an expanded tensor of one number passes for contiguous, with strides that no view takes
    tensors[key] = plain.clone(memory_format=torch.contiguous_format)
    return {"tensor": key, "grad": value.requires_grad, "strided": not plain.is_contiguous()}


def pack(value: Any, tensors: dict[str, Tensor], functions: list[Callable] | None = None) -> Any:
    """``value`` as JSON; its tensors are put into ``tensors``, and what can only be called into
    ``functions``, if there is such a list (the sandbox has none to give)."""
    if isinstance(value, Tensor):
        return _pack_tensor(value, tensors)
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) in (list, tuple):
        return {type(value).__name__: [pack(v, tensors, functions) for v in value]}
    if type(value) in (dict, OrderedDict):
        return {"dict": {str(k): pack(v, tensors, functions) for k, v in value.items()}}
    if functions is not None:
        if isinstance(value, Handle):
            return {"handle": value.number}
        if isinstance(value, nn.Module) and all(type(la) in LAYERS.values() for la in _layers(value)):
            return {"module": [_pack_layer(layer, tensors) for layer in _layers(value)]}
        if callable(value):
            functions.append(value)
            return {"callback": len(functions) - 1}
    return {"foreign": type(value).__name__[:80]}


def _tensor(item: dict[str, Any], tensors: dict[str, Tensor]) -> Tensor:
    value = tensors[item["tensor"]]
    if item.get("strided") and value.dim():
        value = torch.stack([value, value], dim=-1)[..., 0]
    return value.requires_grad_(bool(item.get("grad")) and value.dtype.is_floating_point)


def _layer(item: dict[str, Any], tensors: dict[str, Tensor]) -> nn.Module:
    bias = {"bias": item["bias"] is not None} if "weight" in item else {}
    layer = LAYERS[item["layer"]](*item["args"], **bias)
    if "weight" in item:
        layer.weight = nn.Parameter(unpack(item["weight"], tensors).detach())
        if bias["bias"]:
            layer.bias = nn.Parameter(unpack(item["bias"], tensors).detach())
    return layer


def unpack(
    item: Any,
    tensors: dict[str, Tensor],
    *,
    modules: bool = True,
    resolve: Callable[[dict], Any] | None = None,
    depth: int = 0,
) -> Any:
    """The value that ``pack`` was given. ``modules=False`` refuses modules, and without ``resolve`` handles
    and functions are refused: replies have none."""
    if depth > MAX_DEPTH:
        raise ProtocolError("too deep")
    if not isinstance(item, dict):
        return item

    def inner(value: Any) -> Any:
        return unpack(value, tensors, modules=modules, resolve=resolve, depth=depth + 1)

    if "tensor" in item:
        return _tensor(item, tensors)
    if "module" in item and modules:
        return nn.Sequential(*(_layer(layer, tensors) for layer in item["module"]))
    if ("handle" in item or "callback" in item) and resolve is not None:
        return resolve(item)
    for kind in (list, tuple):
        if kind.__name__ in item:
            return kind(map(inner, item[kind.__name__]))
    if "dict" in item:
        return {k: inner(v) for k, v in item["dict"].items()}
    if "foreign" in item:
        return Foreign(str(item["foreign"])[:80])
    raise ProtocolError("unknown item")


def _save(tensors: dict[str, Tensor]) -> bytes:
    """The safetensors format; ``safetensors.torch.save`` spends a millisecond a tensor on known things."""
    parts = [value.reshape(-1).view(torch.uint8).numpy().tobytes() for value in tensors.values()]
    header, start = {}, 0
    for (key, value), part in zip(tensors.items(), parts, strict=True):
        place = [start, start + len(part)]
        header[key] = {"dtype": CODES[value.dtype], "shape": list(value.shape), "data_offsets": place}
        start = place[1]
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(parts)


def frame(message: dict[str, Any], tensors: dict[str, Tensor]) -> bytes:
    """The bytes of one frame."""
    text, data = json.dumps(message).encode(), _save(tensors) if tensors else b""
    if len(text) > MAX_JSON or len(data) > MAX_TENSORS or len(tensors) > MAX_COUNT:
        raise ProtocolError("too large")
    return HEADER.pack(len(text), len(data)) + text + data


def _receive_exactly(connection: socket.socket, size: int, deadline: float | None) -> bytearray:
    data = bytearray()
    while len(data) < size:
        connection.settimeout(None if deadline is None else max(deadline - time.monotonic(), 1e-3))
        part = connection.recv(min(size - len(data), 2**20))
        if not part:
            raise EOFError
        data += part
    return data


def send(connection: socket.socket, data: bytes, deadline: float | None = None) -> None:
    """Send a frame; TimeoutError after ``deadline`` (monotonic seconds)."""
    connection.settimeout(None if deadline is None else max(deadline - time.monotonic(), 1e-3))
    connection.sendall(data)


def receive(
    connection: socket.socket, deadline: float | None = None
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """One frame: the JSON object and the tensors by name.

    Raises:
        EOFError: the other side closed. TimeoutError: the deadline passed. ProtocolError: it is no frame.
    """
    text_size, data_size = HEADER.unpack(_receive_exactly(connection, HEADER.size, deadline))
    if text_size > MAX_JSON or data_size > MAX_TENSORS:
        raise ProtocolError("too large")
    text = _receive_exactly(connection, text_size, deadline)
    data = _receive_exactly(connection, data_size, deadline)
    try:
        message = json.loads(bytes(text))
        tensors = load(bytes(data)) if data else {}
    except Exception as error:
        raise ProtocolError("not a frame") from error
    if not isinstance(message, dict) or len(tensors) > MAX_COUNT:
        raise ProtocolError("not a frame")
    return message, tensors
