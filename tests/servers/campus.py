"""A tenant of a running system as those who award and those who learn meet it: statements in, programmes published, credentials out, each waited for."""
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import httpx

from tests.servers.system import System

Json = dict[str, Any]
_T = TypeVar("_T")
PATIENCE_S = 40.0
ADL, ACTIVITY = "http://adlnet.gov/expapi/verbs/", "http://adlnet.gov/expapi/activities/"
ASSURANCE = "https://w3id.org/testamur/ext/identity-assurance"
PASSPORT = {ASSURANCE: {"method": "passport", "level": "substantial"}}
"""A context extension: who they are was checked."""


class Campus:
    """One tenant, its office (an administrator), and whoever else sends statements to it."""

    def __init__(self, system: System, folder: Path) -> None:
        """`folder` is where files for the command are written."""
        self.system, self._folder, self._tenant = system, folder, f"campus-{uuid4()}"
        self._senders: dict[str, httpx.Client] = {}
        self._keys: dict[str, tuple[str, str]] = {}
        self._position, self._heard = "", ""
        self.office = self.sender("office", "lrs:admin")

    def sender(self, name: str, *scopes: str, authority: Json | None = None) -> httpx.Client:
        """Return the client of a key of that name, made the first time it is asked for."""
        if name not in self._senders:
            wanted = [part for scope in scopes or ("statements/write",) for part in ("--scope", scope)]
            vouching = ["--authority", json.dumps(authority)] if authority else []
            ended = self.system.command("key", "create", "--name", name, "--tenant", self._tenant, *wanted, *vouching, "--json")
            assert ended.returncode == 0, ended.stderr
            made = json.loads(ended.stdout)
            self._keys[name] = made["key"], made["secret"]
            self._senders[name] = httpx.Client(
                base_url=self.system.url, auth=self._keys[name], timeout=60, headers={"X-Experience-API-Version": "1.0.3"}, trust_env=False)
        return self._senders[name]

    def assessor(self, name: str) -> httpx.Client:
        """Return somebody whose word counts for itself: with the authority https://assessors.example.org/name."""
        return self.sender(f"assessor-{name}", authority=account("https://assessors.example.org", name))

    def close(self) -> None:
        """Close every connection."""
        for client in self._senders.values():
            client.close()

    def ask(self, method: str, path: str, body: Json | None = None, *, expect: int = 200) -> httpx.Response:
        """Let the office ask; whatever was written before is folded."""
        headers = {"LRS-Min-Position": self._position, "Prefer": "wait=10"} if self._position and method == "GET" else {}
        answer = self.office.request(method, path, json=body, headers=headers) if body is not None else self.office.request(method, path, headers=headers)
        assert answer.status_code == expect, f"{method} {path}: {answer.status_code} {answer.text} {self._log(answer)}"
        self._position = answer.headers.get("LRS-Position", self._position) if method != "GET" else self._position
        return answer

    def send(self, *statements: Json, by: httpx.Client | None = None) -> list[str]:
        """Send statements in one request, the office's unless it is somebody else's; return their ids."""
        answer = (by or self.office).post("/xapi/statements", json=list(statements))
        assert answer.status_code == 200, answer.text
        self._position = answer.headers["LRS-Position"]
        return list(answer.json())

    def void(self, statement: str, by: httpx.Client | None = None) -> str:
        """Void a statement; return the id of what voids it."""
        [id_] = self.send(said(mailbox("registrar"), "voided", {"objectType": "StatementRef", "id": statement}), by=by)
        return id_

    def link(self, one: Json, other: Json) -> str:
        """Link two agents; return the id of the link."""
        return str(self.ask("POST", "/v1/identity/links", {"agents": [one, other], "reason": "the registrar knows them"}, expect=201).json()["id"])

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a command of `testamur` with the office's key."""
        key, secret = self._keys["office"]
        return self.system.command(*arguments, "--key", key, "--secret", secret)

    def written(self, name: str, text: str) -> str:
        """Return the path of a file that holds a text."""
        path = self._folder / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    def publish(self, text: str, *, expect: int = 201) -> Json:
        """Publish a programme over HTTP."""
        answer = self.office.post("/v1/programmes", content=text.encode(), headers={"Content-Type": "application/yaml"})
        assert answer.status_code == expect, answer.text
        self._position = answer.headers.get("LRS-Position", self._position)
        published: Json = answer.json()
        return published

    def publish_by_command(self, text: str) -> None:
        """Publish a programme by the command."""
        ended = self.run("programme", "publish", self.written(f"{uuid4()}.yaml", text))
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert "published" in ended.stdout

    def preview(self, text: str) -> Json:
        """Return who would gain and who would lose: lists of learner ids, and how many stay."""
        answer = self.office.post("/v1/programmes/preview", content=text.encode(), headers={"Content-Type": "application/yaml"})
        assert answer.status_code == 200, answer.text
        found = answer.json()
        return {"gain": ids_of(found["gain"]), "lose": ids_of(found["lose"]), "same": found["same"]}

    def learner(self, agent: Json) -> str:
        """Return the id of the learner that an agent is."""
        [found] = self.ask("GET", f"/v1/learners?{httpx.QueryParams(agent=json.dumps(agent))}").json()["learners"]
        return str(found["id"])

    def credentials(self, agent: Json, slug: str | None = None) -> list[Json]:
        """Return the learner's credentials, of one programme if it is named, in the order of their award."""
        found = self.ask("GET", f"/v1/learners/{self.learner(agent)}/credentials?limit=500").json()["credentials"]
        return sorted((each for each in found if slug in (None, slug_of(each["programme"]))), key=lambda each: str(each["awarded_at"]))

    def credential(self, id_: str) -> Json:
        """Return a credential by its id."""
        found: Json = self.ask("GET", f"/v1/credentials/{id_}").json()
        return found

    def awarded(self, agent: Json, slug: str, state: str = "issued", *, of: int = 1) -> Json:
        """Wait until the learner's last of `of` credentials of a programme is in a state; return it."""

        def there() -> Json | None:
            held = self.credentials(agent, slug)
            in_state = [each for each in held if each["state"] == state]
            return in_state[-1] if len(held) >= of and in_state else None

        return self.wait_until(there, f"{slug}: {state}, {of} in all, for {agent}")

    def programme_is(self, agent: Json, slug: str, state: str) -> Json:
        """Wait until the learner's list of programmes says a state of one; return that line."""

        def there() -> Json | None:
            lines = self.ask("GET", f"/v1/learners/{self.learner(agent)}/programmes").json()["programmes"]
            return next((line for line in lines if line["slug"] == slug and line["state"] == state), None)

        return self.wait_until(there, f"{slug} being {state} for {agent}")

    def explain(self, agent: Json, slug: str, **moments: str) -> Json:
        """Return why, or why not."""
        query = f"?{httpx.QueryParams(moments)}" if moments else ""
        found: Json = self.ask("GET", f"/v1/learners/{self.learner(agent)}/programmes/{slug}/explain{query}").json()
        return found

    def page(self, agent: Json, slug: str) -> str:
        """Return the explanation as a page for people."""
        path = f"/v1/learners/{self.learner(agent)}/programmes/{slug}/explain"
        answer = self.office.get(path, headers={"Accept": "text/html"})
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith("text/html")
        return answer.text

    def events(self, **query: Any) -> list[Json]:
        """Return the events so far."""
        found: list[Json] = []
        after = None
        while True:
            page = self.ask("GET", f"/v1/events?{httpx.QueryParams({'limit': 500, **({'after': after} if after else {}), **query})}").json()
            found += page["events"]
            if not page["events"] or page["next"] == after:
                break
            after = page["next"]
        return found

    def told(self, n: int, such: Callable[[Json], bool], **query: Any) -> list[Json]:
        """Wait until there are `n` such events; return them, in order. A credential can be read a moment before what tells of it."""

        def there() -> list[Json] | None:
            found = [event for event in self.events(**query) if such(event)]
            return found if len(found) >= n else None

        return self.wait_until(there, f"{n} such events of {query or 'all'}")

    def told_of(self, credential: str, n: int) -> list[Json]:
        """Wait until there are `n` events of a credential; return them, in order."""
        return self.told(n, lambda event: str(event["data"].get("credential", "")).endswith(credential))

    def types_of(self, credential: str, n: int) -> list[str]:
        """Wait until there are `n` events of a credential; return their types, in order."""
        return [str(event["type"]) for event in self.told_of(credential, n)]

    def _log(self, answer: httpx.Response) -> str:
        """Return the end of what the system printed, where it is at fault."""
        return self.system.tail(1000) if answer.status_code >= 500 else ""

    def wait_until(self, there: Callable[[], _T | None], what: str) -> _T:
        """Ask again whenever an event comes."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            found = there()
            if found is not None:
                return found
            assert time.monotonic() < deadline, f"never came: {what}; {self.system.tail()}"
            following = {"after": self._heard} if self._heard else {}
            page = self.ask("GET", f"/v1/events?{httpx.QueryParams({'limit': 500, 'wait': 2, **following})}").json()
            self._heard = page["next"] or self._heard


def mailbox(name: str) -> Json:
    """Return an agent by a mailbox."""
    return {"objectType": "Agent", "mbox": f"mailto:{name}@example.org", "name": name.replace(".", " ").title()}


def account(platform: str, name: str) -> Json:
    """Return an agent by an account."""
    return {"objectType": "Agent", "account": {"homePage": platform, "name": name}}


def course(iri: str, type_: str = "course") -> Json:
    """Return an activity of a type."""
    return {"objectType": "Activity", "id": iri, "definition": {"type": type_ if "://" in type_ else ACTIVITY + type_, "name": {"en": iri.rsplit("/", 1)[-1]}}}


def said(who: Json, verb: str, what: Json | str, at: str | None = None, **members: Any) -> Json:
    """Return a statement; `verb` is one of ADL's or an IRI, `what` an object or the IRI of a course, `at` its timestamp."""
    object_ = course(what) if isinstance(what, str) else what
    statement = {"id": str(uuid4()), "actor": who, "verb": {"id": verb if "://" in verb else ADL + verb}, "object": object_, **members}
    return statement if at is None else {**statement, "timestamp": at}


def scored(scaled: float) -> Json:
    """Return a result of success with a score."""
    return {"success": True, "score": {"scaled": scaled}}


def slug_of(programme: str) -> str:
    """Return the slug of a programme that is named by it or by its IRI."""
    return programme.rstrip("/").rsplit("/", 1)[-1]


def ids_of(learners: list[Any]) -> list[str]:
    """Return the ids of learners in a list."""
    return [each["id"] if isinstance(each, dict) else each for each in learners]


def nodes(tree: Json) -> Iterator[Json]:
    """Give a clause of an explanation and all below it."""
    yield tree
    for child in tree.get("of") or []:
        yield from nodes(child)


def clause(explained: Json, label: str) -> Json:
    """Return the clause of an explanation that has a label."""
    [found] = [node for node in nodes(explained["tree"]) if node["label"] == label]
    return found


def statements_in(explained: Json) -> set[str]:
    """Return the ids of all statements that an explanation names."""
    return {each["id"] for node in nodes(explained["tree"]) for each in node.get("statements") or []}


def states(credential: Json) -> list[str]:
    """Return the states that a credential went through."""
    return [entry["state"] for entry in credential["history"]]
