"""Write the documents that are made from code: `python -m docs.generate`; with `--check` only say which are out of date, and end with 1."""
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer
from pydantic.fields import FieldInfo

from services.cli import app
from services.core import vocabulary
from services.runtime.settings import Settings

DOCS = Path(__file__).parent
HOME = str(Path.home())


def settings_page() -> str:
    """Return docs/settings.md."""
    lines = [
        "# Settings", "",
        "Made from `services/runtime/settings.py` by `make docs`. Every setting is an environment variable; a flag of a command wins over its variable.", "",
        "| variable | default | what it is |", "|---|---|---|",
    ]
    lines += [f"| `TESTAMUR_{name.upper()}` | {_default(field)} | {_cell(field.description)} |" for name, field in Settings.model_fields.items()]
    return "\n".join(lines) + "\n"


def commands_page() -> str:
    """Return docs/commands.md."""
    root = typer.main.get_command(app)
    lines = ["# Commands", "", "Made from the commands' own help by `make docs`.", "", _help(root)]
    for path, command in _commands("testamur", root):
        lines += ["", f"## {path}", "", _help(command), *_parameters(command)]
    return "\n".join(lines) + "\n"


def vocabulary_page() -> str:
    """Return docs/vocabulary.md."""
    lines = [
        "# Short names", "",
        "Made from `services/core/vocabulary.py` by `make docs`. A rule may name verbs and types so; each name stands for all its IRIs alike,", (
            "with `http://` or `https://` and with or without `www.`. Any other verb or type is named by its IRI, written as it is sent. "
            "Queries of xAPI compare IRIs as they are."),
        *_names("Verbs", vocabulary._VERB_HOMES, vocabulary._VERB_ALIASES),  # noqa: SLF001 - the page is these tables
        *_names("Types of activities", vocabulary._TYPE_HOMES, vocabulary._TYPE_ALIASES),  # noqa: SLF001 - as above
        "", "## Extensions", "", "Of several in one statement the first in the list counts.", "", "| what it says | IRIs |", "|---|---|",
        *(f"| {name} | {_listed(iris)} |" for name, iris in sorted(vocabulary._EXTENSIONS.items())),  # noqa: SLF001 - as above
    ]
    return "\n".join(lines) + "\n"


PAGES = {"settings.md": settings_page, "commands.md": commands_page, "vocabulary.md": vocabulary_page}


def main() -> None:
    """Write the pages, or check them."""
    check, outdated = "--check" in sys.argv[1:], []
    for name, page in PAGES.items():
        file, text = DOCS / name, page()
        if check and (not file.exists() or file.read_text(encoding="utf-8") != text):
            outdated.append(name)
        elif not check:
            file.write_text(text, encoding="utf-8")
    if outdated:
        sys.exit(f"out of date, write them anew with `make docs`: {', '.join(outdated)}")


def _default(field: FieldInfo) -> str:
    if field.default is None:
        return "none"
    return f"`{field.default}`".replace(HOME, "~") if str(field.default) else "empty"


def _names(title: str, homes: Sequence[str], aliases: Mapping[str, str]) -> Iterator[str]:
    """Yield the table of names: by their words, where these mean it under all `homes`, and by the other IRIs."""
    yield from ("", f"## {title}", "", f"A word means it under each of {_listed(homes)}.", "", "| name | words | and |", "|---|---|---|")
    words = {word: short for iri, short in aliases.items() for home in homes if iri.startswith(home) and all(
        aliases.get(each + (word := iri.removeprefix(home))) == short for each in homes)}
    for name in sorted(set(aliases.values())):
        own = [word for word, short in words.items() if short == name]
        others = [iri for iri, short in aliases.items() if short == name and not any(iri == home + word for home in homes for word in own)]
        yield f"| `{name}` | {_listed(own)} | {_listed(others)} |"


def _listed(iris: Iterable[str]) -> str:
    return ", ".join(f"`{iri}`" for iri in iris)


def _cell(text: str | None) -> str:
    return (text or "").replace("|", "\\|")


def _help(command: Any) -> str:
    return " ".join((command.help or "").split())


def _commands(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    for name, each in getattr(command, "commands", {}).items():
        if hasattr(each, "commands"):
            yield from _commands(f"{path} {name}", each)
        else:
            yield f"{path} {name}", each


def _parameters(command: Any) -> list[str]:
    shown = [parameter for parameter in command.params if parameter.name != "help"]
    rows = [f"| `{_call(parameter)}` | {_cell(parameter.help)} |" for parameter in shown]
    return ["", "| argument or option | what it is |", "|---|---|", *rows] if rows else []


def _call(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name.upper())
    return str(parameter.opts[0]) if parameter.is_flag else f"{parameter.opts[0]} {parameter.metavar or parameter.name.upper()}"


if __name__ == "__main__":
    main()
