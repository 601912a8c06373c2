"""Functions marked `@rote.stage` in a Python file -> the mapping that a rote.yaml would hold for them.

The file is parsed and never run: a plan must not import a framework, and asking what there is must not do anything.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any, Final

from rote.wiring.config.nodes import Node
from rote.wiring.config.refusal import refused, unknown
from rote.words.ids import shown
from rote.words.pipeline import At

_SECTION: Final = {
    "Dep": "deps",
    "Out": "outs",
    "Metrics": "metrics",
    "Plots": "plots",
    "Param": "params",
    "Model": "deps",
    "Previous": "deps",
}
_WORDS: Final = (*_SECTION, "stage")


def read(text: str, file: str) -> Node:
    """`{stages: {NAME: …}}` of a Python file, with the line of everything. Raises ConfigError."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError) as e:
        line = getattr(e, "lineno", None) or 1
        raise refused(At(file, line), f"this is not Python: {getattr(e, 'msg', e)}") from e
    reader = _Reader(file, _names(tree))
    stages = Node({}, 1)
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            found = reader.stage(statement)
            if found is None:
                continue
            if statement.name in stages.value:
                first = stages.lines[statement.name]
                raise refused(
                    At(file, statement.lineno, f"stages.{statement.name}"),
                    f"this is a second stage {statement.name}; the first is in line {first}",
                    "rename one of them",
                )
            stages.value[statement.name] = found
            stages.lines[statement.name] = statement.lineno
    top = Node({"stages": stages}, 1)
    top.lines["stages"] = 1
    return top


def _names(tree: ast.Module) -> dict[str, str]:
    """What the file calls rote's words: `rote.Dep` or, after `from rote import Dep as D`, `D`."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name == "rote":
                    found |= {f"{alias.asname or 'rote'}.{word}": word for word in _WORDS}
        elif isinstance(node, ast.ImportFrom) and node.module == "rote" and not node.level:
            for alias in node.names:
                if alias.name in _WORDS:
                    found[alias.asname or alias.name] = alias.name
    return found


class _Reader:
    """Reads the functions of one file; `names` says what rote's words are called there."""

    def __init__(self, file: str, names: dict[str, str]) -> None:
        self._file = file
        self._names = names

    def stage(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> Node | None:
        """The stage's mapping; None for a function that is none."""
        mark = next((d for d in function.decorator_list if self._word(_called(d)) == "stage"), None)
        if mark is None:
            return None
        name = function.name
        if isinstance(function, ast.AsyncFunctionDef):
            raise refused(
                self._at(function, name),
                "an async function cannot be a stage",
                "write def, and run the loop inside",
            )
        found = Node({}, function.lineno)
        self._put(found, "cmd", _text(f"python -m rote.calling {self._base} {name}", function.lineno))
        self._put(found, "deps", Node([_text(self._base, function.lineno)], function.lineno))
        for key, node in self._options(mark, name):
            if key in ("cmd", "wdir", "foreach", "matrix", "do"):
                raise refused(
                    self._at(mark, name, key),
                    f"a function has no `{key}`",
                    f"write this stage into a rote.yaml, or take `{key}` out",
                )
            self._put(found, key, node)
        for argument, annotation in _annotated(function):
            self._argument(found, name, argument, annotation, function)
        return found

    @property
    def _base(self) -> str:
        return self._file.rpartition("/")[2]

    def _argument(
        self, found: Node, name: str, argument: str, annotation: ast.expr | None, function: ast.FunctionDef
    ) -> None:
        marks = list(self._marks(annotation))
        if not marks:
            if argument == "return" or _has_default(function, argument):
                return
            raise refused(
                self._at(annotation or function, name, argument),
                f"the argument {argument} says neither what it reads nor what it makes",
                f'write {argument}: Annotated[Path, rote.Dep("PATH")], or give it a default',
            )
        if len(marks) > 1:
            raise refused(
                self._at(marks[1], name, argument),
                f"{argument} has two marks; one says what it is",
                "take one out",
            )
        call = marks[0]
        word = self._word(call.func)
        if argument == "return" and word != "Metrics":
            raise refused(
                self._at(call, name, argument),
                f"what a function returns can be its metrics, not {word}",
                'write Annotated[dict, rote.Metrics("metrics.json")], or an argument',
            )
        if len(call.args) != 1 or not isinstance(self._literal(call.args[0], name, argument), str):
            raise refused(self._at(call, name, argument), f"{word} takes one text", f'write rote.{word}("…")')
        path = _text(self._literal(call.args[0], name, argument), call.lineno)
        options = {k.arg or "**": k.value for k in call.keywords}
        if options:
            if word != "Out":
                raise refused(self._at(call, name, argument), f"{word} has no options", None)
            for key, value in options.items():
                if key not in ("cache", "persist"):
                    raise unknown(self._at(value, name, argument), key, ("cache", "persist"), "an out")
            below = Node({}, call.lineno)
            for key, value in options.items():
                self._put(below, key, _node(self._literal(value, name, argument), value.lineno))
            whole = Node({path.value: below}, call.lineno)
            whole.lines[path.value] = call.lineno
            path = whole
        if word == "Model":
            path = _text(f"model:{path.value}", call.lineno)
        elif word == "Previous":
            path = _node({"previous": path.value}, call.lineno)
        key = _SECTION[str(word)]
        if key not in found.value:
            self._put(found, key, Node([], call.lineno))
        if not isinstance(found.value[key].value, list):
            found.value[key] = Node([found.value[key]], found.value[key].line)
        found.value[key].value.append(path)

    def _marks(self, annotation: ast.expr | None) -> Iterator[ast.Call]:
        """The calls of rote's marks in an annotation."""
        if annotation is None:
            return
        if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
            try:
                inner = ast.parse(annotation.value, mode="eval").body
            except SyntaxError:
                return
            for node in ast.walk(inner):
                if isinstance(node, ast.expr):
                    node.lineno = annotation.lineno
            annotation = inner
        for node in ast.walk(annotation):
            if isinstance(node, ast.Call) and self._word(node.func) in _SECTION:
                yield node

    def _options(self, mark: ast.expr, name: str) -> Iterator[tuple[str, Node]]:
        if not isinstance(mark, ast.Call):
            return
        if mark.args:
            raise refused(
                self._at(mark, name), "@rote.stage takes options by name", "write @rote.stage(env=[…])"
            )
        for keyword in mark.keywords:
            if keyword.arg is None:
                raise refused(
                    self._at(keyword.value, name),
                    "the options of @rote.stage are written out, not unpacked",
                    None,
                )
            yield keyword.arg, _node(self._literal(keyword.value, name, keyword.arg), keyword.value.lineno)

    def _literal(self, value: ast.expr, name: str, key: str) -> Any:
        try:
            return ast.literal_eval(value)
        except ValueError as e:
            raise refused(
                self._at(value, name, key),
                f"{shown(ast.unparse(value))} is computed; this file is read without being run",
                "write the value itself",
            ) from e

    def _word(self, node: ast.expr) -> str | None:
        """Which of rote's words an expression names."""
        if isinstance(node, ast.Name):
            return self._names.get(node.id)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            return self._names.get(f"{node.value.id}.{node.attr}")
        return None

    def _put(self, mapping: Node, key: str, node: Node) -> None:
        if key in mapping.value and isinstance(mapping.value[key].value, list):
            node = Node(
                [*mapping.value[key].value, *(node.value if isinstance(node.value, list) else [node])],
                node.line,
            )
        mapping.value[key] = node
        mapping.lines[key] = node.line

    def _at(self, node: ast.AST, name: str, key: str = "") -> At:
        return At(self._file, getattr(node, "lineno", 1), f"stages.{name}.{key}" if key else f"stages.{name}")


def _called(decorator: ast.expr) -> ast.expr:
    return decorator.func if isinstance(decorator, ast.Call) else decorator


def _annotated(function: ast.FunctionDef) -> Iterator[tuple[str, ast.expr | None]]:
    arguments = function.args
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        yield argument.arg, argument.annotation
    yield "return", function.returns


def _has_default(function: ast.FunctionDef, name: str) -> bool:
    arguments = function.args
    plain = [*arguments.posonlyargs, *arguments.args]
    with_default = {a.arg for a in plain[len(plain) - len(arguments.defaults) :]}
    named = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return name in with_default | {a.arg for a, default in named if default is not None}


def _text(text: str, line: int) -> Node:
    return Node(text, line, text=text)


def _node(value: Any, line: int) -> Node:
    """A literal as a value of a file."""
    if isinstance(value, dict):
        node = Node({str(key): _node(below, line) for key, below in value.items()}, line)
        node.lines = dict.fromkeys(node.value, line)
        return node
    if isinstance(value, list | tuple):
        return Node([_node(each, line) for each in value], line)
    if isinstance(value, str | int | float | bool) or value is None:
        return Node(value, line, text=str(value))
    return _text(repr(value), line)
