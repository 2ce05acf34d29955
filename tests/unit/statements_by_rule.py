"""Statements for every rule of xAPI Data: those that keep them all, and those that break one, by the pointer to where."""
from typing import Any

from tests.factories import activity, actor, rich_statement, statement, verb

UUID_TEXT = "6d5104a4-87fe-4e5c-b7ab-588370717558"
VOIDED = verb("voided")
REF = {"objectType": "StatementRef", "id": UUID_TEXT}
GROUP = {"objectType": "Group", "member": [actor("ada"), actor("linus")]}
ATTACHMENT = {
    "usageType": "https://example.org/usage",
    "display": {"en": "notes"},
    "contentType": "text/plain",
    "length": 27,
    "sha2": "ab" * 32,
    "fileUrl": "https://example.org/notes.txt",
}
CHOICE = {"interactionType": "choice", "choices": [{"id": "a", "description": {"en": "A"}}, {"id": "b"}], "correctResponsesPattern": ["a"]}


def sub(**members: Any) -> dict[str, Any]:
    """Return a SubStatement."""
    return {"objectType": "SubStatement", **statement(**members)}


def context(**members: Any) -> dict[str, Any]:
    """Return a statement with a context of these members."""
    return statement(context=members)


def result(**members: Any) -> dict[str, Any]:
    """Return a statement with a result of these members."""
    return statement(result=members)


def score(**members: Any) -> dict[str, Any]:
    """Return a statement with a score of these members."""
    return result(score=members)


VALID = [
    statement(),
    statement(1),
    rich_statement(),
    statement(actor=GROUP),
    statement(actor={"objectType": "Group", "mbox": "mailto:a@b.c"}),
    statement(actor=actor(openid="https://ada.example.org")),
    statement(actor=actor(mbox_sha1sum="AB" * 20)),
    statement(actor={"mbox": "mailto:a@b.c"}),
    statement(authority=GROUP),
    statement(authority=actor()),
    statement(object=actor()),
    statement(object=GROUP),
    statement(object=REF),
    statement(verb=VOIDED, object=REF),
    statement(object=sub()),
    statement(object=sub(object=REF)),
    statement(object=sub(object=actor(), timestamp="2026-05-01T12:00:00Z")),
    statement(object={"id": "act:x"}),
    statement(object=activity(definition=CHOICE)),
    statement(object=activity(definition={})),
    statement(object=activity(definition={"interactionType": "matching", "source": [{"id": "1"}]})),
    statement(object=activity(definition={"description": {"en": ""}})),
    statement(attachments=[]),
    statement(attachments=[ATTACHMENT]),
    statement(version="1.0"),
    statement(version="1.0.9"),
    statement(version="1.0.32"),
    score(scaled=-1),
    score(min=0, max=10, raw=10),
    score(raw=3),
    score(scaled=1.0, min=-1.5, raw=-1.5),
    result(extensions={}),
    result(duration="P4W"),
    result(extensions={"https://e.org/x": {"a": [None, "", {}, [[[[1]]]]]}}),
    result(extensions={"https://e.org/null": None}),
    result(success=False, response=""),
    context(instructor=GROUP, team=GROUP),
    context(contextActivities={"parent": activity(), "other": [activity(), {"id": "act:y"}], "category": []}),
    context(contextActivities={"parent": activity(definition=CHOICE)}),
    context(revision="1", platform="x", language="fr-CA", registration=UUID_TEXT.upper()),
    context(statement=REF),
    statement(timestamp="2099-01-01T00:00:00+05:30"),
    statement(timestamp="2024-02-29T00:00Z"),
    statement(stored="2026-05-01T12:00:00Z"),
    statement(object=sub(context={"platform": "x"})),
]

INVALID = [
    ("", {"actor": actor(), "verb": verb()}),
    ("", {}),
    ("/Id", statement(Id=UUID_TEXT)),
    ("/dummy", statement(dummy=1)),
    ("/attachmentS", statement(attachmentS=[])),
    ("/actor", statement(actor={"objectType": "Agent"})),
    ("/actor", statement(actor=actor(mbox="mailto:a@b.c", openid="https://a.b"))),
    ("/actor/mbox", statement(actor=actor(mbox="mailto:should.fail.com"))),
    ("/actor/objectType", statement(actor=actor(objectType="agent"))),
    ("/actor/name", {**statement(), "actor": {"mbox": "mailto:a@b.c", "name": None}}),
    ("/actor/mbox_sha1sum", statement(actor=actor(mbox_sha1sum="xyz"))),
    ("/actor/account", statement(actor=actor(account={"homePage": "https://e.org"}))),
    ("/actor/account/name", statement(actor=actor(account={"homePage": "https://e.org", "name": 1}))),
    ("/actor/account/homePage", statement(actor=actor(account={"homePage": "should fail", "name": "x"}))),
    ("/actor", statement(actor={"objectType": "Group"})),
    ("/actor/member/0/objectType", statement(actor={"objectType": "Group", "member": [GROUP]})),
    ("/actor/member", statement(actor={"objectType": "Group", "member": actor()})),
    ("/authority/member", statement(authority={"objectType": "Group", "member": [actor()]})),
    ("/authority", statement(authority={**GROUP, "mbox": "mailto:a@b.c"})),
    ("/verb/id", statement(verb={"id": "should.fail.com"})),
    ("/verb", statement(verb={"display": {"en": "x"}})),
    ("/verb/display/a12345678", statement(verb=verb(display={"a12345678": "x"}))),
    ("/verb/display/en-US", {**statement(), "verb": {"id": "a:b", "display": {"en-US": None}}}),
    ("/id", statement(id=1)),
    ("/id", statement(id=UUID_TEXT + "1")),
    ("/object/objectType", statement(object={"objectType": "activity", "id": "a:b"})),
    ("/object", statement(object={"mbox": "mailto:a@b.c"})),
    ("/object", statement(verb=VOIDED)),
    ("/object/object", statement(object=sub(verb=VOIDED))),
    ("/object/object/objectType", statement(object=sub(object=sub()))),
    *(
        (f"/object/{key}", statement(object=sub(**{key: value})))
        for key, value in (("id", UUID_TEXT), ("stored", "2026-05-01T12:00:00Z"), ("version", "1.0.0"), ("authority", actor()))
    ),
    ("/object/definition", statement(object=activity(definition={"correctResponsesPattern": ["a"]}))),
    ("/object/definition", statement(object=activity(definition={"steps": []}))),
    ("/object/definition/interactionType", statement(object=activity(definition={"interactionType": "Choice"}))),
    ("/object/definition/choices", statement(object=activity(definition={"interactionType": "choice", "choices": [{"id": "a"}, {"id": "a"}]}))),
    ("/object/definition/moreInfo", {**statement(), "object": {"id": "a:b", "definition": {"moreInfo": None}}}),
    ("/object/id", statement(object={"objectType": "StatementRef", "id": "x"})),
    ("/result/score/scaled", score(scaled=1.01)),
    ("/result/score/scaled", score(scaled="1")),
    ("/result/score", score(min=1, max=1)),
    ("/result/score/raw", score(raw=11, max=10)),
    ("/result/score/raw", score(min=0, raw=-1)),
    ("/result/success", result(success="true")),
    ("/result/duration", result(duration="P4W1D")),
    ("/result/duration", result(duration=5)),
    ("/result/extensions/x", result(extensions={"x": 1})),
    ("/result/response", result(response=1)),
    ("/context/registration", context(registration="x")),
    ("/context/team", context(team={"objectType": "Group"})),
    ("/context/team/objectType", context(team=actor(), platform="x")),
    ("/context/language", context(language="something")),
    ("/context/contextActivities/Parent", context(contextActivities={"Parent": activity()})),
    ("/context/contextActivities/parent/1/id", context(contextActivities={"parent": [activity(), {"id": "x"}]})),
    (
        "/context/contextActivities/other/definition/scale",
        context(contextActivities={"other": activity(definition={"interactionType": "likert", "scale": [{"id": "a"}, {"id": "a"}]})}),
    ),
    ("/context/contextActivities/other", context(contextActivities={"other": 1})),
    ("/context/statement", context(statement={"objectType": "StatementRef"})),
    ("/context/platform", statement(object=actor(), context={"platform": "x"})),
    ("/object/context/revision", statement(object=sub(object=REF, context={"revision": "x"}))),
    ("/timestamp", statement(timestamp="2026-05-01T12:00:00-00:00")),
    ("/timestamp", statement(timestamp="2026-02-29T12:00:00Z")),
    ("/stored", statement(stored="2026-06-31T12:00:00Z")),
    ("/version", statement(version="0.9.9")),
    ("/version", statement(version="1.1.0")),
    ("/version", statement(version="1.0.")),
    ("/attachments/0", statement(attachments=[{}])),
    ("/attachments/0/sha2", statement(attachments=[ATTACHMENT | {"sha2": ""}])),
    ("/attachments/0/length", statement(attachments=[ATTACHMENT | {"length": 1.5}])),
    ("/attachments", statement(attachments={})),
    ("/object/definition/name", {**statement(), "object": activity(definition={"name": []})}),
    ("", []),
    ("", 1),
    ("", None),
]
