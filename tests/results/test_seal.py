import hashlib
import json

import pytest

from ood_bench.errors import RecordError
from ood_bench.results import Record
from ood_bench.results.seal import is_sealed, sealed, unsealed


@pytest.fixture
def text(make) -> str:
    return make().to_json()


def test_it_is_the_hash_of_the_rest(text):
    content = json.loads(sealed(text))
    assert content.pop("seal") == hashlib.sha256(text.encode()).hexdigest()
    assert content == json.loads(text)


def test_it_comes_off_again(text, make):
    assert unsealed(sealed(text), "here") == text.encode()
    assert unsealed(sealed(text).encode(), "here") == text.encode()
    assert Record.from_json(sealed(text), "here") == make()
    assert is_sealed(sealed(text).encode())


def test_a_record_without_one_is_read(text, make):
    assert not is_sealed(text.encode())
    assert Record.from_json(text, "here") == make()


@pytest.mark.parametrize("change", [lambda whole: whole.replace("87.5", "88.5"), lambda whole: whole[:-20]])
def test_any_change_breaks_it(text, change):
    with pytest.raises(RecordError, match="here: is torn or was changed after it was written"):
        unsealed(change(sealed(text)), "here")


def test_the_word_inside_a_record_is_no_seal(make):
    record = make(notes=['"seconds": 1, "seal": "x"'], hyperparameters={"seal": "0" * 64, "seconds": 3})
    assert Record.from_json(sealed(record.to_json()), "here") == record
