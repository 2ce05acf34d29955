"""Rules of documents: which preconditions hold, what a PUT without any is, and what a POST makes of a document."""
import pytest

from services.core.document import (
    MAX_VALUES,
    Conditions,
    Document,
    Limits,
    Tags,
    bare_put,
    check,
    check_bare_put,
    checked_type,
    conditions,
    etag,
    is_json,
    is_known,
    posted,
)
from services.core.errors import BadRequest, Conflict, LrsError, PreconditionFailed, TooLarge

LIMITS = Limits(size=1000, depth=5)
JSON = "application/json"


def test_the_tag_is_the_sha_1_of_the_content_in_lower_case_hex() -> None:
    assert etag(b"abc") == "a9993e364706816aba3e25717850c26c9cd0d89d"


@pytest.mark.parametrize(("header", "tags"), [
    ('"a"', Tags(frozenset("a"))), ("*", Tags(any=True)), (" * ", Tags(any=True)), ('W/"a"', Tags(weak=frozenset("a"))), ("a", Tags(frozenset("a"))),
    ('"a","b" , W/"c"', Tags(frozenset("ab"), frozenset("c"))), (',, "a",,"b",', Tags(frozenset("ab"))), ('"a, b"', Tags(frozenset(["a, b"]))),
    ('""', Tags(frozenset([""]))), ('"*"', Tags(frozenset("*"))), ('w/"a"', None), ('"a" "b"', None), ("", None), (",", None), ('"', None), ('*, "a"', None),
    ('"a"b', None), ("a b", None), ('"a"\n', None), ("," * 100_000 + ";" + '"', None), ("a" * 100_000 + '"', None),
])
def test_a_list_of_tags_is_read_as_rfc_9110_says_and_nothing_else_is(header: str, tags: Tags | None) -> None:
    if tags is None:
        with pytest.raises(BadRequest, match="If-Match"):
            conditions(header, None)
    else:
        assert conditions(header, header) == Conditions(tags, tags)


def test_no_header_is_no_condition() -> None:
    assert conditions(None, None).absent
    assert not conditions("*", None).absent
    assert not conditions(None, '"a"').absent


@pytest.mark.parametrize(("match", "none_match", "current", "holds"), [
    (None, None, None, True), (None, None, "a", True), ('"a"', None, "a", True), ('"b","a"', None, "a", True), ('"b"', None, "a", False),
    ('"a"', None, None, False),
    ('W/"a"', None, "a", False), ("*", None, "a", True), ("*", None, None, False), (None, "*", None, True), (None, "*", "a", False), (None, '"a"', "a", False),
    (None, 'W/"a"', "a", False), (None, '"b"', "a", True), (None, '"a"', None, True), ('"a"', '"b"', "a", True),
    ('"a"', "*", "a", False), ("*", "*", None, False),
])
def test_a_write_is_wanted_if_every_condition_holds(match: str | None, none_match: str | None, current: str | None, *, holds: bool) -> None:
    wanted = conditions(match, none_match)
    if holds:
        check(wanted, current)
    else:
        with pytest.raises(PreconditionFailed):
            check(wanted, current)


def test_a_client_has_what_its_if_none_match_names() -> None:
    assert is_known(conditions(None, 'W/"a"'), "a")
    assert is_known(conditions(None, "*"), "a")
    assert not is_known(conditions(None, '"b"'), "a")
    assert not is_known(conditions('"a"', None), "a")


@pytest.mark.parametrize(("version", "state", "exists", "refused"), [
    ("1.0.3", True, False, None), ("1.0.3", True, True, None), ("1.0.3", False, False, BadRequest), ("1.0.3", False, True, Conflict),
    ("2.0.0", True, False, None), ("2.0.0", True, True, Conflict), ("2.0.0", False, False, None), ("2.0.0", False, True, Conflict),
])
def test_a_put_without_conditions_depends_on_version_and_resource(version: str, *, state: bool, exists: bool, refused: type[LrsError] | None) -> None:
    allowed = bare_put(version, state=state)
    if refused is None:
        check_bare_put(allowed, exists=exists)
    else:
        with pytest.raises(refused, match="If-Match"):
            check_bare_put(allowed, exists=exists)


def test_json_is_told_by_its_media_type_alone() -> None:
    assert is_json("application/json")
    assert is_json(" Application/JSON ; charset=utf-8")
    assert not is_json("application/json5")
    assert not is_json("text/json")
    assert not is_json("")


@pytest.mark.parametrize("sent", ["a\r\nb: c", "a\nb", "a\0", "a\x7f", "日本", "x" * 1025])
def test_a_type_that_no_header_can_carry_is_refused(sent: str) -> None:
    with pytest.raises(BadRequest):
        checked_type(sent)


def test_a_type_is_kept_as_it_is_and_none_is_that_of_unknown_bytes() -> None:
    assert checked_type('Not/JSON;\tx="é"') == 'Not/JSON;\tx="é"'
    assert checked_type(None) == checked_type("") == "application/octet-stream"


def test_a_merge_keeps_order_and_bytes_and_replaces_whole_values() -> None:
    there, sent = Document(b'{"a": 1.0, "b": {"x": 1}, "c":1e300}', f"{JSON}; charset=utf-8"), Document(b' {"b":{ "y":2 },"\\u0064":[ ]} ', JSON)
    assert posted(there, sent, LIMITS) == Document(b'{"a":1.0,"b":{ "y":2 },"c":1e300,"d":[ ]}', JSON)


def test_where_nothing_is_a_post_stores_what_was_sent() -> None:
    for sent in (Document(b"{", "text/plain"), Document(b" [1]", JSON), Document(b"\xff", "application/octet-stream")):
        assert posted(None, sent, LIMITS) is sent
    with pytest.raises(BadRequest):
        posted(None, Document(b"{", JSON), LIMITS)


@pytest.mark.parametrize(("there", "there_type", "sent", "sent_type", "says"), [
    (b"{}", JSON, b"{}", "text/plain", "only application/json"), (b"{}", "text/plain", b"{}", JSON, "here is not application/json"),
    (b"[]", JSON, b"{}", JSON, "The document here is not a JSON object"), (b"{}", JSON, b"[]", JSON, "What was sent is not a JSON object"),
    (b'{"a":1,"a":1}', JSON, b"{}", JSON, "given twice"), (b"{}", JSON, b'{"a":{"b":1,"b":1}}', JSON, "given twice"),
    (b"{", JSON, b"{}", JSON, "Nothing can be merged with the document here"), (b"{}", JSON, b'{"a":[[[[[]]]]]}', JSON, "nested more than 5 deep"),
    (b'{"a":"' + b"," * MAX_VALUES + b'"}', JSON, b"{}", JSON, "holds at most"),
])
def test_what_cannot_be_merged_is_refused_with_a_reason(there: bytes, there_type: str, sent: bytes, sent_type: str, says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        posted(Document(there, there_type), Document(sent, sent_type), LIMITS)


def test_a_merge_that_is_too_large_or_holds_too_much_is_refused() -> None:
    with pytest.raises(TooLarge, match="Merged"):
        posted(Document(b'{"a":"' + b"x" * 600 + b'"}', JSON), Document(b'{"b":"' + b"x" * 600 + b'"}', JSON), LIMITS)
    many = b'{"%b":[' + b"1," * (MAX_VALUES - 10) + b"1]}"
    with pytest.raises(TooLarge, match="values"):
        posted(Document(many % b"a", JSON), Document(many % b"b", JSON), Limits(size=1 << 23, depth=5))
    with pytest.raises(TooLarge, match="values"):
        posted(None, Document(b"[" + b"1," * MAX_VALUES + b"1]", JSON), Limits(size=1 << 23, depth=5))
