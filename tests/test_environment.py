"""environment.yml installs what pyproject.toml asks for: nothing more, nothing less, nothing older."""

import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
EXTRAS = ("grading", "book", "test")  # bench holds the peers that only timings need
CONDA = {"pytorch-cpu": "torch"}  # conda-forge's name for the build without GPU libraries


def wanted() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))["project"]
    extras = [requirement for extra in EXTRAS for requirement in project["optional-dependencies"][extra]]
    return {f"python{project['requires-python']}", *project["dependencies"], *extras}


def listed() -> set[str]:
    packages = yaml.safe_load((ROOT / "environment.yml").read_text("utf8"))["dependencies"]
    conda = {package for package in packages if isinstance(package, str) and package != "pip"}
    for theirs, ours in CONDA.items():
        conda = {package.replace(theirs, ours) for package in conda}
    pip = next(package["pip"] for package in packages if isinstance(package, dict))
    return conda | set(pip) - {"-e ."}


def test_environment_equals_pyproject():
    assert listed() == wanted()
