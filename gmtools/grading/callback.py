"""Functions that a check passes as arguments, such as a score or an energy: the student's code gets a
stand-in that asks the grader for the value, and for vector-Jacobian products, so that it can be
differentiated once.

Such functions take and return tensors. What the sandbox sends is a frame like any other: sizes and the
number of calls are capped, and an error of the function is the student's to see by its type alone.
"""

import socket
from collections.abc import Callable

import torch
from torch import Tensor

from gmtools.grading import wire

MAX_CALLS = 5000
MAX_NUMBERS = 4_000_000


class _Remote(torch.autograd.Function):
    @staticmethod
    def forward(ctx, ask, number, *inputs):
        ctx.ask, ctx.number = ask, number
        ctx.save_for_backward(*inputs)
        return ask({"callback": number}, list(inputs))[0]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        inputs = list(ctx.saved_tensors)
        return None, None, *ctx.ask({"callback": ctx.number, "backward": True}, [*inputs, gradient])


class Callback:
    """In the sandbox: the grader's function ``number``."""

    def __init__(self, connection: socket.socket, number: int):
        self._connection, self._number = connection, number

    def _ask(self, message: dict, inputs: list[Tensor]) -> list[Tensor]:
        tensors: dict[str, Tensor] = {}
        packed = wire.pack(inputs, tensors)
        wire.send(self._connection, wire.frame({**message, "args": packed}, tensors))
        reply, received = wire.receive(self._connection)
        if "error" in reply:
            raise RuntimeError(f"the function that was passed as an argument raised {reply['error']}")
        return wire.unpack(reply["value"], received)

    def __call__(self, *inputs: Tensor) -> Tensor:
        return _Remote.apply(self._ask, self._number, *(torch.as_tensor(x) for x in inputs))


def _value(function: Callable, inputs: list[Tensor]) -> list[Tensor]:
    with torch.no_grad():
        return [function(*inputs)]


def _products(function: Callable, inputs: list[Tensor], gradient: Tensor) -> list[Tensor]:
    """Vector-Jacobian products, zeros where the function does not depend on an input."""
    inputs = [x.detach().requires_grad_(x.is_floating_point()) for x in inputs]
    wanted = [x for x in inputs if x.requires_grad]
    with torch.enable_grad():
        value = function(*inputs)
    if not value.requires_grad:
        return [torch.zeros_like(x) for x in inputs]
    found = iter(torch.autograd.grad(value, wanted, gradient, allow_unused=True, materialize_grads=True))
    return [next(found) if x.requires_grad else torch.zeros_like(x) for x in inputs]


class Answers:
    """In the grader: the functions of one call, and the answers to the sandbox's calls of them."""

    def __init__(self) -> None:
        self.functions: list[Callable] = []
        self._calls = 0

    def frame(self, message: dict, tensors: dict[str, Tensor]) -> bytes:
        """The answer to one frame.

        Raises:
            ProtocolError: it is no such frame, or there are too many.
        """
        self._calls += 1
        try:
            function = self.functions[message["callback"]]
            inputs = [wire.unpack(item, tensors, modules=False).detach() for item in message["args"]["list"]]
        except Exception as error:
            raise wire.ProtocolError("not a call") from error
        if self._calls > MAX_CALLS or sum(x.numel() for x in inputs) > MAX_NUMBERS:
            raise wire.ProtocolError("too many calls")
        try:
            backward = message.get("backward") is True
            values = _products(function, inputs[:-1], inputs[-1]) if backward else _value(function, inputs)
        except Exception as error:  # of a wrong shape, say
            return wire.frame({"error": type(error).__name__}, {})
        answer: dict[str, Tensor] = {}
        return wire.frame({"value": wire.pack(values, answer)}, answer)
