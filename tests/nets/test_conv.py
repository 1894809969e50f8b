"""Laws of the convolutional encoder and decoder: shapes that come back, batches that do not mix."""

import pytest
import torch

from gmtools.nets import ConvDecoder, ConvEncoder

SIZES = [(8,), (7, 9), (8, 8), (5, 6, 7)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("batch", [(), (3,), (2, 3)])
def test_shapes_come_back(size, batch):
    encoder, decoder = ConvEncoder(2, size, 4, widths=(3, 5)), ConvDecoder(4, 2, size, widths=(5, 3))
    h = encoder(torch.rand(*batch, 2, *size))
    assert h.shape == (*batch, 4)
    assert decoder(h).shape == (*batch, 2, *size)


@pytest.mark.parametrize("size", SIZES)
def test_each_data_point_is_treated_alone(size):
    torch.manual_seed(0)
    encoder, decoder = ConvEncoder(1, size, 4).double(), ConvDecoder(4, 1, size).double()
    x = torch.rand(2, 3, 1, *size, dtype=torch.float64)
    z = encoder(x)
    torch.testing.assert_close(z[1, 2], encoder(x[1, 2]))
    torch.testing.assert_close(decoder(z)[1, 2], decoder(z[1, 2]))


@pytest.mark.parametrize("size", SIZES)
def test_every_pixel_enters_and_is_reached(size):
    torch.manual_seed(0)
    encoder, decoder = ConvEncoder(1, size, 4).double(), ConvDecoder(4, 1, size).double()
    x = torch.rand(1, 1, *size, dtype=torch.float64)
    assert (torch.autograd.functional.jacobian(encoder, x).abs().sum((0, 1)) > 0).all()
    z = torch.randn(1, 4, dtype=torch.float64)
    assert (torch.autograd.functional.jacobian(decoder, z).abs().sum((-1, -2)) > 0).all()


@pytest.mark.parametrize("size", SIZES)
def test_compiles_whole_and_round_trips(size, compile_whole):
    nets = torch.nn.Sequential(ConvEncoder(1, size, 4), ConvDecoder(4, 1, size))
    other = torch.nn.Sequential(ConvEncoder(1, size, 4), ConvDecoder(4, 1, size))
    other.load_state_dict(nets.state_dict())
    x = torch.rand(2, 1, *size)
    torch.testing.assert_close(compile_whole(nets)(x), other(x))
    nets(x).sum().backward()
    assert all(p.grad.isfinite().all() for p in nets.parameters())


def test_bad_inputs_name_the_argument():
    with pytest.raises(ValueError, match="size"):
        ConvEncoder(1, (2, 2, 2, 2), 1)
    with pytest.raises(ValueError, match="widths"):
        ConvDecoder(1, 1, (4,), widths=())
    with pytest.raises(ValueError, match=r"x has shape \(2, 1, 4, 5\)"):
        ConvEncoder(1, (4, 4), 1)(torch.zeros(2, 1, 4, 5))
    with pytest.raises(ValueError, match=r"z has shape \(2, 3\)"):
        ConvDecoder(4, 1, (4, 4))(torch.zeros(2, 3))
