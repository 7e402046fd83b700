"""Files that carry the SHA-256 of their content and of what they are: damage and mix-ups are noticed on reading.

In binary files the digest stands at the end, where other programs that read ``.npy`` files do not look; in JSON it is
the value of the key ``seal``.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ood_bench.utils.files import canonical_json

_MARK = b"\nood-bench sha256 "
_LENGTH = len(_MARK) + 64
_BLOCK = 1 << 20


def with_digest(content: bytes, identity: str) -> bytes:
    """The bytes of a file: ``content`` and its digest.

    Args:
        content: what is kept.
        identity: what it is; a file that is put in another one's place is noticed by it.
    """
    return content + _hash(identity, [content])


def without_digest(whole: bytes, identity: str) -> bytes:
    """The content of a file that :func:`with_digest` made.

    Raises:
        ValueError: if the content is not what was written, or was written as something else.
    """
    content, end = whole[:-_LENGTH], whole[-_LENGTH:]
    _compare(end, _hash(identity, [content]))
    return content


def check_digest(path: Path, identity: str) -> None:
    """Reads a file once, a block at a time, and raises what :func:`without_digest` does."""
    left = path.stat().st_size - _LENGTH
    with path.open("rb") as file:
        digest = _hash(identity, (file.read(min(_BLOCK, left - start)) for start in range(0, left, _BLOCK)))
        _compare(file.read(), digest)


def undigested(path: Path, start: int) -> bytes:
    """What a file holds between byte ``start`` and its digest."""
    with path.open("rb") as file:
        file.seek(start)
        return file.read()[:-_LENGTH]


def with_seal(content: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON object with its seal: the SHA-256 of all its other keys and values."""
    bare = {key: value for key, value in content.items() if key != "seal"}
    return {**bare, "seal": hashlib.sha256(canonical_json(bare).encode()).hexdigest()}


def without_seal(whole: Any) -> dict[str, Any]:
    """The object without its seal, if it has one: those of version 0.1 have none.

    Raises:
        ValueError: if it is no object, or its content is not what the seal was put on.
    """
    if not isinstance(whole, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004 - one kind of error for all damage
    if "seal" in whole and with_seal(whole) != whole:
        raise ValueError("its content does not match its seal")
    return {key: value for key, value in whole.items() if key != "seal"}


def _hash(identity: str, blocks: Iterable[bytes]) -> bytes:
    digest = hashlib.sha256(identity.encode() + b"\0")
    for block in blocks:
        digest.update(block)
    return _MARK + digest.hexdigest().encode()


def _compare(found: bytes, expected: bytes) -> None:
    if not found.startswith(_MARK):
        raise ValueError("it has no digest: it is cut off, or was written before version 0.2")
    if found != expected:
        raise ValueError("its content is not what was written")
