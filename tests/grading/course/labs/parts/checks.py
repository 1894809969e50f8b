"""A small lab whose exercises are a class, and a function of a function: what checks can say of such."""

import torch

from gmtools.grading import Lab, expect, expect_close, expect_gradients, expect_tensor

lab = Lab("parts", title="Пробна лаборатория: модули и функции от функции")
layer = lab.exercise(
    "Affine", title="Упражнение 1. Афинен слой", points=60, chapter="3-inference/33-variational-bound"
)
climb = lab.exercise(
    "ascend", title="Упражнение 2. Изкачване", points=40, chapter="3-inference/33-variational-bound"
)


@layer.check("обратимост", points=20, hint="Обратното на умножение е деление.")
def inverts(student, generator):
    affine = student.make("Affine", 3)
    affine.load_state_dict({"log_scale": torch.randn(3, generator=generator), "shift": torch.ones(3)})
    z = torch.randn(5, 3, generator=generator)
    x, ladj = affine(z)
    expect_tensor(ladj, (5,))
    back, _ = affine.inverse(x)
    expect_close(back, z, "Обратното преобразувание не връща z.")


@layer.check("теглата се обучават", points=20, hint="Регистрирайте ги с nn.Parameter.")
def learns(student, generator):
    affine = student.make("Affine", 2)
    affine.load_state_dict({"log_scale": torch.zeros(2), "shift": torch.zeros(2)})
    z = torch.randn(4, 2, generator=generator)
    outcome = affine.trace("forward", z, parameters=True)
    expect(set(affine.state_dict()) == {"log_scale", "shift"}, "Имената на теглата са други.")
    expect(outcome.parameters is not None, "Стойността не зависи от теглата.")
    expected = {"log_scale": z.sum(0) + 4, "shift": torch.full((2,), 4.0)}
    for name, gradient in expected.items():
        expect_close(outcome.parameters[name], gradient, "Градиентът е друг.")
    expect(affine.get("dim") == 2, "dim е друго.")


@layer.check("съставяне", points=20, hint="compose(f, g) прилага първо f.")
def composes(student, generator):
    first, second = student.make("Affine", 2), student.make("Affine", 2)
    for one in (first, second):
        one.load_state_dict({"log_scale": torch.zeros(2), "shift": torch.randn(2, generator=generator)})
    z = torch.zeros(1, 2)
    expected = first.state_dict()["shift"] + second.state_dict()["shift"]
    expect_close(student.make("Both", first, second)(z)[0], expected[None], "Отместванията не се събират.")


@climb.check("стъпките следват дадения градиент", points=20, hint="x + step * score(x).")
def follows(student, generator):
    x = torch.randn(6, 2, generator=generator)
    expect_close(student.ascend(lambda x: -x, x, 3, 0.5), x / 8, "След три стъпки сте другаде.")


@climb.check("градиентът минава през функцията", points=20, hint="Не прекъсвайте с detach.")
def differentiates(student, generator):
    x = torch.randn(4, 3, generator=generator).requires_grad_()
    outcome = student.trace("ascend", torch.sin, x, 1, 1.0)
    expect_gradients(outcome, [1 + torch.cos(x.detach())], "Градиентът е друг.")
