"""Clients in Chromium, from another origin than the LRS: what browsers ask beforehand, and what they let a page read."""
import base64
import json
from typing import Any
from urllib.parse import quote, urlencode
from uuid import uuid4

import httpx
import pytest

from tests.clients.conftest import Account, Play
from tests.clients.site import Site

CMI5 = "https://w3id.org/xapi/cmi5"
VERBS = "http://adlnet.gov/expapi/verbs"


class Lms:
    """The part of an LMS in a launch of cmi5 (8 and 10): what it prepares in the LRS, the launch URL, and what it says about the session."""

    def __init__(self, account: Account) -> None:
        """The learner and the unit are new."""
        self.account, self.registration, self.session = account, str(uuid4()), str(uuid4())
        self.actor = {"objectType": "Agent", "account": {"homePage": "https://lms.example.org", "name": account.marker}}
        self.unit = f"https://lms.example.org/units/{account.marker}"
        self.launch_data = {
            "contextTemplate": {"contextActivities": {"grouping": [{"id": "https://publisher.example.org/units/logic"}]},
                                "extensions": {f"{CMI5}/context/extensions/sessionid": self.session}},
            "launchMode": "Normal", "moveOn": "CompletedAndPassed", "masteryScore": 0.8,
        }
        self.client = httpx.Client(base_url=account.endpoint, auth=(account.key, account.secret), headers={"X-Experience-API-Version": "1.0.3"})

    def prepare(self) -> None:
        """Write the launch data and the learner's preferences, and say `launched`."""
        agent = json.dumps(self.actor)
        self._put("activities/state", self.launch_data, activityId=self.unit, agent=agent, registration=self.registration, stateId="LMS.LaunchData")
        self._put("agents/profile", {"languagePreference": "en-US,fr-FR", "audioPreference": "on"}, agent=agent, profileId="cmi5LearnerPreferences")
        self.say(f"{VERBS}/launched", {"id": self.unit})

    def say(self, verb: str, what: dict[str, Any]) -> None:
        """Post a statement about the learner's registration."""
        context = {"registration": self.registration, "contextActivities": {"category": [{"id": f"{CMI5}/context/categories/cmi5"}]},
                   "extensions": {f"{CMI5}/context/extensions/sessionid": self.session}}
        self.client.post("statements", json={"actor": self.actor, "verb": {"id": verb}, "object": what, "context": context}).raise_for_status()

    def launch_url(self, site: Site) -> str:
        """Return the address of the unit with the five parameters."""
        return f"{site.url}/cmi5.html?" + urlencode({
            "endpoint": self.account.endpoint, "fetch": f"{site.url}/fetch", "actor": json.dumps(self.actor), "registration": self.registration,
            "activityId": self.unit}, quote_via=quote)

    def get(self, path: str, **params: Any) -> Any:
        """Return what a path of the LRS answers."""
        return self.client.get(path, params=params).raise_for_status().json()

    def _put(self, path: str, document: object, **params: str) -> None:
        self.client.put(path, json=document, params=params, headers={"If-None-Match": "*"}).raise_for_status()


@pytest.fixture
def lms(account: Account) -> Lms:
    return Lms(account)


def test_a_session_of_cmi5_from_launch_to_transcript(browse: Play, lms: Lms, site: Site) -> None:
    lms.prepare()

    seen = browse(lms.launch_url(site))

    assert seen.get("failed") is None, seen
    assert seen["errors"] == []
    assert (seen["launchData"], seen["preferences"]["languagePreference"]) == (lms.launch_data, "en-US,fr-FR")
    lms.say(f"{CMI5.replace('/xapi/cmi5', '/xapi/adl/verbs')}/satisfied", {"id": f"{lms.unit}/course", "definition": {"type": f"{CMI5}/activitytype/course"}})
    said = lms.get("statements", registration=lms.registration, ascending="true")["statements"]
    assert [one["verb"]["id"].rsplit("/", 1)[1] for one in said] == [
        "launched", "initialized", "answered", "progressed", "passed", "completed", "terminated", "satisfied"]
    assert {one["context"]["extensions"][f"{CMI5}/context/extensions/sessionid"] for one in said} == {lms.session}
    [learner] = lms.get(f"{lms.account.endpoint[:-6]}/v1/learners", agent=json.dumps(lms.actor))["learners"]
    lines = {entry["activity"]["id"]: entry for entry in lms.get(f"{lms.account.endpoint[:-6]}/v1/learners/{learner['id']}/transcript")["entries"]}
    unit = lines[lms.unit]
    assert (unit["status"], unit["success"], unit["score"]["best"], unit["attempts"]) == ("passed", True, 0.92, 1)
    assert set(unit["statements"]) <= {one["id"] for one in said}


@pytest.mark.parametrize("adapter", ["axios", "fetch"])
@pytest.mark.parametrize("version", ["1.0.3", "2.0.0"])
def test_a_page_of_another_origin_writes_and_reads_what_it_may(browse: Play, account: Account, site: Site, version: str, adapter: str) -> None:
    auth = "Basic " + base64.b64encode(f"{account.key}:{account.secret}".encode()).decode()

    seen = browse(f"{site.url}/xapi.html?" + urlencode({
        "endpoint": account.endpoint, "auth": auth, "version": version, "adapter": adapter, "marker": account.marker}))

    assert seen.get("failed") is None, seen
    assert seen["listed"]
    exposed = seen["exposed"]
    assert all(exposed.values()), exposed
    assert (exposed["version"], exposed["outcome"]) == (version, "stored")
    assert "412" in seen["stale"]
    assert seen["doubled"] == [200, {"page": 2}]
    assert seen["anonymous"][0] == 401
    assert {"GET", "PUT", "POST"} <= set(seen["preflights"])
