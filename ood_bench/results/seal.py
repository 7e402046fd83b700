"""A record's seal: the SHA-256 of its file, as one line of that file, so that a number changed later is noticed.

It guards against accidents and careless edits, not against somebody who takes the line out.
"""

import hashlib
import re
from pathlib import Path

from ood_bench.errors import RecordError

_LINE = re.compile(rb'\n  "seal": "([0-9a-f]{64})",(?=\n)')
_BEFORE = '\n  "seconds": '


def sealed(text: str) -> str:
    """The record's JSON text with its seal among the top-level keys.

    Args:
        text: as :meth:`~ood_bench.results.record.Record.to_json` gives it.
    """
    head, found, tail = text.rpartition(_BEFORE)
    assert found  # noqa: S101 - every record has this key at the top level, and nested ones are indented further
    return f'{head}\n  "seal": "{hashlib.sha256(text.encode()).hexdigest()}",{found}{tail}'


def is_sealed(content: bytes) -> bool:
    """Whether a record's file bears a seal; the first records were written without one."""
    return _LINE.search(content) is not None


def unsealed(text: str | bytes, where: str | Path) -> bytes:
    """The content of a record's file without its seal, if it has one.

    Args:
        text: the content.
        where: the file, named in the error.

    Raises:
        RecordError: if the content is not what the seal was put on.
    """
    content = text.encode() if isinstance(text, str) else text
    if (seal := _LINE.search(content)) is None:
        return content
    bare = content[: seal.start()] + content[seal.end() :]
    if hashlib.sha256(bare).hexdigest().encode() != seal[1]:
        raise RecordError(f"{where}: is torn or was changed after it was written: its content does not match its seal")
    return bare
