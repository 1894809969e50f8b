"""From checks to marks: run them against a student and say, for each, what happened."""

from typing import Any

from gmtools.grading import advice
from gmtools.grading.calls import Student
from gmtools.grading.lab import (
    Check,
    Exercise,
    Failed,
    Lab,
    StudentError,
    StudentGone,
    WrongForm,
    generator_for,
)

GONE = {
    "timeout": "Времето изтече: функцията не върна резултат в определеното време (безкраен или много "
    "бавен цикъл?).",
    "memory": "Паметта не стигна: функцията поиска твърде много памет.",
    "exit": "Кодът прекрати изпълнението (exit, quit, os._exit?). Функцията трябва да върне стойност.",
    "crash": "Процесът се срина по време на изпълнението (грешка извън Python).",
    "protocol": "Резултатът не може да бъде прочетен: твърде голям е или връзката с оценителя е нарушена.",
    "too many": "Не е проверено: изпълнението вече се срина няколко пъти в това упражнение.",
}
WRONG_FORM = "Резултатът няма формата или типа, които са дадени в описанието."
UNWRITTEN = "Функцията още не е написана."
UNWRITTEN_BELOW = "Функцията вика „{0}“, която още не е написана: първо решете нейното упражнение."
WEIGHTS = {
    "NotTrained": "Още няма „{0}“. Решете упражненията преди него и изпълнете клетката, която го обучава.",
    "NoModule": "„{0}“ трябва да е обучен модул (nn.Module) или речник от тензори.",
    "NoWeights": "Няма предадени тегла на „{0}“. Обучете модула и изпълнете клетката за предаване; "
    "предава се архивът, който тя записва.",
    "BadWeights": "Теглата на „{0}“ не могат да бъдат прочетени: очаква се файл safetensors с "
    "тензори от реални числа.",
}
STATUS = {
    "Missing": "missing",
    "Unrun": "missing",
    "NoWeights": "missing",
    "NotTrained": "missing",
    "SyntaxError": "syntax",
    "IndentationError": "syntax",
}


def _place(error: StudentError) -> str:
    cell = (
        f"клетка с код {error.cell}, " if error.cell else f"в „{error.function}“, " if error.function else ""
    )
    return f" ({cell}ред {error.line})" if error.line else ""


def explain(error: StudentError, exercise: str) -> str:
    """The student's own exception, in words, with the line in their own cell."""
    if error.unwritten:
        return UNWRITTEN if error.message in ("", exercise) else UNWRITTEN_BELOW.format(error.message)
    if error.kind == "Unrun":
        return (
            f"Няма „{exercise}“. Изпълнена ли е клетката, която го дефинира, и така ли е написано името? "
            "След рестартиране всички клетки се изпълняват отново, отгоре надолу."
        )
    if error.kind == "Missing":
        return f"„{exercise}“ не е намерено в нито една клетка с код. Името трябва да е точно това."
    if error.kind in ("SyntaxError", "IndentationError"):
        said = f"Клетката не е валиден Python{_place(error)}: {error.message.rstrip('.')}."
        return f"{said} {advice.on_error('SyntaxError', error.message)}".rstrip()
    if error.kind in WEIGHTS:
        return WEIGHTS[error.kind].format(exercise)
    said = f"Кодът ви спря с {error.kind}{_place(error)}: {error.message.rstrip('.')}."
    return f"{said} {advice.on_error(error.kind, error.message)}".rstrip()


def run_check(check: Check, exercise: str, student: Student, seed: int) -> dict[str, Any]:
    """One check's result: ``status``, a ``message`` for the student, and for exceptions where they arose."""
    result: dict[str, Any] = {
        "title": check.title,
        "points": check.points,
        "hidden": check.hidden,
        "hint": check.hint,
        "earned": 0.0,
        "message": "",
    }
    try:
        check.run(student, generator_for(seed, exercise, check.title))
    except WrongForm as failure:  # a hidden check's words could carry its inputs out
        message = WRONG_FORM if check.hidden else str(failure)
        return result | {"status": "failed", "message": message, "hint": ""}
    except Failed as failure:
        return result | {"status": "failed", "message": "" if check.hidden else str(failure)}
    except StudentError as error:
        return result | _error_result(error, exercise, check.hidden)
    except StudentGone as gone:
        return result | {"status": gone.reason, "message": GONE[gone.reason]}
    except Exception as error:  # the check itself is at fault: a person must look
        return result | {
            "status": "broken check",
            "message": "Самата проверка се провали и грешката не е ваша. Кажете на преподавателя.",
            "hint": "",
            "detail": f"{type(error).__name__}: {error}"[:500],
        }
    return result | {"status": "passed", "earned": check.points}


def _error_result(error: StudentError, exercise: str, hidden: bool) -> dict[str, Any]:
    place = {"cell": error.cell, "line": error.line}
    if error.unwritten:
        return {"status": "unwritten", "message": UNWRITTEN if hidden else explain(error, exercise), **place}
    if hidden and not error.loading:
        # Type and message are the student's to choose and could carry the inputs out: say only where it
        # arose.
        return {"status": "error", "message": f"Кодът ви спря с изключение{_place(error)}.", **place}
    status = STATUS.get(error.kind, "error")
    return {"status": status, "message": explain(error, exercise), "hint": "", **place}


def run_exercise(exercise: Exercise, student: Student, seed: int) -> dict[str, Any]:
    """All checks of one exercise, and what they earned."""
    checks = [run_check(check, exercise.name, student, seed) for check in exercise.checks]
    if all(c["status"] in ("unwritten", "missing") for c in checks):
        summary = checks[0]["status"]
    else:
        summary = "passed" if all(c["status"] == "passed" for c in checks) else "partial"
    return {
        "name": exercise.name,
        "title": exercise.title,
        "chapter": exercise.chapter,
        "points": exercise.points,
        "earned": round(sum(c["earned"] for c in checks), 2),
        "status": summary,
        "checks": checks,
    }


def total(exercises: list[dict[str, Any]]) -> float:
    return round(sum(e["earned"] for e in exercises), 2)


def possible(lab: Lab) -> float:
    return sum(e.points for e in lab.exercises.values())
