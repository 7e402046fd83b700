"""Pictures that are decoded while a network runs over them: a set needs neither memory nor a place in the store."""

import hashlib
import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, SupportsIndex, cast

import numpy as np
import numpy.typing as npt

from ood_bench.data.decode import MOST_THREADS, Decoding, decode_file, other_size
from ood_bench.data.imageset import Images, ImageSet, Rows
from ood_bench.utils.files import canonical_json

_AHEAD = 256
"""Decoded pictures that wait for the network at most, beside the batch that it works on."""


class StreamedImages:
    """Image files that look like an array uint8 ``[N, C, H, W]``, read whenever rows are asked for; none is kept.

    Args:
        paths: the files, in the order of the set.
        how: mode and resize policy, one for all or one each.
        name: the set's name, for messages.
        numbers: the pictures' numbers in the whole set, which random crops are keyed by; none for 0, 1, ...
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(
        self, paths: Sequence[Path], how: Decoding | Sequence[Decoding], name: str, numbers: Rows | None = None
    ) -> None:
        self._paths, self._name = paths, name
        self._how: Sequence[Decoding] = [how] * len(paths) if isinstance(how, Decoding) else how
        self._numbers = np.arange(len(paths)) if numbers is None else numbers
        self.shape: tuple[int, ...] = (len(paths), *decode_file(paths[0], int(self._numbers[0]), self._how[0]).shape)

    @classmethod
    def joined(cls, parts: Sequence["StreamedImages"], name: str) -> "StreamedImages":
        """The pictures of several sets, one set after the other."""
        paths = [path for part in parts for path in part._paths]
        how = [one for part in parts for one in part._how]
        return cls(paths, how, name, np.concatenate([part._numbers for part in parts]))

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, rows: SupportsIndex | slice | Rows) -> Images:
        """One picture ``[C, H, W]``, or those of a slice or of row numbers ``[n, C, H, W]``, decoded now.

        Raises:
            DataError: if a file is no whole picture, or of another size than the first.
        """
        if not isinstance(rows, slice | np.ndarray):  # an array has __index__, too
            return self._decode(int(rows))
        wanted = np.arange(len(self))[rows]
        return next(self.batches(wanted, len(wanted)), np.empty((0, *self.shape[1:]), dtype=np.uint8))

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """Refuses: what asks for the whole array, such as training, needs a set that the store has decoded.

        Raises:
            TypeError: always.
        """
        raise TypeError(f"{self._name} is decoded as it is read (data.decode=stream): there is no whole array of it")

    def take(self, rows: Rows) -> "StreamedImages":
        """Only these rows, in this order, with the pixels that they have in the whole set."""
        how = [self._how[row] for row in rows]
        return StreamedImages([self._paths[row] for row in rows], how, self._name, self._numbers[rows])

    def batches(self, rows: Rows, batch_size: int) -> Iterator[Images]:
        """The rows' pictures ``[B, C, H, W]`` in order; the next ones are decoded while the caller is busy.

        Raises:
            DataError: as for an index.
        """
        threads = min(MOST_THREADS, os.cpu_count() or 1)
        waiting: deque[Future[Images]] = deque()
        coming = iter(rows.tolist())
        with ThreadPoolExecutor(threads) as pool:
            try:
                for start in range(0, len(rows), batch_size):
                    size = min(batch_size, len(rows) - start)
                    batch: Images = np.empty((size, *self.shape[1:]), dtype=np.uint8)
                    for place in range(size):
                        for _, row in zip(range(_AHEAD + 1 - len(waiting)), coming, strict=False):
                            waiting.append(pool.submit(self._decode, row))
                        batch[place] = waiting.popleft().result()
                    yield batch
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _decode(self, row: int) -> Images:
        pixels = decode_file(self._paths[row], int(self._numbers[row]), self._how[row])
        if pixels.shape != self.shape[1:]:
            raise other_size(self._name, self._paths[row], pixels, self._paths[0], self.shape[1:])
        return pixels


def streamed(
    name: str,
    images: StreamedImages,
    labels: Sequence[int] | npt.NDArray[np.integer] | None,
    identity: Mapping[str, Any],
    *,
    variant: str = "",
    class_names: Sequence[str] = (),
) -> ImageSet:
    """A set whose pixels nobody has seen: its fingerprint is that of what determines them.

    Args:
        name: canonical name.
        images: its pictures.
        labels: one an image, or none.
        identity: JSON-able, everything that determines the pixels and labels.
        variant: see :class:`ImageSet`.
        class_names: see :class:`ImageSet`.
    """
    digest = hashlib.sha256(canonical_json(identity).encode(errors="surrogateescape")).hexdigest()
    whole = None if labels is None else np.asarray(labels, dtype=np.int64)
    return ImageSet(name, cast(Images, images), whole, digest, variant, tuple(class_names))


def stream_of(images: ImageSet) -> StreamedImages | None:
    """The pictures of a set that is decoded as it is read; none for one in the store or in memory."""
    pixels: object = images.images
    return pixels if isinstance(pixels, StreamedImages) else None
