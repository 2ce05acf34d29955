"""Accept-Language against the tags of a language map: the best of those there are, whatever the header holds."""
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.languages import Languages


@pytest.mark.parametrize(("header", "tags", "best"), [
    ("en-GB", ["en-US", "en-GB"], "en-GB"),
    ("en-gb", ["en-US", "en-GB"], "en-GB"),
    ("sv", ["en-US", "sv-SE"], "sv-SE"),
    ("sv-SE", ["en-US", "sv"], "sv"),
    ("fr-CA, sv;q=0.8", ["sv", "fr-FR"], "fr-FR"),
    ("zh-Hant-TW", ["zh", "zh-Hant", "en"], "zh-Hant"),
    ("de-a-bb-x-cc", ["de-a-bb", "en"], "de-a-bb"),
    ("sv;q=0.1, fr;q=0.9", ["sv", "fr"], "fr"),
    ("sv;q=0.5,fr;q=0.5", ["fr", "sv"], "sv"),
    ("*", ["de", "en", "sv"], "en"),
    ("fi, *;q=0.1", ["de", "sv"], "de"),
    ("fi", ["sv", "de"], "de"),
    ("en;q=0", ["en", "sv"], "sv"),
    ("en;q=0", ["en"], "en"),
    ("*;q=0, sv", ["en", "sv-FI"], "sv-FI"),
    ("*;q=0", ["sv", "de"], "de"),
    ("en;q=0, en-GB", ["en-US", "en-GB"], "en-GB"),
    ("en, en-US;q=0", ["en-US", "en-GB"], "en-GB"),
    ("e", ["en-US", "eo"], "en-US"),
    ("en-*-GB", ["en-GB", "fr"], "en-GB"),
    (None, ["sv", "en-US", "de"], "en-US"),
    ("", ["sv", "de"], "de"),
])
def test_the_best_tag_is_looked_up_range_by_range(header: str | None, tags: list[str], best: str) -> None:
    assert Languages(header).best(tags) == best
    assert Languages(header).best(tags[::-1]) == best


@pytest.mark.parametrize("header", [
    ";;;", ",,,,", "en;q=nan", "en;q=-1", "en;q=2", "en;q=1e9", "q=1", "\0", "å", "-", "en-", "*-*", "en;level=1;q=0.5", "en;" * 9000, "a," * 9000,
    "-".join(["x"] * 900),
])
def test_what_cannot_be_read_counts_as_not_sent(header: str) -> None:
    assert Languages(header).best(["sv", "fr"]) == "fr"


@given(header=st.text(max_size=80), tags=st.lists(st.text(max_size=12), min_size=1, max_size=5))
def test_whatever_the_header_and_the_tags_one_of_the_tags_is_chosen(header: str, tags: list[str]) -> None:
    assert Languages(header).best(tags) in tags


@given(st.lists(st.sampled_from(["en", "en-GB", "sv", "sv-SE", "zh-Hant", "*"]), max_size=5), st.sampled_from(["en", "en-GB", "sv", "zh-Hans"]))
def test_a_tag_asked_for_first_is_chosen_where_it_is_there(others: list[str], first: str) -> None:
    assert Languages(",".join([first, *others])).best(["de", "sv-FI", first, "en-US"]) == first
