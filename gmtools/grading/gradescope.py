"""Gradescope: the zip to upload, and in its container ``python -m gmtools.grading.gradescope``, which grades
the one submission there and writes ``results.json``."""

import argparse
import json
import secrets
import traceback
import zipfile
from pathlib import Path
from typing import Any

import gmtools
from gmtools.grading import batch, intake
from gmtools.grading.lab import solutions_folder
from gmtools.grading.sandbox import TIERS, NoSandbox, choose_tier

SETUP = """#!/usr/bin/env bash
set -e
apt-get update && apt-get install -y bubblewrap python3-venv
python3 -m venv /autograder/venv
/autograder/venv/bin/pip install '/autograder/source[grading]'
"""
RUN = """#!/usr/bin/env bash
cd /autograder/source
/autograder/venv/bin/python -m gmtools.grading.gradescope labs/{lab} /autograder/submission \\
  /autograder/results/results.json{tier}
"""


def _output(check: dict[str, Any]) -> str:
    hint = f"Насока: {check['hint']}" if check["hint"] else ""
    return "" if check["status"] == "passed" else "\n".join(filter(None, (check["message"], hint)))


def results_json(result: dict[str, Any]) -> dict[str, Any]:
    """A result in Gradescope's form: one test a check, texts only, as on the student's page."""
    tests = [
        {
            "name": f"{exercise['name']}: {check['title']}",
            "score": check["earned"],
            "max_score": check["points"],
            "output": _output(check),
            "output_format": "text",
            "visibility": "visible",
        }
        for exercise in result["exercises"]
        for check in exercise["checks"]
    ]
    said = "\n".join(filter(None, (result["reason"], f"Условия: {TIERS[result['tier']]}.")))
    return {"score": result["earned"], "output": said, "output_format": "text", "tests": tests}


def export(folder: Path, out: Path | None = None, tier: str | None = None) -> Path:
    """Write the uploader zip: the library, the lab, its hidden checks, and the two scripts.

    Whether bubblewrap works in the container is up to its host. Where it does not, every submission gets the
    named reason instead of a mark, unless ``tier="plain"`` was chosen here.
    """
    folder = Path(folder).resolve()
    package, out = Path(gmtools.__file__).parent, out or Path(f"gradescope-{folder.name}.zip")
    trees = [(folder, f"labs/{folder.name}"), (solutions_folder(folder), f"solutions/{folder.name}")]
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for tree, name in [*trees, (package, "gmtools")]:
            for path in sorted(tree.rglob("*")):
                if path.is_file() and "__pycache__" not in path.parts:
                    archive.write(path, f"{name}/{path.relative_to(tree).as_posix()}")
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            archive.write(package.parent / name, name)
        options = f" --tier {tier}" if tier else ""
        for name, text in (
            ("setup.sh", SETUP),
            ("run_autograder", RUN.format(lab=folder.name, tier=options)),
        ):
            script = zipfile.ZipInfo(name)
            script.external_attr = 0o100755 << 16
            archive.writestr(script, text)
    return out


def _not_graded(why: str) -> dict[str, Any]:
    return {"score": 0, "output": f"Работата не е оценена: {why}", "output_format": "text", "tests": []}


def _grade(lab: Path, folder: Path, tier: str | None) -> dict[str, Any]:
    try:
        run = batch.Run(str(lab.resolve()), secrets.randbelow(2**31), choose_tier(tier))
        found = [batch.grade_one(run, submission) for submission in intake.find(folder)]
        return results_json(max(found, key=lambda r: r["earned"]))
    except (FileNotFoundError, NoSandbox) as error:
        return _not_graded(str(error))
    except Exception:
        traceback.print_exc()  # there, for the lecturer alone: it may quote a hidden check
        return _not_graded("грешка в оценителя. Обърнете се към преподавателя.")


def main(arguments: list[str] | None = None) -> None:
    """Grade the submission's folder; of several notebooks the best counts."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("lab", type=Path)
    parser.add_argument("submission", type=Path)
    parser.add_argument("results", type=Path)
    parser.add_argument("--tier")
    options = parser.parse_args(arguments)
    result = _grade(options.lab, options.submission, options.tier)
    batch.write_atomically(options.results, json.dumps(result, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
