"""What a student reads in the notebook: what was got, what was expected, where to look."""

import math
import re
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from torch import nn

from gmtools.grading import expect_gradients, expect_tensor, expect_tensors
from gmtools.grading.calls import Foreign, Outcome
from gmtools.grading.feedback import REPEATED, Feedback
from gmtools.grading.lab import Check, Failed, StudentError, load_public
from gmtools.grading.marks import WRONG_FORM, explain, run_check, run_exercise
from gmtools.grading.notebook import NamespaceStudent, OpenLab
from gmtools.training import fit

LAB = Path(__file__).parent / "course" / "labs" / "bound"
KL = "def gaussian_kl(mu, logvar):\n    return 0.5 * (logvar.exp() + mu**2 - 1 - logvar).sum(-1)"
ELBO = "def elbo(x, mu, logvar, decoder, K):\n    return -gaussian_kl(mu, logvar)"
STUB = "def gaussian_kl(mu, logvar):\n    raise NotImplementedError"


def said(name: str, *cells: str) -> dict:
    """The result of an exercise's public checks in a notebook in which these cells were run."""
    namespace = {"In": ["", *cells]}
    for cell in cells:
        with suppress(SyntaxError):
            exec(cell, namespace)
    return run_exercise(load_public(LAB).exercises[name], NamespaceStudent(namespace), 0)


@pytest.mark.parametrize(
    ("cells", "name", "status", "words"),
    [
        ((STUB,), "gaussian_kl", "unwritten", "^Функцията още не е написана.$"),
        ((STUB, ELBO), "elbo", "unwritten", "вика „gaussian_kl“, която още не е написана"),
        ((ELBO,), "elbo", "error", "NameError.*'gaussian_kl'.*дали клетката.*е изпълнена"),
        ((), "gaussian_kl", "missing", "Изпълнена ли е клетката, която го дефинира"),
        (("def gaussian_kl(mu)\n    return 0",), "gaussian_kl", "syntax", "ред 1.*Липсва двоеточие"),
        (("def gaussian_kl(mu):\n    return 0",), "gaussian_kl", "error", "TypeError.*броя и имената на арг"),
        (("def gaussian_kl(mu, v):\n    mu * v",), "gaussian_kl", "failed", "не върна нищо.*return"),
        ((KL.replace("sum(-1)", "sum(-1).numpy()"),), "gaussian_kl", "failed", "масив на NumPy"),
        (("def gaussian_kl(mu, v):\n    return list(mu.sum(-1))",), "gaussian_kl", "failed", "torch.stack"),
        ((KL.replace("sum(-1)", "sum(-1, True)"),), "gaussian_kl", "failed", r"форма \(3, 1\).*излишна ос"),
        ((KL.replace("sum(-1)", "mean()"),), "gaussian_kl", "failed", "посочете оста"),
        ((KL.replace("0.5", "torch.tensor(-1.0).log()"), "import torch"), "gaussian_kl", "failed", "NaN"),
    ],
)
def test_each_mistake_is_named_and_says_where_to_look(cells, name, status, words):
    first = said(name, *cells)["checks"][0]
    assert (first["status"], first["earned"]) == (status, 0)
    assert re.search(words, first["message"]), first["message"]


def test_a_line_in_another_function_is_named_with_it():
    cells = "def inner(mu):\n    return mu / ''", "def gaussian_kl(mu, logvar):\n    return inner(mu)"
    namespace = {}
    for cell in cells:
        exec(compile(cell, "<ipython-input-1>", "exec"), namespace)
    run = run_exercise(load_public(LAB).exercises["gaussian_kl"], NamespaceStudent(namespace), 0)
    assert "TypeError (в „inner“, ред 2)" in run["checks"][0]["message"]
    exec(compile(cells[0].replace("inner(mu)", "gaussian_kl(mu, _)"), "<ipython-input-2>", "exec"), namespace)
    run = run_exercise(load_public(LAB).exercises["gaussian_kl"], NamespaceStudent(namespace), 0)
    assert "TypeError (ред 2)" in run["checks"][0]["message"]


def test_a_hidden_check_of_the_form_says_so_and_no_more():
    def wrong(student, generator):
        expect_tensor(torch.zeros(123, 1), (123,))

    check = Check("скрита", 1, wrong, hint="за числата", hidden=True)
    result = run_check(check, "elbo", NamespaceStudent({}), 0)
    assert (result["message"], result["hint"], result["earned"]) == (WRONG_FORM, "", 0)


def test_what_was_said_once_is_not_said_again():
    shown = repr(Feedback(load_public(LAB).exercises["elbo"], said("elbo", ELBO)))
    assert shown.count("NameError") == 1
    assert shown.count(REPEATED) == len(load_public(LAB).exercises["elbo"].checks) - 1


@pytest.mark.parametrize(
    ("value", "shape", "words"),
    [
        (torch.zeros(2, 3), (3, 2), "разменени"),
        (torch.zeros(3), (3, 1), "Липсва ос с размер 1"),
        (torch.zeros(5, 3), (3,), "Останала е ос"),
        (torch.zeros(4), (3,), "описанието"),
        (torch.zeros(1), (), "трябва да е скалар"),
        (torch.tensor([1.0, torch.inf]), (2,), "1 от 2.*деление на нула"),
        (Foreign("Distribution"), (2,), "върна обект от тип Distribution"),
        (2.5, (), "число .float."),
    ],
)
def test_a_value_of_another_form_is_described(value, shape, words):
    with pytest.raises(Failed, match=words):
        expect_tensor(value, shape)


def test_one_tensor_in_place_of_two_and_no_tensor_in_place_of_a_gradient():
    with pytest.raises(Failed, match="2 тензора, а върна един тензор"):
        expect_tensors(torch.zeros(3), (3,), (3,))
    with pytest.raises(Failed, match="не върна нищо"):
        expect_gradients(Outcome(None), [torch.zeros(2)], "друга")
    with pytest.raises(Failed, match="не е диференцируем"):
        expect_gradients(Outcome(torch.zeros(2)), [torch.zeros(2)], "друга")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("x[:2] + x", "Формите на два тензора"),
        ("x[:, None] @ x[:, None]", "двата множителя"),
        ("x[None] @ torch.ones(3, 1).double()", "float32 и float64"),
        ("torch.autograd.grad(x.sum(), x)", "не води градиент"),
        ("torch.autograd.grad(leaf * 2, leaf)", "сумирайте"),
        ("[torch.autograd.grad(y, leaf) for y in [(leaf**2).sum()] * 2]", "наново"),
        ("torch.autograd.grad((leaf.clone() * 2).sum(), leaf.clone())", "не зависи от входа"),
        ("leaf.mul_(2)", "нов тензор"),
        ("1 if x > 0 else 2", "torch.where"),
        ("math.exp(x)", "за тензори има torch.exp"),
        ("torch.exp(2.0)", "за едно число има math.exp"),
        ("(lambda a: a)(1, 2)", "броя и имената"),
        ("x[:, 1]", "ос или елемент"),
        ("None.sum()", "няма return"),
        ("1 / 0", "division by zero.$"),
    ],
)
def test_what_torch_says_is_followed_by_where_to_look(line, words):
    """The errors are raised here by the torch that is installed, in its own words."""
    names = {"torch": torch, "math": math, "x": torch.ones(3), "leaf": torch.ones(3, requires_grad=True)}
    with pytest.raises(Exception) as caught:
        eval(line, names)
    error = StudentError(type(caught.value).__name__, str(caught.value))
    assert re.search(words, explain(error, "elbo")), explain(error, "elbo")


def test_a_loss_that_is_not_finite_ends_training_with_a_sentence(capsys):
    layer = nn.Linear(1, 1)
    lab = OpenLab(load_public(LAB), {})
    with lab.training():
        fit(layer, lambda x: (layer(x).mean() - 1e6).log(), torch.ones(4, 1), steps=500)
        raise AssertionError("training went on")
    assert "Обучението спря: на стъпка 1 загубата стана nan." in capsys.readouterr().out


def test_other_errors_in_training_stay_as_they_are():
    with pytest.raises(KeyError), OpenLab(load_public(LAB), {}).training():
        raise KeyError


def test_handing_in_says_why_and_shows_nothing_of_the_cells_it_needs(tmp_path, capsys, monkeypatch):
    """``elbo`` reads a global that only a cell with a check defines: the grader has no lab to run it with."""
    monkeypatch.chdir(LAB)
    cells = [
        f"from gmtools.grading import open_lab\nlab = open_lab('{LAB.name}')",
        KL,
        "def elbo(x, mu, logvar, decoder):\n    return -K * gaussian_kl(mu, logvar)",
        "if lab.check('gaussian_kl') or True:\n    K = 3\n    print('картинка')",
    ]
    namespace = {"In": ["", *cells]}
    OpenLab(load_public(LAB), namespace).submit("10001", folder=str(tmp_path))
    out = capsys.readouterr().out
    assert "картинка" not in out and "минават" not in out
    assert "✔ gaussian_kl: готово" in out
    assert re.search(r"✘ elbo: минали проверки – 0 от \d\. Кодът ви спря с TypeError", out)
    assert "„bernoulli_log_likelihood“ не е намерено в нито една клетка" in out
    assert "само клетките, изпълнени след последното рестартиране" in out
    assert "Има недовършени упражнения" in out
