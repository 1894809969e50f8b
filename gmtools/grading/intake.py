"""Find the submissions in what the lecturer has: a notebook, a folder, a zip, a download from Moodle.

Nothing is ever unpacked to disk: a member of an archive is read in place, up to the size of a notebook, so
neither its name nor what it inflates to can reach a file of ours.
"""

import hashlib
import io
import os
import re
import stat
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from torch import Tensor

from gmtools.grading import handed_in, reader

MAX_MEMBERS = 50_000
MOODLE = re.compile(r"(?P<student>.+?_\d+)_assignsubmission_(?:file|onlinetext)_?")
COPY = re.compile(r"\s*\(\d+\)$")  # what browsers and file managers append to a second file
HIDDEN = re.compile(r"(^|/)(?:__MACOSX|\.(?!\.?/)[^/]*)/.*", re.DOTALL)  # Jupyter's checkpoints are no work
LINK = "Символна връзка в архив не се чете."
OUTSIDE = "Името в архива излиза от папката му."
ENCRYPTED = "Архивът е с парола."
BAD_ZIP = "Архивът не може да се отвори."
TOO_MANY = f"Архивът съдържа повече от {MAX_MEMBERS} файла."
NO_NOTEBOOK = "Няма предадена тетрадка (.ipynb)."


@dataclass(frozen=True)
class Submission:
    """One notebook to grade, or why there is none.

    ``id`` is its path within the folder or archive, without the ending; ``member`` what it is within the zip
    ``path``, or there the zip in which it is ``inner``; ``student`` whose it is;
    ``modified`` when it was handed in (seconds since 1970).
    """

    id: str
    path: str
    member: zipfile.ZipInfo | None = None  # not its name: an archive may hold one twice
    inner: zipfile.ZipInfo | None = None
    student: str = ""
    modified: float = 0.0
    problem: str = ""
    moodle: bool = False

    @property
    def key(self) -> str:
        """A file name of letters, digits, dots and dashes that is this submission's alone."""
        return reader.file_key(self.id)

    def weights(self, exercise: str) -> dict[str, Tensor]:
        """The weights handed in beside the notebook; raises ``StudentError`` if there are none to read."""
        return handed_in.from_bytes(self._beside(exercise), exercise)

    def _beside(self, exercise: str) -> bytes | None:
        try:
            return self._load(handed_in.weights_name(self._name, exercise))
        except reader.Unreadable:
            return None

    def digest(self, exercises: Iterable[str]) -> str:
        """A fingerprint of what was handed in: the notebook, and the weights of these exercises.

        Weights that cannot be read are as if there were none: they cost their own exercise alone.
        """
        digest = hashlib.sha256(self.read())
        for exercise in exercises:
            weights = self._beside(exercise)
            digest.update(b"-" if weights is None else hashlib.sha256(weights).digest())
        return digest.hexdigest()

    def read(self) -> bytes:
        """The notebook's bytes; raises ``Unreadable``."""
        if self.problem:
            raise reader.Unreadable(self.problem)
        return self._load(self.inner or self.member or self.path)

    @property
    def _name(self) -> str:
        place = self.inner or self.member
        return place.filename if place else self.path

    def _archive(self) -> str | io.BytesIO:
        return io.BytesIO(reader.read_member(self.path, self.member)) if self.inner else self.path

    def _load(self, file: str | zipfile.ZipInfo) -> bytes:
        """A file of the folder or archive that holds the notebook."""
        return reader.read_member(self._archive(), file) if self.member else reader.read_bytes(Path(file))


def _is_notebook(name: str) -> bool:
    return name.lower().endswith(".ipynb") and not name.startswith("._")  # macOS leaves those


def _is_wanted(found: Submission) -> bool:
    """Whether this is a notebook, or the problem of a whole archive, which has a name without an ending."""
    return _is_notebook(found.id.split("/")[-1]) or bool(found.problem and not found.member)


def _name(member: zipfile.ZipInfo) -> str:
    """The member's name; archives made by Windows do not say that it is in UTF-8 or Cyrillic."""
    if member.flag_bits & 0x800:
        return member.filename
    raw = member.filename.encode("cp437", "replace")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp866")


def _problem(member: zipfile.ZipInfo, name: str) -> str:
    if name.startswith("/") or ".." in name.split("/") or ":" in name.split("/")[0]:
        return OUTSIDE
    if stat.S_ISLNK(member.external_attr >> 16):
        return LINK
    if member.flag_bits & 1:
        return ENCRYPTED
    return reader.TOO_LARGE if member.file_size > reader.MAX_BYTES else ""


def _in_zip(path: Path, prefix: str) -> Iterator[Submission]:
    """Every file in an archive."""
    whole = Submission(prefix.rstrip("/") or path.stem, str(path), modified=path.lstat().st_mtime)
    if path.is_symlink():
        yield replace(whole, problem=BAD_ZIP)
    else:
        yield from _members(str(path), whole, prefix)


def _members(archive: str | io.BytesIO, whole: Submission, prefix: str) -> Iterator[Submission]:
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [m for m in opened.infolist() if not m.is_dir()]
    except reader.DAMAGED:
        yield replace(whole, problem=BAD_ZIP)
        return
    if len(members) > MAX_MEMBERS:
        yield replace(whole, problem=TOO_MANY)
        return
    for member in members:
        name = _name(member).replace("\\", "/")
        shown = HIDDEN.sub(r"\1", name)  # the folder that holds the hidden one
        try:
            modified = datetime(*member.date_time).timestamp()
        except ValueError:  # the 0th of month 0
            modified = 0.0
        problem = _problem(member, name)
        yield Submission(prefix + shown, whole.path, member, None, "", modified, problem)


def _in_download(path: Path) -> Iterator[Submission]:
    """Every file in the lecturer's own zip, and in the students' zips there; no deeper."""
    for found in _in_zip(path, ""):
        if found.member and found.id.lower().endswith(".zip"):
            yield from _in_students_zip(found)
        else:
            yield found


def _or_none(found: Iterable[Submission], whole: Submission) -> list[Submission]:
    """The files of a student's zip, and that it is without a notebook if it is."""
    files = list(found)
    anything = any(_is_wanted(s) for s in files)
    return files if anything else [*files, replace(whole, problem=NO_NOTEBOOK)]


def _in_students_zip(found: Submission) -> Iterator[Submission]:
    whole = replace(found, id=found.id[: -len(".zip")], member=None)
    try:
        data = b"" if found.problem else reader.read_member(found.path, found.member)
    except reader.Unreadable as refusal:
        whole = replace(whole, problem=str(refusal))
    if whole.problem:
        yield whole
        return
    for inside in _or_none(_members(io.BytesIO(data), whole, f"{whole.id}/"), whole):
        if inside.member:
            inside = replace(inside, member=found.member, inner=inside.member, modified=found.modified)
        yield _alone(inside)


def _in_folder(path: Path) -> Iterator[Submission]:
    """Every file in a folder and its subfolders (and in the zips there), and its empty folders; links to
    folders and hidden folders, such as Jupyter's checkpoints, are passed over."""
    for folder, folders, files in os.walk(path, followlinks=False):
        folders[:] = [f for f in folders if not f.startswith(".")]
        if not files and not folders and Path(folder) != path:
            yield Submission(f"{Path(folder).relative_to(path).as_posix()}/", folder)
        for name in files:
            place = Path(folder) / name
            relative = place.relative_to(path).as_posix()
            if name.lower().endswith(".zip"):
                handed = place.lstat().st_mtime  # the times inside are the student's to choose
                whole = Submission(relative[:-4], str(place))
                for found in _or_none(_in_zip(place, f"{whole.id}/"), whole):
                    yield _alone(replace(found, modified=handed))
            else:
                yield Submission(relative, str(place), modified=place.lstat().st_mtime)


def _alone(found: Submission) -> Submission:
    """``a.zip`` that holds ``a.ipynb`` is one submission: a."""
    folders, _, name = found.id.rpartition("/")
    own = COPY.sub("", folders.rpartition("/")[2])
    return replace(found, id=f"{folders}.ipynb") if name.lower() == f"{own}.ipynb".lower() else found


def _owned(found: Submission) -> Submission:
    """With the name of the student, with which in Moodle's download the folder's name begins, or the file's
    (without "download in folders")."""
    parts = found.id.split("/")
    for i, part in enumerate(parts):
        if match := MOODLE.match(part):
            student = match["student"]
            rest = [p for p in (part[match.end() :], *parts[i + 1 :]) if p]
            return replace(found, id="/".join([student, *rest]), student=student, moodle=True)
    return found


def _without_ending(found: Submission) -> Submission:
    name = found.id[: -len(".ipynb")] if _is_notebook(found.id) else found.id.rstrip("/")
    return replace(found, id=name, student=found.student or COPY.sub("", name))


def find(path: Path) -> list[Submission]:
    """The submissions in a folder or zip (or the one notebook ``path``), by name.

    A participant of Moodle's without a notebook is a submission with a reason.

    Raises:
        FileNotFoundError: there is no notebook.
    """
    path = Path(path)
    if path.is_file() and path.suffix.lower() != ".zip":
        return [_without_ending(Submission(path.name, str(path), modified=path.stat().st_mtime))]
    everything = [_owned(s) for s in (_in_download(path) if path.is_file() else _in_folder(path))]
    # in Moodle's download it is not each zip that needs a notebook, but each participant
    wanted = [s for s in everything if _is_wanted(s) and not (s.moodle and s.problem == NO_NOTEBOOK)]
    idle = {s.student for s in everything} - {s.student for s in wanted} - {""}
    wanted += [
        Submission(student, str(path), student=student, problem=NO_NOTEBOOK, moodle=True) for student in idle
    ]
    if not wanted:
        raise FileNotFoundError(f"no .ipynb in {path}")
    return _distinct(sorted(map(_without_ending, wanted), key=lambda s: (s.id, s.modified)))


def _distinct(found: list[Submission]) -> list[Submission]:
    """An archive may hold a name twice: the second becomes ``name #2`` (or the next that nobody has)."""
    names = {s.id for s in found}
    taken: dict[str, int] = {}
    distinct = []
    for submission in found:
        number = taken.get(submission.id, 0) + 1
        while number > 1 and f"{submission.id} #{number}" in names:
            number += 1
        taken[submission.id] = number
        distinct.append(replace(submission, id=f"{submission.id} #{number}") if number > 1 else submission)
    return distinct
