"""Files that carry the SHA-256 of their content and of what they are: damage and mix-ups are noticed on reading.

The digest stands at the end of the file, where other programs that read ``.npy`` files do not look.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

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
