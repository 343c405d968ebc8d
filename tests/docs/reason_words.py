"""Every reason word that the code can say, found in its syntax trees."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from batchcredit.reader import PROBLEMS
from batchcredit.settings.keys import LimitKeys

_WORD = re.compile(r"[a-z]+(?:_[a-z]+)*")
_IN_SQL = re.compile(r"\breason = '([a-z_]+)'")

#: Calls that take a reason without naming it: function -> position of the argument.
_PLACES = {
    "NotClaimed": 0,
    "Refusal": 0,
    "Outcome": 1,
    "Halt": 0,
    "_doubt": 0,
    "_halt": 0,
    "refused": 2,
    "WorkbookFaultError": 1,
    "_refused": 2,
    "_twins_refused": 2,
    "end_run": 2,
}

#: Tables, and functions that do nothing but choose a reason.
_TABLES = ("_LANE_CODES", "_LANE_STATUSES", "_REASONS")
_CHOOSING = (("clicksend.py", "_lane_refusal"), ("sending.py", "run"), ("crew.py", "left"))


def reason_words(package: Path) -> set[str]:
    """All words that the modules below `package` give as a reason."""
    words = set(PROBLEMS)
    for module in package.rglob("*.py"):
        tree = ast.parse(module.read_text())
        for node in ast.walk(tree):
            words.update(_said_by(node, module.name))
    return words


def literals(package: Path) -> str:
    """All text that stands in string literals of the code, a line each."""
    found = (
        node.value
        for module in package.rglob("*.py")
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    return "\n".join(found)


def _said_by(node: ast.AST, module: str) -> Iterator[str]:
    match node:
        case ast.Call():
            yield from _in_call(node)
        case ast.Assign(targets=[ast.Name(id="reason" | "word")], value=value):
            yield from _words(value)
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Dict(values=values)) if name in _TABLES:
            for value in values:
                yield from _words(value)
        case ast.Tuple(elts=[ast.Attribute(value=ast.Name(id="Ruling")), reason]):
            yield from _words(reason)
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            yield from _defaults(node)
            if (module, name) in _CHOOSING:
                yield from _returned(node)
        case ast.Constant(value=str(text)):
            yield from _IN_SQL.findall(text)


def _in_call(call: ast.Call) -> Iterator[str]:
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    for keyword in call.keywords:
        if keyword.arg == "reason" or (name == "Exchange" and keyword.arg == "problem"):
            yield from _words(keyword.value)
    if name in _PLACES and len(call.args) > _PLACES[name]:
        yield from _words(call.args[_PLACES[name]])
    if name == "_change":  # a bound value of an SQL statement
        for value in call.args[1:]:
            yield from _words(value) if isinstance(value, ast.Constant) else ()


def _defaults(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    arguments = function.args
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        if argument.arg == "reason" and default is not None:
            yield from _words(default)


def _returned(function: ast.AST) -> Iterator[str]:
    for node in ast.walk(function):
        if isinstance(node, ast.Return) and node.value is not None:
            yield from _words(node.value)


def _words(value: ast.expr) -> Iterator[str]:
    """The words that an expression can be: a literal, either side of a choice, a limit's name."""
    match value:
        case ast.Constant(value=str(text)):
            yield from [text] if _WORD.fullmatch(text) else []
        case ast.IfExp(body=body, orelse=orelse):
            yield from _words(body)
            yield from _words(orelse)
        case ast.JoinedStr(values=[ast.Constant(value="limit_"), _]):
            yield from (f"limit_{name}" for name in LimitKeys.model_fields)
