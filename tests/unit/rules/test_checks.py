"""What must not be published: rings of programmes that wait for each other's credentials."""
from services.core.rules.calendar import FIRST, LAST
from services.core.rules.checks import Published, find_cycle
from services.core.rules.evaluate import evaluate
from services.core.rules.facts import NOTHING
from services.core.rules.language import parse

HOME = "https://lrs.example.org/"
IRI = f"{HOME}programmes/{{}}".format


def published(name: str, requires: str, *, version: int = 1, award: str = "{type: Badge}") -> Published:
    found = parse(f"programme: {HOME}programmes/{name}\nversion: {version}\ntitle: P\naward: {award}\nrequires: {requires}\n")
    return Published(found.iri, found, f"{HOME}achievements/{name}", ("own", HOME))


def needs(name: str) -> str:
    return f"{{credential: {{achievement: {HOME}achievements/{name}}}}}"


LEAF = "{statement: {activity: 'x:a'}}"


def test_programmes_may_build_on_each_other() -> None:
    steps = [published("a", needs("b")), published("b", needs("c")), published("c", LEAF)]

    assert find_cycle([*steps, published("d", f"{{all: [{needs('a')}, {needs('b')}]}}")], IRI("d")) is None


def test_a_ring_is_found_and_named() -> None:
    last = published("c", f"{{any: [{LEAF}, {needs('a')}]}}")
    ring = find_cycle([published("a", needs("b")), published("b", needs("c")), last, published("d", LEAF)], IRI("a"))

    assert ring == [f"{HOME}programmes/{name}" for name in "abca"]
    assert find_cycle([published("a", needs("a"))], IRI("a")) == [f"{HOME}programmes/a"] * 2


def test_a_ring_may_go_through_an_older_version_an_alignment_or_an_issuer() -> None:
    aligned = "{type: Badge, alignment: [{targetUrl: 'x:item', targetFramework: 'x:framework'}]}"

    assert find_cycle([published("a", needs("b")), published("b", LEAF), published("b", needs("a"), version=2)], IRI("b"))
    assert find_cycle([published("a", "{credential: {alignment: 'x:framework'}}"), published("b", needs("a"), award=aligned)], IRI("a"))
    assert find_cycle([published("a", "{credential: {issuer: own}}")], IRI("a"))
    assert find_cycle([published("a", "{credential: {issuer: own, achievement: 'x:of-others'}}")], IRI("a")) is None
    assert find_cycle([published("a", "{credential: {issuer_in: [museum]}}")], IRI("a")) is None


def test_a_long_chain_is_no_ring() -> None:
    assert find_cycle([published(f"p{number}", needs(f"p{number + 1}")) for number in range(300)], IRI("p0")) is None


def test_a_ring_is_found_behind_another_one_and_other_rings_are_none_of_its_business() -> None:
    others = [published("a", needs("b")), published("b", needs("a"))]
    new = published("z", f"{{all: [{needs('a')}, {needs('y')}]}}")

    assert find_cycle([*others, published("y", needs("z")), new], IRI("z")) == [IRI("z"), IRI("y"), IRI("z")]
    assert find_cycle([*others, published("y", LEAF), new], IRI("z")) is None


def test_a_ring_that_was_closed_all_the_same_awards_nothing_by_itself() -> None:
    ring = [published("a", needs("b")), published("b", needs("a"))]

    assert not any(evaluate(version.programme, NOTHING, {}, instant).met for version in ring for instant in (FIRST, 0, LAST))
