"""What a user chooses of a checkpoint's file: one of its networks, tensors to leave out, other names."""

import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from torch import Tensor

from ood_bench.errors import ArtifactError

_LISTED = 5


@dataclass(frozen=True)
class Choice:
    """Three choices, none of which most files need.

    Attributes:
        entry: the network to read where the file holds several, as in ``state_dict_ema`` or ``ema.state_dict``.
        ignore: tensors to leave out, by the names of the file: ``*`` stands for any letters, ``head`` also for all
            that begins with ``head.``.
        rename: pairs of an old and a new name, applied one after the other to what is left: whole names, or what they
            begin with (``encoder.`` and nothing takes it off). ``*`` stands for any letters, which the new name's
            ``*`` takes over.
    """

    entry: str | None = None
    ignore: tuple[str, ...] = ()
    rename: tuple[tuple[str, str], ...] = ()

    def identity(self) -> dict[str, Any]:
        """JSON-able description of what is chosen, empty if nothing is: a part of the classifier's key."""
        chosen = {"entry": self.entry, "ignore": list(self.ignore), "rename": [list(pair) for pair in self.rename]}
        return {key: value for key, value in chosen.items() if value}

    def applied(self, state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
        """Leaves out and renames tensors.

        Returns:
            The tensors by their new names, and the old names of those left out.

        Raises:
            ArtifactError: if a pattern meets no tensor, or two tensors get one name.
        """
        for pattern in self.ignore:
            _refuse_idle("ignore", pattern, any(_is_meant(pattern, name) for name in state), state)
        left_out = [name for name in state if any(_is_meant(pattern, name) for pattern in self.ignore)]
        names = {name: name for name in state if name not in set(left_out)}
        for old, new in self.rename:
            before = list(names.values())
            names = {name: renamed(shown, old, new) for name, shown in names.items()}
            _refuse_idle("rename", old, before != list(names.values()), before)
        found: dict[str, Tensor] = {}
        for name, shown in names.items():
            if shown in found:
                raise ArtifactError(f"two of its tensors are called {shown} after renaming, one of them was {name}")
            found[shown] = state[name]
        return found, left_out


def _is_meant(pattern: str, name: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")


def renamed(name: str, old: str, new: str) -> str:
    """The name after one renaming; the name itself if it does not begin with the old one."""
    tail = "(.*)" if old.endswith(".") else r"(|\..*)"
    fits = re.fullmatch("(.*)".join(map(re.escape, old.split("*"))) + tail, name, re.DOTALL)
    if fits is None:
        return name
    *letters, rest = fits.groups()
    head = re.sub(r"\*", lambda _: letters.pop(0) if letters else "", new)
    return (head + rest).removeprefix(".")


def _refuse_idle(what: str, pattern: str, used: bool, names: Iterable[str]) -> None:
    if not used:
        some = ", ".join(itertools.islice(names, _LISTED))
        raise ArtifactError(f"{what} {pattern}: none of its tensors is called so; the first are {some}")
