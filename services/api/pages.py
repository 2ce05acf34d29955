"""What all pages for people have in common: templates in which everything is escaped, one style written into each page, no script, nothing fetched."""
import base64
import hashlib
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_COMMON = Path(__file__).with_name("templates") / "page.css"


def templates(folder: Path) -> Environment:
    """Return the templates of a folder. Nothing that a template names may be missing."""
    return Environment(loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def style(own: Path) -> str:
    """Return the style of a page: the common one, then its own."""
    return _COMMON.read_text(encoding="utf-8") + own.read_text(encoding="utf-8")


def policy(styled: str) -> str:
    """Return the Content-Security-Policy under which a page may have this style, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(styled.encode()).digest()).decode()
    return "; ".join(("default-src 'none'", f"style-src 'sha256-{digest}'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"))
