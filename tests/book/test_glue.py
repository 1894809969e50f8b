"""A glued number is shown as it was written: myst-nb evaluates what it is given."""

from ast import literal_eval

import IPython.display
import pytest

from gmtools.widgets import glue


@pytest.mark.parametrize(
    ("value", "shown"), [(0.57, "0,57"), (-1.5, "−1,50"), (1.05, "1,05"), ("три", "три")]
)
def test_glue_survives_being_evaluated(monkeypatch, value, shown):
    outputs = []
    monkeypatch.setattr(IPython.display, "display", lambda data, **_: outputs.append(data))
    glue("name", value, 2)
    assert [literal_eval(text) for output in outputs for text in output.values()] == [shown]
