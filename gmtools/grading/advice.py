"""Where to look, in Bulgarian, when a student's code returned something of another form or raised.

A message first says what was got and what was expected; what stands here is the sentence after it.
"""

import torch
from torch import Tensor

KINDS = {
    "NoneType": "не върна нищо (None). Липсва ли return?",
    "float": "върна обикновено число (float). Не са нужни .item() и float(…).",
    "int": "върна обикновено число (int).",
    "bool": "върна True или False (bool).",
    "str": "върна текст (str).",
    "ndarray": "върна масив на NumPy. Смятайте с torch: тогава минава и градиентът.",
    "list": "върна списък (list). Съберете елементите му с torch.stack.",
    "tuple": "върна няколко стойности (tuple).",
    "Tensor": "върна един тензор.",
    "function": "върна функция. Липсват ли скобите на извикването?",
}

CONVERTED = "Функциите на math приемат едно число: за тензори има torch.exp, torch.log, torch.sqrt …"

# What to think of, by the exception's type and a piece of its message (lower case).
RAISED = (
    (
        "NameError",
        "",
        "Името не е познато: проверете правописа и дали клетката, която го дефинира или внася, е изпълнена.",
    ),
    (
        "TypeError",
        "must be tensor",
        "Функциите на torch приемат тензори: за едно число има math.exp, math.log или torch.tensor(…).",
    ),
    (
        "TypeError",
        " argument",
        "Сравнете броя и имената на аргументите в дефиницията и в извикването: проверките ги подават "
        "както в дадената заготовка.",
    ),
    (
        "TypeError",
        "cannot unpack",
        "Вдясно стои една стойност, а отляво – няколко имена. Какво връща извиканата функция?",
    ),
    ("TypeError", "nonetype", "Някоя стойност е None: функцията, от която идва, няма return."),
    ("AttributeError", "nonetype", "Някоя стойност е None: функцията, от която идва, няма return."),
    (
        "TypeError",
        "numpy",
        "Смесват се NumPy и torch: пишете всичко с функции на torch.",
    ),
    (
        "RuntimeError",
        "numpy",
        "Смесват се NumPy и torch: пишете всичко с функции на torch.",
    ),
    (
        "RuntimeError",
        "size of tensor",
        "Формите на два тензора не пасват. Отпечатайте .shape на всеки и добавете липсващата ос с "
        "unsqueeze или [..., None].",
    ),
    (
        "RuntimeError",
        "shapes cannot be multiplied",
        "Формите на двата множителя не пасват. Отпечатайте .shape на всеки.",
    ),
    (
        "RuntimeError",
        "does not require grad",
        "До тази стойност не води градиент: някъде по пътя има .detach(), .item(), torch.no_grad() или "
        "вход без requires_grad_().",
    ),
    (
        "RuntimeError",
        "scalar outputs",
        "Диференцира се едно число: сумирайте преди autograd.grad или backward().",
    ),
    (
        "RuntimeError",
        "second time",
        "По този граф вече е диференцирано: пресметнете стойността наново.",
    ),
    (
        "RuntimeError",
        "not have been used in the graph",
        "Стойността не зависи от входа, по който се диференцира: навярно в пресмятането влиза негово копие.",
    ),
    (
        "RuntimeError",
        "inplace operation",
        "Тензор, от който зависи градиентът, е променен на място: използвайте нов вместо +=, mul_, exp_ …",
    ),
    ("RuntimeError", "ambiguous", "if не работи върху тензор: използвайте torch.where, .all() или .any()."),
    ("RuntimeError", "converted to scalar", CONVERTED),
    ("ValueError", "converted to python scalars", CONVERTED),
    (
        "RuntimeError",
        "a leaf variable",
        "Аргументът се променя на място: използвайте нов тензор вместо +=, mul_, exp_ …",
    ),
    (
        "RuntimeError",
        "dtype",
        "Смесват се float32 и float64: новите тензори създавайте с dtype=x.dtype.",
    ),
    (
        "IndexError",
        "",
        "Търси се ос или елемент, който го няма. Отпечатайте .shape на тензора.",
    ),
    ("SyntaxError", "indent", "Редовете на едно тяло започват с един и същ брой интервали."),
    ("SyntaxError", "expected ':'", "Липсва двоеточие в края на реда."),
    ("SyntaxError", "never closed", "Липсва затваряща скоба или кавичка."),
    ("SyntaxError", "unterminated", "Липсва затваряща скоба или кавичка."),
    ("SyntaxError", "invalid syntax", "Погледнете и края на предишния ред: незатворена скоба, липсващ знак."),
    ("RecursionError", "", "Функцията вика себе си без край."),
)


def on_kind(name: str) -> str:
    """What a function did that returned a value of the type ``name``."""
    return KINDS.get(name, f"върна обект от тип {name}.")


def on_shape(found: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """The likely reason for a shape that is not the one wanted.

    >>> on_shape((3, 1), (3,))
    'Има излишна ос с размер 1: забравена сума, останало keepdim=True или нужда от .squeeze(…).'
    """
    if [n for n in found if n != 1] == [n for n in wanted if n != 1]:
        if len(found) > len(wanted):
            return (
                "Има излишна ос с размер 1: забравена сума, останало keepdim=True или нужда от .squeeze(…)."
            )
        if len(found) < len(wanted):
            return "Липсва ос с размер 1: keepdim=True или .unsqueeze(…)."
    if not found:
        return "Сумирано или усреднено е по всички оси: посочете оста с dim=…"
    if len(found) > 1 and sorted(found) == sorted(wanted):
        return "Осите са разменени."
    if len(found) > len(wanted):
        return "Останала е ос, по която трябва да се сумира или усредни."
    return "Формите на входа и на изхода стоят в описанието на функцията."


def on_infinite(value: Tensor) -> str | None:
    """What is wrong with a tensor that is not finite, and what usually brings it about; None if it is."""
    for bad, what, causes in (
        (torch.isnan(value), "NaN", "логаритъм или корен от отрицателно число, 0/0, 0·∞ или ∞ − ∞"),
        (torch.isinf(value), "безкрайност", "логаритъм от нула, деление на нула или препълване на exp"),
    ):
        if bad.any():
            count = "" if value.numel() == 1 else f" ({int(bad.sum())} от {value.numel()} числа)"
            return f"В резултата има {what}{count}. Причината обикновено е {causes}."
    return None


def on_error(kind: str, message: str) -> str:
    """Where to look after an exception; empty where its own message has to do."""
    found = (words for of, piece, words in RAISED if of == kind and piece in message.lower())
    return next(found, "")
