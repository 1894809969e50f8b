"""The weights of chapters 50 and 51 are those that the committed script makes: the metrics come out again."""

import importlib.util
from pathlib import Path

import pytest
import torch

from gmtools.weights import load_weights

SCRIPT = Path(__file__).parents[2] / "lectures/weights/train_deep_gaussian.py"
SPEC = importlib.util.spec_from_file_location("train_deep_gaussian", SCRIPT)
script = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(script)


def test_metrics_come_out_again():
    models = script.build()
    metadata = load_weights(models, script.NAME)
    assert metadata["script"] == SCRIPT.relative_to(SCRIPT.parents[2]).as_posix()
    assert metadata["seed"] == "0" and int(metadata["seconds"]) > 0
    measured = {name: script.metric(model) for name, model in models.items()}
    for name, value in measured.items():  # the same random numbers: only rounding differs
        assert value == pytest.approx(float(metadata[f"iwae {name}"]), abs=2e-3)
    assert measured["large"] > measured["small"] + 1


def test_training_begins_with_the_seed_and_climbs():
    found = []
    for _ in range(2):
        torch.manual_seed(0)
        model = script.build()["small"]
        before = script.metric(model)
        script.train(model, steps=50)
        assert script.metric(model) > before + 5
        found.append([p.detach().clone() for p in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
