"""A small lab with one trained exercise: weights are handed in, and marked on data that the grader draws."""

import torch

from gmtools.grading import Lab, expect
from gmtools.grading.rebuild import mlp_from

lab = Lab("trained", title="Пробна лаборатория: обучена мрежа")
line = lab.exercise(
    "line", title="Упражнение 1. Права", points=10, chapter="3-inference/33-variational-bound", trained=True
)


@line.check("грешка върху нови данни", points=10, hint="Обучавайте по-дълго.")
def predicts(student, generator):
    network = mlp_from(student.weights("line"), "net", 1, 1)
    x = torch.randn(200, 1, generator=generator, dtype=torch.float64)
    error = (network(x) - (2 * x + 1)).square().mean().item()
    expect(error < 0.01, "Средната квадратична грешка е над 0,01.")
