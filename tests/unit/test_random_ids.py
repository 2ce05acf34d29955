"""The ids that are made up: each once, and of the version that every client takes."""
from uuid import RFC_4122

from services.runtime.random_ids import random_ids


def test_each_id_is_a_uuid_of_version_4_and_comes_once() -> None:
    new_id = random_ids()
    ids = [new_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert {(one.version, one.variant) for one in ids} == {(4, RFC_4122)}
    assert all(one.int.bit_length() <= 128 and str(one)[14] == "4" and str(one)[19] in "89ab" for one in ids)


def test_every_other_bit_is_random() -> None:
    new_id = random_ids()
    always, ever = (1 << 128) - 1, 0
    for _ in range(1000):
        one = new_id().int
        always, ever = always & one, ever | one
    assert always.bit_count() == 2, "the version's and the variant's are always set"
    assert ever.bit_count() == 128 - 4, "three of the version's and one of the variant's never are"
