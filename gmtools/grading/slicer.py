"""Keep of a notebook what one exercise needs: its definition, and whatever that depends on.

Cells are parsed one by one, so a broken cell costs itself alone. Of the top-level statements we keep those
that bind or change a name the exercise reads, directly or through another kept statement, in the notebook's
order: the last definition wins, as it does in a kernel, and training loops that define nothing needed never
run.
This module runs inside the sandbox, since parsing hostile text is itself a risk.
"""

import __future__

import ast
import builtins
import dis
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from operator import or_
from types import CodeType

TIMED = re.compile(r"^(\s*(?:[\w., ]+=\s*)?)%time\s+(?=\S)")  # runs the rest, which may bind a name
ASSIGNED_MAGIC = re.compile(r"^(\s*[\w., ]+=\s*)[%!].*$")
MAGIC = re.compile(r"^(\s*)(?:[%!?].*|[\w.]+\?{1,2}\s*)$")
MARK = re.compile(r"[%!?]")  # a line without one is no magic
MOST_MAGICS = 100  # in one cell, looked at one by one
KEPT_CELL_MAGICS = ("%%time", "%%timeit", "%%capture", "%%prun")
LOAD_NAME, LOAD_GLOBAL, STORE_NAME, STORE_GLOBAL, EXTENDED_ARG = (
    dis.opmap[name] for name in ("LOAD_NAME", "LOAD_GLOBAL", "STORE_NAME", "STORE_GLOBAL", "EXTENDED_ARG")
)
READS = {LOAD_NAME, LOAD_GLOBAL, dis.opmap.get("LOAD_FROM_DICT_OR_GLOBALS", LOAD_NAME)}
NAMED = {*READS, STORE_NAME, STORE_GLOBAL}
BUILTINS = frozenset(dir(builtins))
BLOCKS = ast.stmt | ast.excepthandler | ast.match_case
LATER = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
# Methods that change what they are called on. Not ``step``, ``backward`` or ``fit``: training does not run.
CHANGING = {
    *("append", "appendleft", "extend", "extendleft", "insert", "add", "update", "setdefault"),
    *("pop", "popleft", "popitem", "remove", "discard", "clear", "sort", "reverse"),
    *("fill_", "zero_", "copy_", "add_", "sub_", "mul_", "div_"),
}


@dataclass(frozen=True, eq=False)
class Statement:
    """A top-level statement: where it stands, its code, the names it binds and the names it reads.

    ``binds`` includes names whose parts it assigns; ``calls`` are names on which it calls a method that
    changes them, unless they are modules: ``imports`` are the names that it imports.
    """

    cell: int
    code: CodeType
    binds: frozenset[str]
    reads: frozenset[str]
    calls: frozenset[str]
    imports: frozenset[str]
    star: bool  # from module import *


@dataclass(frozen=True)
class BrokenCell:
    """A cell that is not Python: its number (from 1), the line and what the parser said."""

    cell: int
    line: int | None
    message: str
    text: str


def _without_magic(line: str) -> str:
    return MAGIC.sub(r"\1pass", ASSIGNED_MAGIC.sub(r"\1None", TIMED.sub(r"\1", line)))


def _refused_line(source: str) -> int | None:
    """The line (from 0) that keeps the source from being Python."""
    try:
        ast.parse(source)
    except SyntaxError as error:
        return None if error.lineno is None else error.lineno - 1
    except (ValueError, RecursionError, MemoryError):
        pass
    return None


def without_magics(source: str) -> str:
    """Cell source with IPython's magics replaced by statements that do nothing, line numbers kept.

    A line that looks like a magic but is Python where it stands, such as the continuation
    ``% (a, b)`` of a longer expression, stays: only lines that the parser refuses are replaced.

    >>> without_magics("try:\\n    import a\\nexcept ImportError:\\n    %pip install a")
    'try:\\n    import a\\nexcept ImportError:\\n    pass'
    """
    head, _, rest = source.lstrip().partition("\n")
    if head.startswith("%%"):
        source = "\n" + rest if head.split()[0] in KEPT_CELL_MAGICS else ""
    lines = source.split("\n")
    plain = {number: _without_magic(line) for number, line in enumerate(lines) if MARK.search(line)}
    magics = {number for number in plain if plain[number] != lines[number]}
    if len(magics) > MOST_MAGICS:
        return "\n".join(plain.get(number, line) for number, line in enumerate(lines))
    while magics and (number := _refused_line("\n".join(lines))) in magics:
        magics.remove(number)
        lines[number] = plain[number]
    return "\n".join(lines)


def cell_name(cell: int) -> str:
    """The file name that code of this cell (from 1) is compiled under."""
    return f"<cell {cell}>"


def _future(node: ast.stmt) -> int:
    """The compiler flags of a ``from __future__ import``, which hold for all that follows, as in a kernel."""
    if not isinstance(node, ast.ImportFrom) or node.module != "__future__":
        return 0
    return reduce(or_, (getattr(getattr(__future__, a.name, None), "compiler_flag", 0) for a in node.names))


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _named(code: CodeType) -> Iterator[tuple[int, str]]:
    """The operations on global names; ``dis.get_instructions`` takes ten times as long."""
    words, names, high = code.co_code, code.co_names, 0
    for operation, low in zip(words[::2], words[1::2], strict=True):
        argument, high = high | low, 0
        if operation == EXTENDED_ARG:
            high = argument << 8
        elif operation in NAMED:
            # the lowest bit of LOAD_GLOBAL says something else (from Python 3.11)
            yield operation, names[argument >> 1 if operation == LOAD_GLOBAL else argument]


def _executed(node: ast.stmt) -> Iterator[ast.AST]:
    """The statement and all in its blocks; not what a definition keeps for later."""
    rest: list[ast.AST] = [node]
    while rest:
        part = rest.pop()
        if not isinstance(part, LATER):
            yield part
            rest += [child for child in ast.iter_child_nodes(part) if isinstance(child, BLOCKS)]


def _root(node: ast.expr | None) -> str | None:
    """``x`` of ``x.a[0].b``."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def _assigned(part: ast.AST) -> Iterator[ast.expr]:
    """The targets that the statement assigns (or deletes), those of tuples one by one."""
    rest = list(getattr(part, "targets", [getattr(part, "target", None)]))
    while rest:
        target = rest.pop()
        if isinstance(target, ast.Tuple | ast.List):
            rest += target.elts
        elif target is not None:
            yield target.value if isinstance(target, ast.Starred) else target


def _changes(node: ast.stmt) -> tuple[set[str], set[str], set[str]]:
    """Names whose attribute or item is assigned (``Model.forward = f`` changes ``Model``), names on which a
    changing method is called, and names that are imported."""
    parts, calls, imports = set(), set(), set()
    for part in _executed(node):
        parts |= {_root(t) for t in _assigned(part) if isinstance(t, ast.Attribute | ast.Subscript)}
        match part:
            case ast.Expr(ast.Call(ast.Attribute(changed, method))) if method in CHANGING:
                calls.add(_root(changed))
            case ast.Import(names) | ast.ImportFrom(names=names):
                imports |= {alias.asname or alias.name.partition(".")[0] for alias in names}
    return parts - {None}, calls - {None}, imports


def _statement(node: ast.stmt, cell: int, flags: int) -> Statement:
    code = compile(ast.Module([node], []), cell_name(cell), "exec", flags, dont_inherit=True)
    star = ("*",) in code.co_consts
    binds, calls, imports = _changes(node)
    reads = set()
    for part in _codes(code):
        for operation, name in _named(part):
            if operation in READS:
                reads.add(name)
            elif operation == STORE_GLOBAL or part is code:
                binds.add(name)
    return Statement(cell, code, *map(frozenset, (binds, reads, calls, imports)), star)


def statements(cells: list[str]) -> tuple[list[Statement], list[BrokenCell]]:
    """Every top-level statement of the cells that parse, and the cells that do not."""
    found: list[Statement] = []
    broken: list[BrokenCell] = []
    flags = 0
    for number, source in enumerate(cells, start=1):
        try:
            nodes = ast.parse(without_magics(source)).body
            flags = reduce(or_, map(_future, nodes), flags)
            found += [_statement(node, number, flags) for node in nodes]
        except SyntaxError as error:
            broken.append(BrokenCell(number, error.lineno, error.msg, source))
        except (ValueError, RecursionError, MemoryError) as error:
            broken.append(BrokenCell(number, None, type(error).__name__, source))
    return found, broken


def needed(found: list[Statement], name: str) -> list[Statement]:
    """The statements that ``name`` depends on, in the notebook's order; empty if nothing binds it."""
    wanted, seen, keep = {name}, set(), set()
    imported = {name for s in found for name in s.imports}
    if not any(name in s.binds for s in found):
        return []
    while wanted:
        current = wanted.pop()
        seen.add(current)
        for index, statement in enumerate(found):
            called = current in statement.calls and current not in imported
            if (called or current in statement.binds) and index not in keep:
                keep.add(index)
                wanted |= statement.reads - seen
    bound = set().union(*(found[i].binds for i in keep))
    if seen - bound - BUILTINS:  # something may come from a star import
        keep |= {i for i, s in enumerate(found) if s.star}
    return [found[i] for i in sorted(keep)]
