"""When which part of a result was measured: the execution spans in a primitive result's metadata."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Self, overload

import numpy as np
from numpy.typing import NDArray

_MOST_ELEMENTS = 2**34  # of one pub's data: what a mask over it may take, in bytes

Shape = tuple[int, ...]


class ExecutionSpan(ABC):
    """A time window of a job, and which shots of which pubs were measured in it. Spans sort by time.

    Attributes:
        start, stop: Aware, UTC.
    """

    tag: ClassVar[str]

    def __init__(self, start: datetime, stop: datetime, data_slices: Mapping[int, tuple[Any, ...]]) -> None:
        """
        Args:
            start, stop: A time without offset is UTC, as the service writes it.
            data_slices: Index of a pub to what of its data lies in the span, see the subclass.
        """
        self._start, self._stop = _utc(start), _utc(stop)
        self._slices = {index: tuple(entry) for index, entry in data_slices.items()}

    @classmethod
    def from_wire(cls, value: Any) -> Self:
        """The span that the tagged object's value describes.

        Raises:
            ValueError, TypeError, KeyError: It describes none.
        """
        slices = {int(index): cls._read(entry) for index, entry in value["data_slices"].items()}
        if not isinstance(value["start"], datetime) or not isinstance(value["stop"], datetime):
            raise TypeError("start and stop of a span are times")
        if any(index < 0 for index in slices):
            raise ValueError("the index of a pub is negative")
        return cls(value["start"], value["stop"], slices)

    def to_wire(self) -> dict[str, Any]:
        """The value of the tagged object; times stay times."""
        slices = {str(index): self._write(entry) for index, entry in self._slices.items()}
        return {"start": self._start, "stop": self._stop, "data_slices": slices}

    @classmethod
    @abstractmethod
    def _read(cls, entry: Sequence[Any]) -> tuple[Any, ...]:
        """A pub's entry from its list."""

    @classmethod
    @abstractmethod
    def _write(cls, entry: tuple[Any, ...]) -> list[Any]:
        """A pub's entry as a list."""

    @abstractmethod
    def mask(self, pub_idx: int) -> NDArray[np.bool_]:
        """Which shots of a pub lie in the span: shape (*pub shape, shots).

        Raises:
            KeyError: None of this pub do.
        """

    def _entry(self, pub_idx: int) -> tuple[Any, ...]:
        if pub_idx not in self._slices:
            raise KeyError(f"no data of pub {pub_idx} lies in this span")
        return self._slices[pub_idx]

    @property
    def start(self) -> datetime:
        """When the window begins, aware UTC."""
        return self._start

    @property
    def stop(self) -> datetime:
        """When the window ends, aware UTC."""
        return self._stop

    @property
    def duration(self) -> float:
        """Length of the window in s."""
        return (self._stop - self._start).total_seconds()

    @property
    def pub_idxs(self) -> list[int]:
        """The pubs of which data lies in the span, in order."""
        return sorted(self._slices)

    @property
    def size(self) -> int:
        """Number of shots in the span, over all pubs."""
        return sum(int(self.mask(index).sum()) for index in self._slices)

    def contains_pub(self, pub_idx: int | Iterable[int]) -> bool:
        """Whether data of this pub, or of any of these, lies in the span."""
        return not _indices(pub_idx).isdisjoint(self._slices)

    def filter_by_pub(self, pub_idx: int | Iterable[int]) -> Self:
        """The same window with the data of these pubs only."""
        wanted = _indices(pub_idx)
        kept = {index: entry for index, entry in self._slices.items() if index in wanted}
        return type(self)(self._start, self._stop, kept)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return (self._start, self._stop, self._slices) == (other._start, other._stop, other._slices)

    __hash__ = None  # type: ignore[assignment]  # as every value that can be compared and holds a mapping

    def __lt__(self, other: ExecutionSpan) -> bool:
        return (self._start, self._stop) < (other._start, other._stop)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(<start='{self._start:%Y-%m-%d %H:%M:%S}', "
            f"stop='{self._stop:%Y-%m-%d %H:%M:%S}', size={self.size}>)"
        )


class SliceSpan(ExecutionSpan):
    """A span whose entries are (shape with shots last, slice of the whole flattened data)."""

    tag = "ExecutionSpan"

    @classmethod
    def _read(cls, entry: Sequence[Any]) -> tuple[Any, ...]:
        shape, start, stop = entry
        return _shape(shape), _slice(start, stop)

    @classmethod
    def _write(cls, entry: tuple[Any, ...]) -> list[Any]:
        shape, data = entry
        return [list(shape), data.start, data.stop]

    def mask(self, pub_idx: int) -> NDArray[np.bool_]:
        shape, data = self._entry(pub_idx)
        mask = np.zeros(shape, dtype=np.bool_)
        mask.reshape(-1)[data] = True
        return mask


class DoubleSliceSpan(ExecutionSpan):
    """A span whose entries are (shape with shots last, slice of the flattened pub shape, slice of the shots)."""

    tag = "DoubleSliceSpan"

    @classmethod
    def _read(cls, entry: Sequence[Any]) -> tuple[Any, ...]:
        shape, start, stop, shot_start, shot_stop = entry
        return _shape(shape, least=1), _slice(start, stop), _slice(shot_start, shot_stop)

    @classmethod
    def _write(cls, entry: tuple[Any, ...]) -> list[Any]:
        shape, data, shots = entry
        return [list(shape), data.start, data.stop, shots.start, shots.stop]

    def mask(self, pub_idx: int) -> NDArray[np.bool_]:
        return _masked(*self._entry(pub_idx))


class TwirledSliceSpan(ExecutionSpan):
    """A span of a twirled pub: entries are (shape with randomizations and, last, shots of each; whether the
    randomizations are its first axis; slice of all but the shots, flattened; slice of the shots).

    The mask has the shots of all randomizations on its last axis.
    """

    tag = "TwirledSliceSpan"

    @classmethod
    def _read(cls, entry: Sequence[Any]) -> tuple[Any, ...]:
        shape, at_front, start, stop, shot_start, shot_stop = entry
        if not isinstance(at_front, bool):
            raise TypeError("where the randomizations stand is true or false")
        return _shape(shape, least=2), at_front, _slice(start, stop), _slice(shot_start, shot_stop)

    @classmethod
    def _write(cls, entry: tuple[Any, ...]) -> list[Any]:
        shape, at_front, data, shots = entry
        return [list(shape), at_front, data.start, data.stop, shots.start, shots.stop]

    def mask(self, pub_idx: int) -> NDArray[np.bool_]:
        shape, at_front, data, shots = self._entry(pub_idx)[:4]
        mask = _masked(shape, data, shots)
        if at_front:
            mask = np.moveaxis(mask, 0, -2)
        return mask.reshape((*mask.shape[:-2], math.prod(mask.shape[-2:])))


class TwirledSliceSpanV2(TwirledSliceSpan):
    """A `TwirledSliceSpan` whose entries end with the pub's shots: the randomizations may give more than that."""

    tag = "TwirledSliceSpanV2"

    @classmethod
    def _read(cls, entry: Sequence[Any]) -> tuple[Any, ...]:
        *first, shots = entry
        return (*super()._read(first), _count(shots))

    @classmethod
    def _write(cls, entry: tuple[Any, ...]) -> list[Any]:
        return [*super()._write(entry[:4]), entry[4]]

    def mask(self, pub_idx: int) -> NDArray[np.bool_]:
        return super().mask(pub_idx)[..., : self._entry(pub_idx)[4]]


SPANS: Mapping[str, type[ExecutionSpan]] = {
    kind.tag: kind for kind in (SliceSpan, DoubleSliceSpan, TwirledSliceSpan, TwirledSliceSpanV2)
}


class ExecutionSpans(Sequence[ExecutionSpan]):
    """The spans of a job, as a list. Windows may overlap: each only holds all of its data."""

    def __init__(self, spans: Iterable[ExecutionSpan]) -> None:
        self._spans = list(spans)
        if not all(isinstance(span, ExecutionSpan) for span in self._spans):
            raise TypeError("something else is among the spans")

    def __len__(self) -> int:
        return len(self._spans)

    @overload
    def __getitem__(self, index: int) -> ExecutionSpan: ...
    @overload
    def __getitem__(self, index: slice | list[int]) -> ExecutionSpans: ...
    def __getitem__(self, index: int | slice | list[int]) -> ExecutionSpan | ExecutionSpans:
        if isinstance(index, slice):
            return ExecutionSpans(self._spans[index])
        if isinstance(index, list):
            return ExecutionSpans(self._spans[one] for one in index)
        return self._spans[index]

    def __iter__(self) -> Iterator[ExecutionSpan]:
        return iter(self._spans)

    def __eq__(self, other: object) -> bool:
        return self._spans == other._spans if isinstance(other, ExecutionSpans) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # its items have none

    def __repr__(self) -> str:
        return f"ExecutionSpans({self._spans!r})"

    @property
    def pub_idxs(self) -> list[int]:
        """The pubs of which data lies in any of the spans, in order."""
        return sorted({index for span in self._spans for index in span.pub_idxs})

    @property
    def start(self) -> datetime:
        """When the first one begins, aware UTC. ValueError when there is none."""
        return min(span.start for span in self._spans)

    @property
    def stop(self) -> datetime:
        """When the last one ends, aware UTC. ValueError when there is none."""
        return max(span.stop for span in self._spans)

    @property
    def duration(self) -> float:
        """From the first start to the last stop, in s."""
        return (self.stop - self.start).total_seconds()

    def filter_by_pub(self, pub_idx: int | Iterable[int]) -> ExecutionSpans:
        """The same windows with the data of these pubs only."""
        wanted = _indices(pub_idx)
        return ExecutionSpans(span.filter_by_pub(wanted) for span in self._spans)

    def sort(self, inplace: bool = True) -> ExecutionSpans:
        """The spans in order of time: these themselves, or a copy."""
        sorted_spans = self if inplace else ExecutionSpans(self._spans)
        sorted_spans._spans.sort()
        return sorted_spans


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _indices(pub_idx: int | Iterable[int]) -> set[int]:
    return {pub_idx} if isinstance(pub_idx, int) else set(pub_idx)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST_ELEMENTS:
        raise ValueError(f"{value!r} is no number of elements")
    return value


def _slice(start: Any, stop: Any) -> slice:
    return slice(_count(start), _count(stop))


def _shape(value: Any, least: int = 0) -> Shape:
    shape = tuple(_count(size) for size in value)
    if len(shape) < least or len(shape) > 32 or math.prod(shape) > _MOST_ELEMENTS:
        raise ValueError("the shape of a pub's data has too few or too many axes or elements")
    return shape


def _masked(shape: Shape, data: slice, shots: slice) -> NDArray[np.bool_]:
    mask = np.zeros(shape, dtype=np.bool_)
    mask.reshape((math.prod(shape[:-1]), shape[-1]))[data, shots] = True
    return mask
