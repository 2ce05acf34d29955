"""The language is closed, the same in YAML and JSON, and says of every fault where it is, in a sentence."""
import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from services.core.errors import InvalidProgramme
from services.core.rules.calendar import span
from services.core.rules.language import parse
from services.core.rules.narrative import narrative
from services.core.rules.tree import All, AtLeast, Statements, Sum, achievement_of, nodes
from tests.unit.rules.given import day, programme, rule

ROOT = Path(__file__).parents[3]
HERE = Path(__file__).parent / "programmes"
HEAD = "programme: https://lrs.example.org/programmes/p\nversion: 1\ntitle: P\n"
LEAF = "{statement: {activity: https://x.example/a}}"


def faults(text: bytes | str) -> list[tuple[int, str, str]]:
    with pytest.raises(InvalidProgramme) as caught:
        parse(text)
    told: Any = caught.value.members["faults"]
    assert (caught.value.pointer, caught.value.members["line"]) == (told[0]["pointer"], told[0]["line"])
    assert caught.value.detail == f"Line {told[0]['line']}: {told[0]['detail']}"
    return [(fault["line"], fault["pointer"], fault["detail"]) for fault in told]


@pytest.mark.parametrize("file", sorted(HERE.glob("*.yaml")), ids=lambda file: file.stem)
def test_a_programme_in_json_is_the_programme_in_yaml(file: Path) -> None:
    found = parse(file.read_bytes())
    document = yaml.load(file.read_text(encoding="utf-8"), yaml.BaseLoader)

    assert document.keys() == found.document.keys()
    for text in (json.dumps(found.document), json.dumps(found.document, indent="\t"), json.dumps(found.document, sort_keys=True).encode()):
        assert parse(text) == found
    assert jsonschema_rs.is_valid(json.loads((ROOT / "schemas" / "rules" / "programme.json").read_text(encoding="utf-8")), found.document)


def test_the_name_on_is_a_name_and_dates_need_no_quotes() -> None:
    found = parse(HEAD + f"on: {{lapsed: keep}}\neffective: 2024-02-29\nrequires: {LEAF}")

    assert found.on.lapsed == "keep"
    assert found.effective == day("2024-02-29")
    assert parse(HEAD + f'effective: "2024-02-29T01:00:00+01:00"\nrequires: {LEAF}').effective == day("2024-02-29")


def test_defaults_stand_under_each_match_and_a_clause_has_the_last_word() -> None:
    found = rule(
        "{all: [{statement: {activity: https://x.example/a}}, {statement: {verb: failed}}, {sum: {of: duration, at_least: 2, match: {identity: none}}}]}",
        defaults="{match: {verb_in: [passed, completed], identity: verified}}").requires
    assert isinstance(found, All)
    first, second, third = found.of
    assert isinstance(first, Statements)
    assert isinstance(second, Statements)
    assert isinstance(third, Sum)

    assert (first.match.verbs, first.match.level) == (frozenset({"passed", "completed"}), 2)
    assert second.match.verbs == frozenset({"failed"})
    assert (third.match.level, third.at_least) == (0, 2 * 3600 * 10**6)


def test_the_slug_is_the_last_segment_and_makes_the_achievement() -> None:
    found = programme("specialization")

    assert found.slug == "data-science"
    assert achievement_of(found, "https://lrs.example.org/") == "https://lrs.example.org/achievements/data-science"
    assert achievement_of(rule(LEAF, award="{type: Badge, id: https://x.example/badge}"), "https://lrs.example.org") == "https://x.example/badge"
    assert achievement_of(rule(LEAF), "https://lrs.example.org") is None


ONE_OF = "must have exactly one of all, any, at_least, statement, credential, sum or cmi5"
BAD = {
    "": (1, "", "The text must be an object with the members programme, version, title and requires."),
    "requires: [": (1, "", "The text is neither YAML nor JSON: expected the node content, but found '<stream end>'."),
    "a: 1\na: 2": (2, "", "The member a stands here twice."),
    HEAD + "requires: !!python/object:os.system {}": (4, "", "The tag tag:yaml.org,2002:python/object:os.system is not read here; write the value without it."),
    HEAD + "requires: *nothing": (4, "", "The alias *nothing names nothing above it."),
    HEAD + "---\n" + HEAD: (4, "", "The text holds more than one document."),
    HEAD + "requires: " + "[" * 50: (4, "", "The text is nested more than 40 deep."),
    HEAD + "x" * 70_000: (1, "", f"The text has {len(HEAD) + 70_000} bytes; at most 64 KiB are read."),
    HEAD: (1, "", "The programme lacks requires."),
    HEAD + f"requires: {LEAF}\nrequire: 1": (5, "/require", "/require is no member that is known here (did you mean requires?)."),
    HEAD + "requires:\n  all:\n    - statement:\n        vreb: passed": (
        7, "/requires/all/0/statement/vreb", "/requires/all/0/statement/vreb is no member that is known here (did you mean verb?)."),
    HEAD + "requires: {statement: {verb: pased}}": (
        4, "/requires/statement/verb", "/requires/statement/verb must be the absolute IRI of a verb, or a short name that is known (did you mean passed?)."),
    HEAD + "requires: {}": (4, "/requires", f"/requires {ONE_OF}."),
    HEAD + f"requires: {{any: [{LEAF}], all: [{LEAF}]}}": (4, "/requires", f"/requires {ONE_OF}."),
    HEAD + "requires:\n  any: []": (5, "/requires/any", "/requires/any must not be empty."),
    HEAD + "requires:\n  not: {}": (
        5, "/requires/not", "/requires/not is not supported: the absence of evidence proves nothing, so that no rule can ask for it."),
    HEAD + f"requires:\n  any: [{LEAF}]\n  sequence: true": (4, "/requires", "/requires has sequence or within, which only stand beside all."),
    HEAD + "requires: {statement: {count: 0}}": (4, "/requires/statement/count", "/requires/statement/count must be at least 1."),
    HEAD + "requires: {statement: {count: 10001}}": (4, "/requires/statement/count", "/requires/statement/count must be at most 10000."),
    HEAD + f"requires:\n  at_least:\n    n: 2\n    of: [{LEAF}]": (
        6, "/requires/at_least/n", "/requires/at_least/n is more than the 1 that there are to choose from."),
    HEAD + f"requires: {{at_least: {{n: 0, of: [{LEAF}]}}}}": (4, "/requires/at_least/n", "/requires/at_least/n must be at least 1."),
    HEAD + f"requires: {{at_least: {{n: 1, of: [{LEAF}], distinct: issuer}}}}": (
        4, "/requires/at_least/of/0",
        "/requires/at_least/of/0 must be a credential without count and distinct, for at_least wants them of different issuers."),
    HEAD + "requires: {sum: {of: duration, at_least: 0}}": (4, "/requires/sum/at_least", "/requires/sum/at_least must be more than 0."),
    HEAD + "requires: {sum: {of: hours, at_least: 1}}": (
        4, "/requires/sum/of", "/requires/sum/of must be duration, or the absolute IRI of an extension."),
    HEAD + "requires: {sum: {of: duration, at_least: 0.0000001}}": (4, "/requires/sum/at_least", "/requires/sum/at_least has more than six decimals."),
    HEAD + "requires: {credential: {status: active}}": (
        4, "/requires/credential", "/requires/credential must name an achievement, an alignment, an issuer or issuer_in."),
    HEAD + "requires: {statement: {template: x}}": (
        4, "/requires/statement/template",
        "/requires/statement/template is not supported: say what the statement looks like by the other members of a match."),
    HEAD + "requires: {statement: {since: 2023-02-29}}": (
        4, "/requires/statement/since", "/requires/statement/since must be a date such as 2025-06-01, or an RFC 3339 timestamp."),
    HEAD + "requires: {statement: {window: {last: P0D}}}": (
        4, "/requires/statement/window/last",
        "/requires/statement/window/last must be an ISO 8601 duration such as P3Y or P6M, more than nothing and at most P100Y."),
    HEAD + "requires: {statement: {window: {last: P1Y, cycle: P1Y, anchor: awarded}}}": (
        4, "/requires/statement/window", "/requires/statement/window must say either last, or cycle with anchor."),
    HEAD + f"award: {{type: Badge, per: registration}}\nrequires: {LEAF}": (
        4, "/award/per", "/award/per must be learner: one award for each registration is not supported."),
    HEAD + f"validity: {{for: P1Y, until: lapse}}\nrequires: {LEAF}": (4, "/validity", "/validity must say either for or until."),
    HEAD + f"renewal: {{open: P1M}}\nrequires: {LEAF}": (
        4, "/renewal/open", "/renewal/open needs validity with for: otherwise no award follows upon another."),
    HEAD + f"renewal:\n  remind: [P1M]\nrequires: {LEAF}": (
        5, "/renewal/remind", "/renewal/remind needs validity: without it an award has no end to remind of."),
    HEAD.replace("programmes/p", "programmes/") + f"requires: {LEAF}": (
        1, "/programme", "/programme must end in a segment of at most 80 letters, digits, dots, hyphens and underlines: that names it in addresses."),
    HEAD + "requires: " + "{any: [" * 8 + LEAF + "]}" * 8: (
        4, "/requires" + "/any/0" * 8, "/requires" + "/any/0" * 8 + " is too deep: nodes are nested at most 8 deep."),
}


@pytest.mark.parametrize(("text", "fault"), BAD.items(), ids=[fault[2][:60] for fault in BAD.values()])
def test_a_bad_rule_is_refused_with_its_line_its_pointer_and_a_sentence(text: str, fault: tuple[int, str, str]) -> None:
    assert faults(text)[0] == fault


def test_all_faults_are_told_in_the_order_of_the_text() -> None:
    told = faults("version: 0\nprogramme: here\nrequires:\n  all:\n    - statement: {vreb: passed}\n    - {credential: {}}\ntitle: 5")

    assert [(line, pointer) for line, pointer, _ in told] == [
        (1, "/version"), (2, "/programme"), (5, "/requires/all/0/statement/vreb"), (6, "/requires/all/1/credential"), (7, "/title")]


def test_a_rule_has_at_most_500_nodes() -> None:
    assert len(nodes(rule("{any: [" + ", ".join([LEAF] * 499) + "]}").requires)) == 500
    assert faults(HEAD + "requires: {all: [{any: [" + ", ".join(["{cmi5: {course: 'x:y'}}"] * 499) + "]}]}") == [
        (4, "/requires/all/0/any/498", "/requires/all/0/any/498 is one node too many: a rule has at most 500.")]


def test_an_alias_counts_as_often_as_it_is_used() -> None:
    laughs = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in ("ab", "bc", "cd", "de"))

    assert faults(laughs) == [(4, "", "The text holds more than 10000 values.")]
    assert isinstance(rule(f"{{at_least: {{n: 2, of: [&it {LEAF}, *it]}}}}").requires, AtLeast)


@pytest.mark.parametrize("text", [
    "[" * 60_000, "{a: " * 15_000, "- " * 30_000, "a\n" * 30_000, "&a " * 20_000, "%A\n" * 20_000, "\x00", "\ufeff", b"\xff", b"\xfe\xff\x00a",
])
def test_hostile_text_is_refused_and_soon(text: bytes | str) -> None:
    assert faults(text)


@pytest.mark.parametrize("text", [
    "", "P", "PT", "P1", "1Y", "P1S", "PT1Y", "P-1Y", "P1.5Y", "P0Y", "P101Y", "P1M1Y", "P1YT", "P1Y ", "p1y", "P99Y12M1D", "PT0.0S",
])
def test_what_is_no_span_is_none(text: str) -> None:
    assert span(text) is None


def test_the_guide_shows_programmes_that_can_be_read() -> None:
    guide = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
    examples = re.findall(r"^```yaml\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    schema = json.loads((ROOT / "schemas" / "rules" / "programme.json").read_text(encoding="utf-8"))

    assert len(examples) > 5
    for example in examples:
        text = example if example.startswith("programme:") else HEAD + (example if "requires:" in example else f"{example}\nrequires: {LEAF}")
        assert narrative(parse(text))
    named = {name for each in schema["$defs"].values() for name in each.get("properties", ())} | set(schema["properties"])
    assert not [name for name in named if f"`{name}`" not in guide and f"`{name}:" not in guide]


def test_a_rule_reads_as_words() -> None:
    assert narrative(programme("hours")).splitlines() == [
        "all of these:",
        "  first certificate: a credential for https://state.example.org/achievements/assistant",
        ("  hours: 25 hours of professional development in all, in the last 5 years: any statement about an activity, in the category "
         "https://lrs.example.org/profiles/pd, by the authority of https://pd.example.org/1 or https://pd.example.org/2; at most 10 hours from one statement; "
         "of several about one activity only the largest counts"),
        "Good for as long as this holds.",
    ]
    [_, toolbox, *_] = narrative(programme("specialization")).splitlines()
    assert toolbox == "  Toolbox: passed https://courses.example.org/toolbox, with the learner's identity verified"
