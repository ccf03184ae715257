"""What is known of a job: its name, tags and note, its times, what it used, what it was given."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import attrs

from qprovider_core._checks import checked_name, checked_tags
from qprovider_core._key_tag import has_room, key_tag
from qprovider_core._tracked_job import TrackedJob
from qprovider_core.errors import InvalidInputError, QProviderError, UnknownJobError
from qprovider_core.records import BackendProperties, JobDetails, JobRecord, JobUsage, QueueInfo


class JobFacts(TrackedJob):
    """A job with all that can be asked of it beside its result."""

    def creation_date(self) -> datetime | None:
        """When it was created, aware UTC."""
        return self.info.created_at

    def queue_info(self) -> QueueInfo | None:
        """Its place in the queue, where the vendor tells it; None when it does not, or once it runs."""
        return self._glance().queue

    def queue_position(self) -> int | None:
        """Jobs before it plus 1, where the vendor tells it."""
        queue = self.queue_info()
        return None if queue is None else queue.position

    def error_message(self) -> str | None:
        """Why it failed; None when it did not."""
        return self._glance().error

    def name(self) -> str | None:
        """The user's name for it."""
        if self.info.name:
            return self.info.name
        record = self._kept.record(self.info)
        return record.info.name if record is not None else self._request.name if self._request else None

    def update_name(self, name: str | None) -> str | None:
        """Give it another name, or None for none. It is kept in the ledger, for vendors need not have names.

        Raises:
            LedgerError: The ledger is off, or cannot be written.
        """
        self._kept.set(self.info, name=checked_name(name), what="name")
        self.info = attrs.evolve(self.info, name=name)
        return name

    def note(self) -> str | None:
        """The user's note on it, from the ledger."""
        record = self._kept.record(self.info)
        return None if record is None else record.note

    def set_note(self, note: str | None) -> None:
        """Keep a note with it in the ledger, or None for none.

        Raises:
            LedgerError: The ledger is off, or cannot be written.
        """
        if note is not None and not isinstance(note, str):
            raise InvalidInputError(f"A note is a text, not {note!r}.")
        self._kept.set(self.info, note=note or None, what="note")

    def record(self) -> JobRecord | None:
        """All that the ledger has of it, with its timeline; None where it has nothing."""
        return self._kept.record(self.info, events=True)

    def tags(self) -> list[str]:
        """The user's tags."""
        return list(self.info.tags)

    def update_tags(self, tags: Iterable[str]) -> None:
        """Replace the tags. The key that travels among them stays.

        Raises:
            UnsupportedError: The vendor cannot.
        """
        if tags is None:  # not given, elsewhere; here it would take all of them away
            raise InvalidInputError("Tags are a list of texts, not None.", hint="Give [] to take them all away.")
        checked = checked_tags(tags, self._account.spec)
        self._find_or_fail("tagged")
        key = self.info.key or self._kept.key
        sent = (key_tag(key), *checked) if key and has_room(self._account.spec) else checked
        try:
            self._account.ask("qprovider_update_job_tags", job=self.ref, tags=sent)
        except UnknownJobError:
            if not self.process_bound or self._kept.record(self.info) is None:
                raise  # else another process runs it, or ran it: the ledger has its tags
        self.info = attrs.evolve(self.info, tags=checked)
        self._kept.set_tags(self.info, checked)

    def usage(self) -> JobUsage | None:
        """Quantum time used, where the vendor tells it."""
        return self._glance().usage

    def session_id(self) -> str | None:
        """The session or batch it belongs to."""
        return self.info.session_id

    def time_per_step(self) -> dict[str, datetime]:
        """The steps that it has reached, each with its time: CREATED, RUNNING, and the final state."""
        info = self._glance()
        steps = {"CREATED": info.created_at, "RUNNING": info.started_at}
        if info.state.final:
            steps[info.state.name] = info.ended_at
        return {step: moment for step, moment in steps.items() if moment is not None}

    def properties(self) -> BackendProperties | None:
        """The calibration that held when it ran; None where there is none. Where its vendor cannot be asked any more,
        the one that was at hand when it was sent."""
        try:
            info = self._glance()
            return self.backend().properties(at=info.started_at or info.created_at)
        except QProviderError:
            kept = self._kept.calibration(self.info)
            if kept is None:
                raise
            return kept

    def circuits(self) -> list[Any] | None:
        """Its circuits; None when the vendor does not give them back."""
        request = self._sent_request()
        if request is not None:
            return [pub.circuit for pub in request.pubs]
        details = self.details()
        return None if details is None or details.circuits is None else list(details.circuits)

    def details(self) -> JobDetails | None:
        """What else the vendor keeps: logs, metrics, inputs; None when it keeps nothing."""
        if not self._account.supports("qprovider_job_details"):
            return None
        answer: JobDetails | None = self._account.ask("qprovider_job_details", job=self.ref)
        return answer
