"""What is written agrees with what is there: generated pages, the files' own rules, and the commands that README names."""
import ast
import re
from pathlib import Path

import pytest

from docs.generate import PAGES
from services.cli import app

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*ROOT.glob("services/**/*.py"), *ROOT.glob("schemas/**/*.py")])


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_as_the_code_makes_it(name: str) -> None:
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == PAGES[name](), "write it anew with `make docs`"


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_file_is_at_most_300_lines_and_begins_with_what_it_is_for(file: Path) -> None:
    text = file.read_text(encoding="utf-8")

    assert text.count("\n") <= 300
    assert ast.get_docstring(ast.parse(text))


def test_every_sql_statement_says_what_it_is_for_or_has_a_name_that_does() -> None:
    names = [name for file in ROOT.glob("services/**/*.sql") for name in re.findall(r"^-- name: *(\S+)", file.read_text(encoding="utf-8"), re.MULTILINE)]

    assert names
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in names)


def test_the_commands_and_targets_that_the_readme_names_exist() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    commands |= {group.name for group in app.registered_groups if group.name}
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))

    assert set(re.findall(r"testamur ([a-z]+)", readme)) <= commands
    assert set(re.findall(r"`make ([a-z]+)", readme)) <= targets


def test_the_links_between_the_documents_lead_somewhere() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {target}" for page in [ROOT / "README.md", ROOT / "CHANGELOG.md", *ROOT.glob("docs/**/*.md")]
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")) if not (page.parent / target).exists()]

    assert broken == []
