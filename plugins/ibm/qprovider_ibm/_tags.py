"""A job's tags: the user's, and those that carry what the service has no field for."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from qprovider_core.errors import InvalidInputError
from qprovider_core.records import JobRequest
from qprovider_ibm import _wire


def tags_of(request: JobRequest) -> list[str]:
    """All tags of a submission: the core's key, the job's name, and the user's."""
    key = [f"{_wire.KEY_PREFIX}{request.key}"] if request.key else []
    given = tuple(tag for tag in request.tags if tag not in key)  # the core sends it among them
    check_tags(given)
    tags = [*key, *name_tag(request.name), *given]
    check_number(tags)
    return tags


def name_tag(name: str | None) -> list[str]:
    """The tag that carries a name, as a list of one; empty without a name.

    Raises:
        InvalidInputError: It is too long for one.
    """
    if name is None:
        return []
    if len(name) > _wire.LONGEST_TAG - len(_wire.NAME_PREFIX):
        raise InvalidInputError(
            f"A job's name has at most {_wire.LONGEST_TAG - len(_wire.NAME_PREFIX)} characters on IBM Quantum; "
            f"this one has {len(name)}.",
            why="The service has no names: it travels as a tag.",
        )
    return [f"{_wire.NAME_PREFIX}{name}"]


def check_tags(tags: tuple[str, ...]) -> None:
    """Refuse tags that the service, or this plugin, cannot take.

    Raises:
        InvalidInputError: One is too long, or begins like one of ours.
    """
    for tag in tags:
        if len(tag) > _wire.LONGEST_TAG:
            raise InvalidInputError(
                f"A tag has at most {_wire.LONGEST_TAG} characters on IBM Quantum; {tag[:20]!r}… has {len(tag)}."
            )
        if tag.startswith((_wire.KEY_PREFIX, _wire.NAME_PREFIX)):
            raise InvalidInputError(
                f"The tag {tag!r} begins with {tag.partition(':')[0]}:, which is kept for the job's key and name.",
                hint="Set a name with name= or job.update_name().",
            )


def check_given_tags(tags: Any) -> None:
    """Refuse more tags than the service has room for beside the job's key, and say where the last place went.

    Raises:
        InvalidInputError: They are too many.
    """
    most = _wire.MOST_TAGS - 1
    if isinstance(tags, Collection) and not isinstance(tags, str) and len(tags) > most:
        raise InvalidInputError(
            f"A job takes at most {most} tags; there are {len(tags)}.",
            why=f"IBM Quantum has room for {_wire.MOST_TAGS}, and one carries the job's key, by which a lost job is"
            " found again.",
            hint="Leave some out, or join several in one.",
        )


def check_number(tags: list[str]) -> None:
    """Refuse more tags than the service takes, ours among them.

    Raises:
        InvalidInputError: They are too many.
    """
    if len(tags) > _wire.MOST_TAGS:
        own = len(_wire.kept_tags(tags))
        raise InvalidInputError(
            f"A job on IBM Quantum has at most {_wire.MOST_TAGS} tags; with the {len(tags) - own} given there would "
            f"be {len(tags)}.",
            why="One carries the job's key, by which a lost job is found again; a job's name takes another.",
            hint=f"Give at most {_wire.MOST_TAGS - own}.",
        )
