"""An explanation as a page for people: one template, everything in it escaped, nothing fetched from anywhere, no script."""
import re
from pathlib import Path
from typing import Any

import orjson
from fastapi import Response

from services.api import pages
from services.api.context import LEARNERS_THROUGH
from services.api.programmes import explain_words
from services.core.rules.tree import Programme
from services.core.timeline import rfc3339

_FOLDER = Path(__file__).with_name("templates")
_STYLE = pages.style(_FOLDER / "explain.css")
_POLICY = pages.policy(_STYLE)
_Q = re.compile(r";\s*q\s*=\s*([01](?:\.[0-9]{0,3})?)\s*(?:;|$)", re.IGNORECASE)


def wants_page(accept: str | None) -> bool:
    """Return whether an Accept header prefers HTML to JSON; equally welcome, JSON is given."""
    asked: dict[str, float] = {}
    for item in (accept or "").split(","):
        kind = item.partition(";")[0].strip().lower()
        found = _Q.search(item)
        asked[kind] = max(asked.get(kind, 0.0), float(found[1]) if found else 1.0)

    def worth(*kinds: str) -> float:
        return next((asked[kind] for kind in kinds if kind in asked), 0.0)

    return worth("text/html", "text/*", "*/*") > worth("application/json", "application/*", "*/*")


def answer(said: dict[str, Any], programme: Programme, learner: dict[str, Any], *, through: int, incomplete: bool) -> Response:
    """Return the page of what was said of a learner (as in lists) and a programme."""
    # what was made for JSON holds fragments of it; a page shows values
    said, learner = orjson.loads(orjson.dumps(said)), orjson.loads(orjson.dumps(learner))
    text = _TEMPLATE.render(
        said=said, programme=programme, learner=learner, incomplete=incomplete, style=_STYLE, through=rfc3339(through),
        headline=explain_words.headline(said, programme, said["as_of"] or said["known_at"] or rfc3339(through)), about_rule=explain_words.about_rule(said))
    headers = {
        "Cache-Control": "no-store", "Vary": "Accept", "Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer", LEARNERS_THROUGH: rfc3339(through),
    }
    return Response(text, headers=headers, media_type="text/html")


_PAGES = pages.templates(_FOLDER)
_PAGES.filters.update(
    day=explain_words.day, agent=explain_words.agent, reason=explain_words.reason, entry=explain_words.entry, standing=explain_words.standing,
    so_far=explain_words.so_far, share=explain_words.share, latest=explain_words.latest, choice=explain_words.choice, open_parts=explain_words.open_parts)
_PAGES.tests.update(counted=explain_words.is_counted)
_TEMPLATE = _PAGES.get_template("explain.html")
