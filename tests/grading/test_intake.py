"""Submissions in every wrapping: folders, zips, Moodle's download; and what strangers put into archives."""

import json
import os
import pickle
import stat
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmtools.grading import intake, reader
from gmtools.grading.lab import StudentError
from gmtools.grading.reader import notebook_of

FUZZ = int(os.environ.get("GMTOOLS_FUZZ", "300"))  # cases of each test; ``make fuzz``: 10 000

NOTEBOOK = json.dumps(notebook_of(["x = 1"])).encode()


def archive(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, data in members:
            opened.writestr(name, data)
    return path


def problems(found):
    return {s.id: s.problem for s in found}


def test_one_notebook_a_folder_and_a_zip_are_found_alike(tmp_path):
    names = ["b/Мария.ipynb", "Иван 🙂.ipynb", ".ipynb_checkpoints/old.ipynb", "._Мария.ipynb", "notes.txt"]
    folder = tmp_path / "folder"
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(NOTEBOOK)
    assert [s.id for s in intake.find(folder)] == ["b/Мария", "Иван 🙂"]
    assert [s.id for s in intake.find(folder / "Иван 🙂.ipynb")] == ["Иван 🙂"]
    zipped = archive(tmp_path / "all.zip", [(n, NOTEBOOK) for n in names if not n.startswith(".")])
    assert [s.id for s in intake.find(zipped)] == ["b/Мария", "Иван 🙂"]
    assert all(s.read() == NOTEBOOK for s in [*intake.find(folder), *intake.find(zipped)])


def test_a_zip_in_a_folder_is_looked_into(tmp_path):
    archive(tmp_path / "Мария.zip", [("задание/lab.ipynb", NOTEBOOK)])
    assert [s.id for s in intake.find(tmp_path)] == ["Мария/задание/lab"]


@pytest.mark.parametrize("zipped", [False, True])
def test_a_students_zip_without_a_notebook_is_named(tmp_path, zipped):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "Ива.ipynb").write_bytes(NOTEBOOK)
    (folder / "Мария.zip").write_bytes(_zip_of(tmp_path, NOTEBOOK, "lab.py"))
    place = folder
    if zipped:
        place = archive(tmp_path / "all.zip", [(p.name, p.read_bytes()) for p in folder.iterdir()])
    found = intake.find(place)
    assert problems(found) == {"Ива": "", "Мария": intake.NO_NOTEBOOK}
    assert [s.student for s in found] == ["Ива", "Мария"] and found[1].modified


def test_hidden_folders_of_archives_are_passed_over(tmp_path):
    """Jupyter's checkpoints hold an old copy of the work, macOS's folder no work at all."""
    hidden = [".ipynb_checkpoints/x-checkpoint.ipynb", "a/.ipynb_checkpoints/x.ipynb", "__MACOSX/a/x.ipynb"]
    members = [(name, NOTEBOOK) for name in ("x.ipynb", "a/.y.ipynb", *hidden)]
    whole = archive(tmp_path / "x.zip", members)
    assert [s.id for s in intake.find(whole)] == ["a/.y", "x"]
    assert [s.id for s in intake.find(tmp_path)] == ["x", "x/a/.y"]
    (tmp_path / "download").mkdir()
    names = {"Ива_1": whole.read_bytes(), "Ян_2": _zip_of(tmp_path, NOTEBOOK, hidden[0])}
    folder = "{}_assignsubmission_file_/x.zip"
    found = intake.find(
        archive(tmp_path / "download" / "all.zip", [(folder.format(n), d) for n, d in names.items()])
    )
    assert problems(found) == {"Ива_1/x": "", "Ива_1/x/a/.y": "", "Ян_2": intake.NO_NOTEBOOK}


@pytest.mark.parametrize("zipped", [False, True])
def test_moodles_download(tmp_path, zipped):
    names = {
        "Иван Петров_12345_assignsubmission_file_/lab.ipynb": NOTEBOOK,
        "Иван Петров_12345_assignsubmission_file_/lab (1).ipynb": NOTEBOOK,
        "Мария Стоянова-Ив_777_assignsubmission_file_/report.pdf": b"%PDF",
        "O'Neil_van_8_assignsubmission_file_/x.IPYNB": NOTEBOOK,
    }
    if zipped:
        place = archive(tmp_path / "download.zip", names.items())
    else:
        place = tmp_path
        (tmp_path / "Празен_9_assignsubmission_file_").mkdir()
        for name, data in names.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(data)
    found = intake.find(place)
    owners = {s.id: s.student for s in found}
    expected = {
        "Иван Петров_12345/lab": "Иван Петров_12345",
        "Иван Петров_12345/lab (1)": "Иван Петров_12345",
        "Мария Стоянова-Ив_777": "Мария Стоянова-Ив_777",
        "O'Neil_van_8/x": "O'Neil_van_8",
    }
    assert owners == expected | ({} if zipped else {"Празен_9": "Празен_9"})
    assert all(s.moodle for s in found)
    assert problems(found)["Мария Стоянова-Ив_777"] == intake.NO_NOTEBOOK


@pytest.mark.parametrize("zipped", [False, True])
def test_moodles_download_without_folders(tmp_path, zipped):
    """Nobody's zip can name another as its owner."""
    forged = _zip_of(tmp_path, NOTEBOOK, "Мария_7_assignsubmission_file_/lab.ipynb")
    names = {
        "Иван Петров_12345_assignsubmission_file_lab.ipynb": NOTEBOOK,
        "Мария_7_assignsubmission_file_report.pdf": b"%PDF",
        "Ян_8_assignsubmission_file_lab.zip": forged,
    }
    place = tmp_path / "download"
    place.mkdir()
    for name, data in names.items():
        (place / name).write_bytes(data)
    found = intake.find(archive(tmp_path / "all.zip", names.items()) if zipped else place)
    owners = {(s.student, s.problem) for s in found}
    assert owners == {("Иван Петров_12345", ""), ("Мария_7", intake.NO_NOTEBOOK), ("Ян_8", "")}
    assert found[0].id == "Иван Петров_12345/lab" and all(s.moodle for s in found)


def test_students_zips_in_moodles_download(tmp_path):
    """Labs with trained weights are handed in as zips, and Moodle packs those into one more."""
    pickled = b"weights"
    handed = archive(tmp_path / "lab.zip", [("lab.ipynb", NOTEBOOK), ("lab.vae.safetensors", pickled)])
    deep = archive(tmp_path / "deep.zip", [("lab.zip", handed.read_bytes())])
    bomb = archive(tmp_path / "bomb.zip", [("../evil.ipynb", NOTEBOOK)])
    folder = "{}_assignsubmission_file_/lab.zip"
    names = {
        "Ива_1": handed.read_bytes(),
        "Лъч_2": b"PK no",
        "Мая_3": deep.read_bytes(),
        "Ян_4": bomb.read_bytes(),
    }
    found = intake.find(
        archive(tmp_path / "all.zip", [(folder.format(n), data) for n, data in names.items()])
    )
    assert problems(found) == {
        "Ива_1/lab": "",
        "Лъч_2/lab": intake.BAD_ZIP,
        "Мая_3": intake.NO_NOTEBOOK,
        "Ян_4/lab/../evil": intake.OUTSIDE,
    }
    assert [s.student for s in found] == list(names)
    whole = found[0]
    assert whole.read() == NOTEBOOK and whole._beside("vae") == pickled and whole._beside("gan") is None
    without = archive(tmp_path / "other.zip", [(folder.format("Ива_1"), _zip_of(tmp_path, NOTEBOOK))])
    assert intake.find(without)[0].digest(["vae"]) != whole.digest(["vae"])
    assert intake.find(without)[0].digest(["gan"]) == whole.digest(["gan"])


def _zip_of(tmp_path, data, name="lab.ipynb"):
    return archive(tmp_path / "one.zip", [(name, data)]).read_bytes()


def test_weights_too_large_cost_their_own_exercise_alone(tmp_path, monkeypatch):
    """Neither the notebook beside them nor a neighbour whose name theirs begins with."""
    monkeypatch.setattr(reader, "MAX_BYTES", 10**4)
    for name in ("ivan", "ivan.evil"):
        (tmp_path / f"{name}.ipynb").write_bytes(NOTEBOOK)
    before = {s.id: s.digest(["vae", "gan"]) for s in intake.find(tmp_path)}
    (tmp_path / "ivan.evil.vae.safetensors").write_bytes(bytes(10**5))
    (tmp_path / "ivan.evil.gan.safetensors").write_bytes(b"weights")
    found = {s.id: s for s in intake.find(tmp_path)}
    assert found["ivan"].digest(["vae", "gan"]) == before["ivan"]
    assert found["ivan.evil"].digest(["vae", "gan"]) != before["ivan.evil"]
    with pytest.raises(StudentError, match="NoWeights"):
        found["ivan.evil"].weights("vae")


def test_a_copy_from_the_browser_is_the_same_students(tmp_path):
    for name in ("1-elbo-10001.ipynb", "1-elbo-10001 (2).ipynb"):
        (tmp_path / name).write_bytes(NOTEBOOK)
    assert {s.student for s in intake.find(tmp_path)} == {"1-elbo-10001"}


@pytest.mark.parametrize(
    "name", ["../../evil.ipynb", "/etc/evil.ipynb", "a/../../evil.ipynb", "C:\\evil.ipynb"]
)
def test_a_name_that_leaves_the_archive_is_refused(tmp_path, name):
    path = archive(tmp_path / "a.zip", [("good.ipynb", NOTEBOOK), (name, NOTEBOOK)])
    found = intake.find(path)
    assert sorted(problems(found).values()) == ["", intake.OUTSIDE]
    assert all("/" not in s.key and not s.key.startswith(".") for s in found)
    assert sorted(os.listdir(tmp_path)) == ["a.zip"]


def test_a_link_in_an_archive_is_refused(tmp_path):
    link = zipfile.ZipInfo("link.ipynb")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    found = intake.find(archive(tmp_path / "a.zip", [(link, "/etc/passwd")]))
    assert problems(found) == {"link": intake.LINK}
    with pytest.raises(reader.Unreadable, match="Символна връзка"):
        found[0].read()


def test_a_link_to_an_archive_is_not_followed(tmp_path):
    target = archive(tmp_path / "hidden.zip", [("a.ipynb", NOTEBOOK)])
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.zip").symlink_to(target)
    assert problems(intake.find(folder)) == {"a": intake.BAD_ZIP}


def test_a_bomb_is_refused_by_its_header(tmp_path, monkeypatch):
    monkeypatch.setattr(reader, "MAX_BYTES", 10**6)
    found = intake.find(archive(tmp_path / "bomb.zip", [("a.ipynb", bytes(10**7)), ("b.ipynb", NOTEBOOK)]))
    assert problems(found) == {"a": reader.TOO_LARGE, "b": ""}


def test_a_bomb_whose_header_lies_is_cut_off(tmp_path, monkeypatch):
    monkeypatch.setattr(reader, "MAX_BYTES", 10**6)
    path = archive(tmp_path / "bomb.zip", [("a.ipynb", bytes(10**7))])
    data = path.read_bytes().replace((10**7).to_bytes(4, "little"), (100).to_bytes(4, "little"))
    path.write_bytes(data)
    found = intake.find(path)
    assert problems(found) == {"a": ""}
    with pytest.raises(reader.Unreadable):
        found[0].read()


def test_too_many_members_and_a_broken_archive_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(intake, "MAX_MEMBERS", 3)
    many = archive(tmp_path / "many.zip", [(f"{i}.ipynb", NOTEBOOK) for i in range(4)])
    assert problems(intake.find(many)) == {"many": intake.TOO_MANY}
    (tmp_path / "broken.zip").write_bytes(b"PK\3\4 not really")
    assert problems(intake.find(tmp_path / "broken.zip")) == {"broken": intake.BAD_ZIP}


def test_names_that_stand_twice_stay_apart(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = archive(tmp_path / "a.zip", [("a.ipynb", b"first"), ("a.ipynb", b"second")])
    found = [pickle.loads(pickle.dumps(s)) for s in intake.find(path)]  # as a process of the pool gets them
    assert [(s.id, s.read()) for s in found] == [("a", b"first"), ("a #2", b"second")]
    with pytest.warns(UserWarning, match="Duplicate name"):
        name = "Ива_1_assignsubmission_file_/a.zip"
        path = archive(tmp_path / "b.zip", [(name, _zip_of(tmp_path, data)) for data in (b"1", b"2")])
    assert [s.read() for s in intake.find(path)] == [b"1", b"2"]


def test_a_number_given_to_a_second_name_is_not_another_name(tmp_path):
    for name in ("a", "a #2"):
        (tmp_path / f"{name}.ipynb").write_bytes(NOTEBOOK)
    archive(tmp_path / "a.zip", [("a.ipynb", NOTEBOOK)])
    assert sorted(s.id for s in intake.find(tmp_path)) == ["a", "a #2", "a #3"]


def test_windows_names_in_cyrillic_are_read(tmp_path):
    """Windows writes the code page's bytes and no flag that says which."""
    path = archive(tmp_path / "a.zip", [("Abcd.ipynb", NOTEBOOK)])
    path.write_bytes(path.read_bytes().replace(b"Abcd", "Иван".encode("cp866")))
    assert [s.id for s in intake.find(path)] == ["Иван"]
    assert intake.find(path)[0].read() == NOTEBOOK


def test_a_member_whose_own_header_holds_no_utf8_is_unreadable(tmp_path):
    path = archive(tmp_path / "a.zip", [("a.ipynb", NOTEBOOK)])
    data = bytearray(path.read_bytes())
    data[7] |= 8  # the header before the member, not the directory, says that the name is UTF-8
    data[30] = 0xFF
    path.write_bytes(data)
    (found,) = intake.find(path)
    with pytest.raises(reader.Unreadable, match="повреден"):
        found.read()


@settings(max_examples=FUZZ, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 400))
def test_any_damage_to_an_archive_gives_notebooks_or_reasons(tmp_path_factory, damage, place):
    path = archive(tmp_path_factory.mktemp("zip") / "a.zip", [("a.ipynb", NOTEBOOK), ("b/c.ipynb", NOTEBOOK)])
    data = bytearray(path.read_bytes())
    data[place : place + len(damage)] = damage
    path.write_bytes(data)
    try:
        found = intake.find(path)
    except FileNotFoundError:
        return
    for submission in found:
        try:
            reader.code_cells(submission.read())
        except reader.Unreadable as reason:
            assert str(reason)
