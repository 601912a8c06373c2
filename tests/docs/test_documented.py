"""Whatever a user can type is documented: commands, options, public names, keys of rote.yaml."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import click
import pytest

import rote
import rote.client
from rote.cli import COMMANDS, rote_command
from rote.wiring.models import Models
from rote.wiring.store import Store

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def section(text: str, title: str, level: str = "##") -> str:
    """The text below a heading, up to the next of the same level."""
    found = re.search(rf"^{level} {re.escape(title)}$(.*?)(?=^{level} |\Z)", text, re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


def commands() -> list[tuple[str, click.Command]]:
    context = click.Context(rote_command)
    found: list[tuple[str, click.Command]] = []
    for name in COMMANDS:
        command = rote_command.get_command(context, name)
        assert command is not None
        found.append((name, command))
        if isinstance(command, click.Group):
            found += [(f"{name} {sub}", c) for sub, c in command.commands.items()]
    return found


@pytest.mark.parametrize(("name", "command"), commands(), ids=lambda x: x if isinstance(x, str) else "")
def test_command_and_its_options_are_in_the_docs(name: str, command: click.Command) -> None:
    text = section((DOCS / "cli.md").read_text(), f"rote {name}")
    assert text.strip(), f"docs/cli.md has no section '## rote {name}'"
    for param in command.params:
        for option in param.opts:
            if option.startswith("--") and option != "--help":
                assert f"`{option}" in text, f"docs/cli.md, rote {name}: {option} is not described"
    assert command.help, f"rote {name} has no help"


def test_global_options_are_in_the_docs() -> None:
    text = section((DOCS / "cli.md").read_text(), "Every command")
    for param in rote_command.params:
        for option in param.opts:
            if option.startswith("--"):
                assert f"`{option}" in text, option


def test_no_section_describes_a_command_that_is_not_there() -> None:
    described = re.findall(r"^## rote (.+)$", (DOCS / "cli.md").read_text(), re.MULTILINE)
    assert sorted(described) == sorted(name for name, _ in commands())


def public_names() -> list[tuple[str, object]]:
    found = [(f"rote.{name}", getattr(rote, name)) for name in rote.__all__]
    for owner in (rote.Project, Models, Store, rote.client.Model):
        for name, thing in vars(owner).items():
            if not name.startswith("_") and (callable(thing) or isinstance(thing, property | classmethod)):
                found.append((f"{owner.__name__}.{name}", thing))
    return found


@pytest.mark.parametrize(("name", "thing"), public_names(), ids=lambda x: x if isinstance(x, str) else "")
def test_public_name_is_in_the_docs(name: str, thing: object) -> None:
    text = (DOCS / "python.md").read_text()
    short = name.rpartition(".")[2]
    assert re.search(rf"`[^`\n]*\b{re.escape(short)}\b", text), f"docs/python.md does not mention {name}"
    target = thing.fget if isinstance(thing, property) else thing
    if not isinstance(thing, str):
        assert inspect.getdoc(target), f"{name} has no docstring"


def test_links_in_the_docs_lead_somewhere() -> None:
    for page in [
        *DOCS.rglob("*.md"),
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *(ROOT / "changelog").glob("*.md"),
    ]:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
            if not target.startswith(("http:", "https:", "mailto:")):
                assert (page.parent / target).exists(), f"{page}: {target}"


def test_decisions_are_numbered_without_gaps() -> None:
    numbers = sorted(int(p.name[:3]) for p in (DOCS / "decisions").glob("*.md"))
    assert numbers == list(range(1, len(numbers) + 1))


def test_each_change_has_a_number_of_its_own() -> None:
    numbers = [p.name[:5] for p in (ROOT / "changelog").glob("[0-9]*.md")]
    assert len(set(numbers)) == len(numbers) > 0
    assert all(re.fullmatch(r"\d{4}-", n) for n in numbers)


def test_every_error_class_is_in_the_tree() -> None:
    from rote import errors

    classes = {n for n, c in vars(errors).items() if inspect.isclass(c) and issubclass(c, errors.RoteError)}
    assert errors.__doc__ is not None
    assert classes == set(re.findall(r"^[│├└─ ]*([A-Z]\w+)  ", errors.__doc__, re.MULTILINE))
