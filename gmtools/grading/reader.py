"""Read the code of a notebook that nobody has looked at, in whatever form it arrives.

Only the text of code cells is used: metadata, outputs, ids and format numbers are ignored, so a notebook
stripped by Colab, saved in format 3, or written with a byte-order mark or in Latin-1 is read like any other.
"""

import hashlib
import json
import lzma
import os
import re
import stat
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

MAX_BYTES = 128 * 2**20
MAX_CODE = 2 * 2**20
MAX_VALUES = 2_000_000  # lists and dictionaries: each takes some 250 bytes of memory, for two in the file


TOO_LARGE = f"Файлът е по-голям от {MAX_BYTES // 2**20} MB; изчистете изходите на клетките."
DAMAGED = (  # what zipfile raises for archives that are damaged or use what it cannot read
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, RuntimeError, KeyError, ValueError
)  # fmt: skip


class Unreadable(Exception):
    """Why a file could not be read as a notebook, in Bulgarian, for the report."""


def read_bytes(path: Path) -> bytes:
    """The bytes of a regular file; symbolic links and other special files are refused."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        raise Unreadable("Файлът не може да се отвори (символна връзка или липсват права).") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise Unreadable("Това не е обикновен файл.")
        if status.st_size > MAX_BYTES:
            raise Unreadable(TOO_LARGE)
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(MAX_BYTES)
    finally:
        os.close(descriptor)


def read_member(archive: str | BinaryIO, name: str | zipfile.ZipInfo) -> bytes:
    """The bytes of a member of a zip: never more than a notebook has, whatever its header promises."""
    try:
        with zipfile.ZipFile(archive) as opened, opened.open(name) as file:
            data = file.read(MAX_BYTES + 1)
    except DAMAGED:
        raise Unreadable("Файлът в архива е повреден.") from None
    if len(data) > MAX_BYTES:
        raise Unreadable(TOO_LARGE)
    return data


def _text(data: bytes) -> str:
    for encoding in ("utf-8-sig", "utf-16") if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig",):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1")


def _source(cell: dict[str, Any]) -> str:
    text = cell.get("source", cell.get("input", ""))  # "input" in format 3
    if isinstance(text, list):
        text = "".join(part for part in text if isinstance(part, str))
    if not isinstance(text, str):
        return ""
    return text.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate becomes "?"


def _cells(notebook: Any) -> list[Any]:
    if not isinstance(notebook, dict):
        return []
    sheets = notebook.get("worksheets")  # format 3 and older
    holders = [notebook, *(sheets if isinstance(sheets, list) else [])]
    lists = [h.get("cells") for h in holders if isinstance(h, dict)]
    return [cell for cells in lists if isinstance(cells, list) for cell in cells]


def code_cells(data: bytes) -> list[str]:
    """The source of every code cell, in order; an empty cell keeps its place so that numbers agree.

    >>> code_cells(b'{"cells": [{"cell_type": "code", "source": ["x = 1"]}, {"cell_type": "markdown"}]}')
    ['x = 1']
    """
    if data.count(b"{") + data.count(b"[") > MAX_VALUES:
        raise Unreadable("Тетрадката е твърде сложна (милиони списъци); изчистете изходите на клетките.")
    try:
        notebook = json.loads(_text(data))
    except (ValueError, RecursionError):
        raise Unreadable("Файлът не е тетрадка на Jupyter (не е валиден JSON).") from None
    cells = [c for c in _cells(notebook) if isinstance(c, dict) and c.get("cell_type") == "code"]
    if not cells:
        raise Unreadable("В тетрадката няма клетки с код.")
    sources = [_source(cell) for cell in cells]
    if sum(map(len, sources)) > MAX_CODE:
        raise Unreadable(f"Кодът в тетрадката е над {MAX_CODE // 2**20} MB.")
    return sources


def notebook_of(cells: list[str]) -> dict[str, Any]:
    """A notebook (format 4.5) of these code cells."""
    return {
        "cells": [
            {
                "cell_type": "code",
                "id": f"cell-{i}",
                "metadata": {},
                "execution_count": None,
                "outputs": [],
                "source": s,
            }
            for i, s in enumerate(cells)
        ],
        "metadata": {"language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def printable(name: str) -> str:
    """A file's name as it can be written in UTF-8, without control characters."""
    text = name.encode("utf-8", "replace").decode("utf-8")
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def file_key(name: str) -> str:
    """A file name of letters, digits, dots and dashes that no other ``name`` has: what is not such a name
    (or could be another's) gets a digest, so that nobody can name a file after another's."""
    safe = re.sub(r"[^\w.-]+", "_", name).strip("._").encode()[:150].decode(errors="ignore")
    if safe and safe == name and not re.search(r"-[0-9a-f]{16}$", name):
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{safe}-{digest}"
