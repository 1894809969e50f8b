"""Laws of the pixel networks: nothing from the future, everything from the past, whole graphs."""

import pytest
import torch

from gmtools.nets import (
    DiagonalLSTM,
    GatedLayer,
    MaskedConv2d,
    PixelCNN,
    PixelRNN,
    RowsAboveConv2d,
    skew,
    unskew,
)


def make(kind, channels=1, levels=2):
    torch.manual_seed(0)
    if kind == "cnn":
        return PixelCNN(channels, levels, hidden=6, layers=5, size=3).double()
    return PixelRNN(channels, levels, hidden=6, layers=1).double()


@pytest.mark.parametrize("kind", ["cnn", "rnn"])
@pytest.mark.parametrize("channels, height, width", [(1, 3, 4), (3, 2, 3)])
def test_every_pixel_sees_exactly_its_past(kind, channels, height, width):
    net = make(kind, channels, levels=3)
    x = torch.rand(1, channels, height, width, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(net, x)[0, :, :, :, :, 0]  # (levels, C, H, W, C, H, W)
    dims = channels * height * width
    influence = jacobian.abs().sum(0).permute(1, 2, 0, 4, 5, 3).reshape(dims, dims)
    past = torch.ones(dims, dims).tril(-1).bool()
    assert (influence[~past] == 0).all()
    assert (influence[past] > 0).all()


@pytest.mark.parametrize("kind", ["cnn", "rnn"])
def test_compiles_whole_and_gradients_are_finite(kind, compile_whole):
    net = make(kind)
    x = torch.rand(3, 1, 4, 4, dtype=torch.float64)
    compiled = compile_whole(net)
    torch.testing.assert_close(compiled(x), net(x))
    net(x).square().sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("kind", ["cnn", "rnn"])
def test_state_dict_round_trip(kind):
    net, other = make(kind), make(kind)
    for parameter in other.parameters():
        parameter.data.normal_()
    x = torch.rand(2, 1, 4, 4, dtype=torch.float64)
    assert not torch.allclose(net(x), other(x))
    other.load_state_dict(net.state_dict())
    torch.testing.assert_close(net(x), other(x))


def test_context_reaches_every_pixel_and_breaks_no_order():
    torch.manual_seed(0)
    net = PixelCNN(hidden=6, layers=2, d_context=3).double()
    context = torch.randn(1, 3, dtype=torch.float64)
    x = torch.rand(1, 1, 3, 3, dtype=torch.float64)
    by_context = torch.autograd.functional.jacobian(lambda c: net(x, c), context)
    assert (by_context[0].abs().sum((0, -1, -2)) > 0).all()
    by_pixel = (
        torch.autograd.functional.jacobian(lambda x: net(x, context), x).abs().sum((0, 1)).reshape(9, 9)
    )
    assert (by_pixel.triu() == 0).all()


def test_skewing_turns_diagonals_into_columns():
    x = torch.arange(12.0).reshape(3, 4)
    y = skew(x)
    for row in range(3):
        expected = torch.cat((torch.zeros(row), x[row], torch.zeros(2 - row)))
        torch.testing.assert_close(y[row], expected)
    torch.testing.assert_close(unskew(y), x)
    torch.testing.assert_close(unskew(skew(x.T.expand(2, 4, 3))), x.T.expand(2, 4, 3))


def test_diagonal_lstm_is_the_recurrence_of_its_formula():
    torch.manual_seed(0)
    lstm = DiagonalLSTM(4).double()
    x = torch.randn(2, 4, 3, 3, dtype=torch.float64)
    gates = lstm.input_to_state(x)
    above, here = lstm.state_to_state.weight.unbind(-1)
    zero = torch.zeros(2, 4, dtype=torch.float64)
    states, memories = {}, {}
    for diagonal in range(5):
        for row in range(3):
            for column in range(-3, 4):  # columns outside the image are padding that carries a state too
                if row + column != diagonal:
                    continue
                left, up = states.get((row, column - 1), zero), states.get((row - 1, column), zero)
                inside = 0 <= column < 3
                total = gates[:, :, row, column] if inside else torch.zeros(2, 16, dtype=torch.float64)
                total = total + left @ here.T + up @ above.T + lstm.state_to_state.bias
                output, forget, write, value = total.chunk(4, dim=1)
                memory = torch.sigmoid(forget) * memories.get((row, column - 1), zero)
                memory = memory + torch.sigmoid(write) * torch.tanh(value)
                memories[row, column] = memory
                states[row, column] = torch.sigmoid(output) * torch.tanh(memory)
    y = lstm(x)
    for row in range(3):
        for column in range(3):
            torch.testing.assert_close(y[:, :, row, column], states[row, column])


def test_bad_inputs_name_the_argument():
    with pytest.raises(ValueError, match="kernel_size"):
        MaskedConv2d(1, 1, (2, 3), "A")
    with pytest.raises(ValueError, match="kind"):
        MaskedConv2d(1, 1, (3, 3), "C")
    with pytest.raises(ValueError, match="channels_out"):
        MaskedConv2d(3, 4, (3, 3), "A", image_channels=3)
    with pytest.raises(ValueError, match="size"):
        RowsAboveConv2d(1, 1, 4)
    for net in (PixelCNN(), PixelRNN()):
        with pytest.raises(ValueError, match=r"x has shape \(2, 3, 4, 4\)"):
            net(torch.zeros(2, 3, 4, 4))
    with pytest.raises(ValueError, match="levels"):
        PixelRNN(levels=1)
    for net in (PixelCNN(), PixelRNN()):
        with pytest.raises(ValueError, match="context"):
            net(torch.zeros(1, 1, 2, 2), torch.zeros(1, 2))
    with pytest.raises(ValueError, match="context"):
        PixelCNN(d_context=2)(torch.zeros(1, 1, 2, 2))


def test_gated_layer_is_residual_in_the_horizontal_stack():
    layer = GatedLayer(4, 3, 1)
    torch.nn.init.zeros_(layer.out.weight)
    torch.nn.init.zeros_(layer.out.bias)
    h = torch.randn(2, 4, 3, 3)
    torch.testing.assert_close(layer(torch.randn(2, 4, 3, 3), h)[1], h)
