"""Frames: what is packed comes back, and what is not a frame is refused."""

import contextlib
import json
import os
import socket
import threading
import time

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from gmtools.grading import session, wire
from gmtools.grading.callback import Answers
from gmtools.grading.calls import Foreign, Handle, Outcome
from gmtools.grading.lab import StudentError, StudentGone

FUZZ = int(os.environ.get("GMTOOLS_FUZZ", "300"))  # cases of each test; ``make fuzz``: 10 000


def round_trip(value, functions=None, **options):
    tensors = {}
    data = wire.frame({"value": wire.pack(value, tensors, functions)}, tensors)
    message, received = _receive(data)
    return wire.unpack(message["value"], received, **options)


def _receive(data, seconds=5.0):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sender = threading.Thread(target=lambda: (ours.sendall(data), ours.shutdown(socket.SHUT_WR)))
        sender.start()
        try:
            return wire.receive(theirs, time.monotonic() + seconds)
        finally:
            theirs.close()
            sender.join()


@pytest.mark.parametrize(
    "value", [None, True, 3, -2.5, "текст", [1, [2.0, "a"]], (1, (2,)), {"a": [None]}, float("inf")]
)
def test_plain_values_come_back(value):
    assert round_trip(value) == value


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64, torch.bool, torch.bfloat16])
@pytest.mark.parametrize("shape", [(), (3,), (0, 2), (2, 3, 4)])
def test_tensors_come_back(dtype, shape):
    value = torch.randn(shape).to(dtype)
    assert torch.equal(round_trip(value), value) and round_trip(value).dtype == dtype


def test_strides_and_gradients_are_kept():
    value = torch.randn(4, 3).T.requires_grad_()
    back = round_trip(value)
    assert torch.equal(back, value) and back.requires_grad and not back.is_contiguous() and back.is_leaf


def test_modules_compute_the_same():
    module = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 4, bias=False), nn.Unflatten(1, (2, 2)))
    x = torch.randn(3, 2)
    assert torch.equal(round_trip(module, [])(x), module(x))


def test_replies_hold_no_modules_functions_or_handles():
    for thing in (nn.Linear(1, 1), torch.sin, Handle(None, 3)):
        with pytest.raises(wire.ProtocolError):
            round_trip(thing, [], modules=False)
        assert type(round_trip(thing)) is Foreign


def test_other_objects_are_known_by_name_alone():
    back = round_trip([object(), {1, 2}])
    assert [type(b) for b in back] == [Foreign, Foreign] and back[1].name == "set"


def test_a_tensor_subclass_arrives_plain():
    class Equal(torch.Tensor):
        @classmethod
        def __torch_function__(cls, function, types, args=(), kwargs=None):
            return (
                True
                if "eq" in function.__name__
                else super().__torch_function__(function, types, args, kwargs or {})
            )

    back = round_trip(torch.randn(3).as_subclass(Equal))
    assert type(back) is torch.Tensor


BAD = [
    b"",
    b"\xff" * 8,
    wire.HEADER.pack(4, 0) + b"null",
    wire.HEADER.pack(3, 0) + b"{x}",
    wire.HEADER.pack(2, 4) + b"{}" + b"\x80\x04K\x01",
    wire.HEADER.pack(2, 0) + b"{",
    wire.HEADER.pack(20_000, 0) + b"[" * 20_000,
    wire.HEADER.pack(2, wire.MAX_TENSORS + 1) + b"{}",
    wire.HEADER.pack(2, 16) + b"{}" + (2**63).to_bytes(8, "little") + b"x" * 8,
]


@pytest.mark.parametrize("data", BAD)
def test_what_is_no_frame_is_refused(data):
    with pytest.raises((wire.ProtocolError, EOFError)):
        _receive(data)


def test_silence_ends_at_the_deadline():
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(TimeoutError):
        wire.receive(theirs, time.monotonic() + 0.05)


@settings(max_examples=FUZZ, deadline=None)
@given(st.binary(max_size=64), st.binary(max_size=64))
def test_any_bytes_are_refused_or_read(text, data):
    try:
        message, _ = _receive(wire.HEADER.pack(len(text), len(data)) + text + data)
    except (wire.ProtocolError, EOFError):
        return
    assert isinstance(message, dict)


@settings(max_examples=FUZZ, deadline=None)
@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda x: (
            st.lists(x, max_size=3)
            | st.dictionaries(
                st.sampled_from(["tensor", "module", "list", "tuple", "dict", "foreign", "grad"]),
                x,
                max_size=3,
            )
        ),
    )
)
def test_any_json_unpacks_or_is_refused(value):
    item = json.loads(json.dumps(value))
    try:
        wire.unpack(item, {}, modules=False)
    except (wire.ProtocolError, KeyError, TypeError, AttributeError):
        return


def test_frames_larger_than_the_caps_are_not_made():
    with pytest.raises(wire.ProtocolError):
        wire.frame({"x": "a" * (wire.MAX_JSON + 1)}, {})


FRAME = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2, dtype=torch.bool)}
VALID = wire.frame({"value": {"list": [{"tensor": "a"}, {"tensor": "b"}, 1.5]}, "changed": []}, FRAME)


@settings(max_examples=FUZZ, deadline=None)
@given(st.binary(min_size=1, max_size=12), st.integers(0, len(VALID) - 1))
def test_any_damage_to_a_frame_is_refused_or_read(damage, place):
    data = bytearray(VALID)
    data[place : place + len(damage)] = damage
    try:
        message, tensors = _receive(bytes(data))
        wire.unpack(message["value"], tensors, modules=False)
    except (wire.ProtocolError, EOFError, KeyError, TypeError, AttributeError):
        return
    assert all(type(value) is torch.Tensor for value in tensors.values())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda x: (
        st.lists(x, max_size=3)
        | st.dictionaries(st.sampled_from(["tensor", "list", "dict", "foreign", "callback", "args"]), x)
    ),
    max_leaves=8,
)
KEYS = ["value", "gradients", "parameters", "changed", "operations", "error", "kind", "cell", "line"]


@settings(max_examples=FUZZ, deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), JSON), st.booleans())
def test_any_reply_is_an_outcome_or_the_students_end(reply, kept):
    tensors = {"0": torch.ones(2)}
    for read in (
        lambda: session._outcome(reply, tensors, kept),
        lambda: session._student_error(reply.get("error"), ["x = 1"]),
    ):
        with contextlib.suppress(StudentGone):
            assert isinstance(read(), Outcome | StudentError)


@settings(max_examples=FUZZ, deadline=None)
@given(st.dictionaries(st.sampled_from(["callback", "args", "backward"]), JSON))
def test_any_call_back_is_answered_or_refused(message):
    answers = Answers()
    answers.functions.append(torch.sin)
    with contextlib.suppress(wire.ProtocolError):
        assert isinstance(answers.frame(message, {"0": torch.ones(2)}), bytes)
