"""The client for Python that Open edX ships, unchanged. It speaks 1.0.3, writes `True` for true, and says nothing about what a PUT replaces."""
import json
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

import httpx
import pytest
from tincan import (
    Activity,
    ActivityDefinition,
    ActivityProfileDocument,
    Agent,
    AgentProfileDocument,
    LanguageMap,
    RemoteLRS,
    Result,
    Score,
    StateDocument,
    Statement,
    StatementRef,
    Verb,
)
from tincan.lrs_response import LRSResponse

from tests.clients.conftest import Account

Said = Callable[..., Statement]


@pytest.fixture
def remote(account: Account) -> RemoteLRS:
    return RemoteLRS(endpoint=account.endpoint, username=account.key, password=account.secret)


@pytest.fixture
def learner(account: Account) -> Agent:
    return Agent(mbox=f"mailto:{account.marker}@example.org", name="Ada")


@pytest.fixture
def course(account: Account) -> Activity:
    return Activity(id=f"https://courses.example.org/{account.marker}", definition=ActivityDefinition(name=LanguageMap(en="Algebra")))


@pytest.fixture
def said(learner: Agent, course: Activity) -> Said:
    """Return a maker of statements about the learner and the course."""
    def make(verb: str, **more: object) -> Statement:
        return Statement(actor=learner, verb=Verb(id=f"http://adlnet.gov/expapi/verbs/{verb}", display=LanguageMap(en=verb)), object=more.pop("object", course),
                         timestamp=datetime.now(UTC), **more)

    return make


def good(response: LRSResponse) -> LRSResponse:
    """Return an answer that is a success."""
    assert response.success, response.data
    return response


def test_statements_are_saved_found_and_paged_through(remote: RemoteLRS, said: Said, learner: Agent, course: Activity) -> None:
    assert good(remote.about()).content.version == ["1.0.3"]
    one = said("passed", id=str(uuid4()), result=Result(score=Score(scaled=0.9), success=True, completion=True))
    good(remote.save_statement(one))
    back = good(remote.retrieve_statement(one.id)).content
    assert (back.id, back.result.score.scaled, back.authority is not None, back.stored is not None) == (one.id, 0.9, True, True)

    saved = good(remote.save_statements([said("attempted"), said("completed"), said("experienced")])).content
    assert all(each.id for each in saved)
    found = good(remote.query_statements({"agent": learner, "activity": course, "limit": 2, "ascending": True, "related_activities": False}))
    pages = [found.content]
    while pages[-1].more:
        pages.append(good(remote.more_statements(pages[-1])).content)
    assert [each.verb.id.rsplit("/", 1)[1] for page in pages for each in page.statements] == ["passed", "attempted", "completed", "experienced"]
    completed = Verb(id="http://adlnet.gov/expapi/verbs/completed")
    assert len(good(remote.query_statements({"agent": learner, "verb": completed, "format": "ids"})).content.statements) == 1


def test_a_statement_is_voided(remote: RemoteLRS, said: Said) -> None:
    wrong = said("passed", id=str(uuid4()))
    good(remote.save_statement(wrong))

    good(remote.save_statement(said("voided", object=StatementRef(id=wrong.id))))

    assert remote.retrieve_statement(wrong.id).response.status == 404
    assert good(remote.retrieve_voided_statement(wrong.id)).content.id == wrong.id


def test_states_are_kept_by_registration(remote: RemoteLRS, learner: Agent, course: Activity) -> None:
    document = StateDocument(id="bookmark", activity=course, agent=learner, content=json.dumps({"page": 7}), content_type="application/json")
    good(remote.save_state(document))
    assert json.loads(good(remote.retrieve_state(course, learner, "bookmark")).content.content) == {"page": 7}
    assert good(remote.retrieve_state_ids(course, learner)).content == ["bookmark"]
    good(remote.delete_state(document))
    good(remote.clear_state(course, learner))
    assert remote.retrieve_state(course, learner, "bookmark").response.status == 404


def test_profiles_are_read_and_replaced_and_a_first_one_needs_a_precondition_that_this_client_never_sends(
    remote: RemoteLRS, account: Account, learner: Agent, course: Activity,
) -> None:
    of_course = ActivityProfileDocument(id="notes", activity=course, content="red", content_type="text/plain")
    of_learner = AgentProfileDocument(id="notes", agent=learner, content="red", content_type="text/plain")
    for document, path, whose, save in (
        (of_course, "activities/profile", {"activityId": course.id}, remote.save_activity_profile),
        (of_learner, "agents/profile", {"agent": learner.to_json()}, remote.save_agent_profile),
    ):
        refused = save(document)
        assert (refused.response.status, "If-None-Match: *" in refused.data) == (400, True)
        made = httpx.put(account.endpoint + path, params={**whose, "profileId": "notes"}, content="red", auth=(account.key, account.secret),
                         headers={"X-Experience-API-Version": "1.0.3", "If-None-Match": "*"})
        document.etag, document.content = made.headers["ETag"], "blue"
        good(save(document))
        document.etag = None

    assert good(remote.retrieve_activity_profile(course, "notes")).content.content == b"blue"
    assert good(remote.retrieve_activity_profile_ids(course)).content == ["notes"]
    assert good(remote.retrieve_agent_profile(learner, "notes")).content.content == b"blue"
    assert good(remote.retrieve_agent_profile_ids(learner)).content == ["notes"]
    good(remote.delete_activity_profile(of_course))
    good(remote.delete_agent_profile(of_learner))
    assert remote.retrieve_agent_profile(learner, "notes").response.status == 404
