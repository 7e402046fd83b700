"""Tables inside a readme, between markers that say which block belongs there."""

import re
from collections.abc import Mapping
from pathlib import Path

from ood_bench.errors import ConfigError

_OPEN = re.compile(r"^<!-- table:(?P<name>\S+) -->[ \t]*$", re.MULTILINE)
_CLOSE = re.compile(r"^<!-- /table -->[ \t]*$", re.MULTILINE)


def refreshed(text: str, inserts: Mapping[str, str], where: str | Path) -> str:
    """``text`` with what stands between ``<!-- table:NAME -->`` and ``<!-- /table -->`` replaced.

    Args:
        text: Markdown; both markers stand at the start of lines of their own.
        inserts: new content by name.
        where: the file that ``text`` comes from, named in errors.

    Raises:
        ConfigError: if a marker names no block, or markers do not pair up.
    """
    parts, position = [], 0
    while opening := _OPEN.search(text, position):
        name, line = opening["name"], text.count("\n", 0, opening.start()) + 1
        if name not in inserts:
            raise ConfigError(
                f"{where}, line {line}: no block {name!r}; there is {', '.join(sorted(inserts)) or 'none'}"
            )
        closing, following = _CLOSE.search(text, opening.end()), _OPEN.search(text, opening.end())
        if closing is None or (following and following.start() < closing.start()):
            raise ConfigError(f"{where}, line {line}: `<!-- table:{name} -->` has no `<!-- /table -->` after it")
        parts += [text[position : opening.end()], f"\n\n{inserts[name]}\n\n", closing[0]]
        position = closing.end()
    return "".join([*parts, text[position:]])
