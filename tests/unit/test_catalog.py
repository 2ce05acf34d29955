"""Which programme a catalog means by a slug."""
from services.core.rules.language import parse
from services.runtime.evaluation.catalog import Catalog, Version

RULE = "programme: https://{home}.example.org/programmes/maths\nversion: {version}\ntitle: P\nrequires: {{statement: {{activity: 'x:a'}}}}\n"


def version(home: str, number: int, seq: int) -> Version:
    return Version(parse(RULE.format(home=home, version=number)), seq, None)


def test_of_programmes_with_one_slug_the_one_published_first_has_it_whatever_is_published_later() -> None:
    catalog = Catalog([version("first", 1, 10), version("second", 1, 11), version("first", 2, 12), version("second", 2, 13)], [], {})

    found = catalog.of_slug("maths")

    assert found is not None
    assert (found.programme.iri, found.number) == ("https://first.example.org/programmes/maths", 2)
    assert catalog.of_slug("other") is None
