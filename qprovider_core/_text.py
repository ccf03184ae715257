"""Texts of vendors, made fit to be shown."""

from __future__ import annotations


def printable(text: str) -> str:
    """A text without control characters, so that it cannot write to the terminal by itself."""
    return text if text.isprintable() else "".join(sign if sign.isprintable() else "�" for sign in text)


def printable_lines(text: str) -> str:
    """The same for a text of several lines."""
    return "\n".join(printable(line) for line in text.split("\n"))
