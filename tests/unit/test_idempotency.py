"""Ids that ingest makes: random ones, and the keyed ones that make a POST without ids repeatable."""
from collections.abc import Callable, Mapping
from pathlib import Path
from uuid import UUID, uuid4

import orjson
import pytest

from services.core.errors import BadRequest
from services.core.keys import KeyedHash
from services.ingest.statements import Naming, batch_of, keyed_ids
from services.runtime.settings import Settings

HASHES = KeyedHash(b"secret")
SETTINGS = Settings(secret="secret", data_dir=Path("/nonexistent"))
BARE = {"actor": {"mbox": "mailto:ada@example.org"}, "verb": {"id": "urn:x-v"}, "object": {"id": "urn:x-a"}}


def _random(_: int) -> tuple[UUID, bool]:
    return uuid4(), True


def _ids(new_id: Callable[[int], tuple[UUID, bool]], *statements: Mapping[str, object]) -> list[str]:
    return [statement.text for statement in batch_of(orjson.dumps(statements), "2.0.0", SETTINGS, Naming(new_id)).statements]


def test_the_same_key_gives_the_same_ids_and_any_other_part_gives_others() -> None:
    first = _ids(keyed_ids(HASHES, "tenant", "credential", "key"), BARE, BARE)
    assert _ids(keyed_ids(HASHES, "tenant", "credential", "key"), BARE, BARE) == first
    others = [
        keyed_ids(HASHES, "other", "credential", "key"), keyed_ids(HASHES, "tenant", "other", "key"), keyed_ids(HASHES, "tenant", "credential", "other"),
        keyed_ids(HASHES, "tenantcredential", "", "key"), keyed_ids(KeyedHash(b"other"), "tenant", "credential", "key"),
    ]
    for other in others:
        assert set(_ids(other, BARE, BARE)).isdisjoint(first)


def test_each_statement_of_a_batch_has_its_own_id_of_version_4() -> None:
    for ids in (_ids(keyed_ids(HASHES, "t", "c", "k"), *[BARE] * 50), _ids(_random, *[BARE] * 50)):
        assert len(set(ids)) == 50
        assert {(UUID(id_).version, UUID(id_).variant) for id_ in ids} == {(4, "specified in RFC 4122")}


def test_ids_that_the_sender_gave_are_kept_as_he_wrote_them() -> None:
    given = str(uuid4()).upper()
    ids = _ids(keyed_ids(HASHES, "t", "c", "k"), BARE, {**BARE, "id": given})
    assert ids[1] == given
    assert ids[0] != given


def test_only_ids_made_at_random_need_no_look_up() -> None:
    [random] = batch_of(orjson.dumps(BARE), "2.0.0", SETTINGS, Naming(_random)).statements
    [keyed] = batch_of(orjson.dumps(BARE), "2.0.0", SETTINGS, Naming(keyed_ids(HASHES, "t", "c", "k"))).statements
    [given] = batch_of(orjson.dumps({**BARE, "id": str(uuid4())}), "2.0.0", SETTINGS, Naming(_random)).statements
    assert (random.made, keyed.made, given.made) == (True, False, False)


def test_a_put_has_the_id_of_its_request() -> None:
    id_ = str(uuid4())
    [put] = batch_of(orjson.dumps(BARE), "2.0.0", SETTINGS, Naming(_random, single=id_)).statements
    assert (put.id, put.made) == (UUID(id_), False)
    [same] = batch_of(orjson.dumps({**BARE, "id": id_.upper()}), "2.0.0", SETTINGS, Naming(_random, single=id_)).statements
    assert same.id == UUID(id_)
    with pytest.raises(BadRequest) as refused:
        batch_of(orjson.dumps({**BARE, "id": str(uuid4())}), "2.0.0", SETTINGS, Naming(_random, single=id_))
    assert refused.value.pointer == "/id"


def test_a_batch_goes_by_the_identity_of_its_first_actor_whatever_its_form() -> None:
    sha1 = {**BARE, "actor": {"mbox_sha1sum": "dbaf4e65f4b20d5dd0aa4a8f1c1f6b7e8c8e6a5d"}}
    assert batch_of(orjson.dumps([BARE, sha1]), "2.0.0", SETTINGS, Naming(_random)).who == batch_of(orjson.dumps(BARE), "1.0.3", SETTINGS, Naming(_random)).who
    group = {**BARE, "actor": {"objectType": "Group", "member": [{"mbox": "mailto:a@example.org"}]}}
    batch = batch_of(orjson.dumps(group), "2.0.0", SETTINGS, Naming(_random))
    assert batch.who == batch.statements[0].text
