"""The weights of chapter 57 are those that the committed script makes: their metrics come out again."""

import importlib.util
from pathlib import Path

import pytest
import torch

from gmtools.weights import FOLDER, load_weights

SCRIPT = Path(__file__).parents[2] / "lectures/weights/train_flow_posteriors.py"
SPEC = importlib.util.spec_from_file_location("train_flow_posteriors", SCRIPT)
script = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(script)


@pytest.mark.parametrize("name", ["planar", "coupling", "flow_vae"])
def test_metrics_come_out_again(name):
    models = script.build(name)
    metadata = load_weights(models, name)
    assert metadata["script"] == SCRIPT.relative_to(SCRIPT.parents[2]).as_posix()
    assert metadata["seed"] == "0" and int(metadata["seconds"]) > 0
    measured = script.metrics(name, models)
    # the same random numbers: only rounding differs
    assert measured == pytest.approx({key: float(metadata[key]) for key in models}, abs=2e-3)
    if name == "flow_vae":
        assert measured["flow"] > measured["mean_field"]
    else:
        assert all(measured[f"{energy} 2"] > measured[f"{energy} 8"] for energy in script.PLANE_ENERGIES)


def test_training_begins_with_the_seed_and_climbs():
    """The recipe itself, shortened: twice the same weights, and nearer to the target than at the start."""
    target, found = script.PLANE_ENERGIES["U2"], []
    log_z = target.posterior().log_evidence
    for _ in range(2):
        torch.manual_seed(0)
        q = script.FlowPosterior(script.bijection("planar", 2))
        before = script.gap(q(), target.log_joint, log_z).value
        script.train_on_energy(q, target.log_joint, steps=100, lr=0.03)
        assert script.gap(q(), target.log_joint, log_z).value < before - 0.5
        found.append([p.detach().clone() for p in q.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_the_weights_stay_light():
    assert all(
        (FOLDER / f"{name}.safetensors").stat().st_size < 200_000
        for name in ("planar", "coupling", "flow_vae")
    )
