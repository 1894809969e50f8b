"""Laws of the weights that ship: what is saved comes back, to half precision, and misfits are named."""

import pytest
import torch
from torch import nn

from gmtools import weights
from gmtools.weights import available_weights, load_weights, save_weights


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    return tmp_path


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_weights_come_back_in_the_modules_own_type(folder, dtype):
    torch.manual_seed(0)
    saved, loaded = (nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).to(dtype) for _ in range(2))
    save_weights(saved, folder / "net.safetensors", {"seed": 0, "metric": 1.5})
    loaded.train()
    assert load_weights(loaded, "net") == {"seed": "0", "metric": "1.5"}
    assert not loaded.training and available_weights() == ("net",)
    for a, b in zip(saved.state_dict().values(), loaded.state_dict().values(), strict=True):
        assert a.dtype == b.dtype
        torch.testing.assert_close(a, b, rtol=2**-11, atol=1e-7)  # half precision rounds to eleven bits


def test_misfits_are_named(folder):
    save_weights(nn.Linear(3, 4), folder / "net.safetensors", {})
    with pytest.raises(ValueError, match=r"name is 'nat', expected one of net"):
        load_weights(nn.Linear(3, 4), "nat")
    with pytest.raises(
        ValueError, match=r"'weight' of shape \(4, 2\), expected \(4, 3\) as in 'net'; 1 such"
    ):
        load_weights(nn.Linear(2, 4), "net")
    with pytest.raises(ValueError, match=r"'bias' of shape None, expected \(4,\)"):
        load_weights(nn.Linear(3, 4, bias=False), "net")


@pytest.mark.parametrize("value", [float("nan"), 1e6])
def test_weights_that_half_precision_cannot_hold_are_refused(folder, value):
    net = nn.Linear(1, 1)
    nn.init.constant_(net.bias, value)
    with pytest.raises(ValueError, match="module has 'bias' outside half precision"):
        save_weights(net, folder / "net.safetensors", {})


def test_a_module_that_does_not_fit_is_left_as_it_was(folder):
    save_weights(nn.Linear(3, 4), folder / "net.safetensors", {})
    net = nn.Linear(2, 4)
    before = net.weight.detach().clone()
    with pytest.raises(ValueError):
        load_weights(net, "net")
    assert torch.equal(net.weight, before) and net.training
