"""Texts of vendors, made fit to be shown."""

from __future__ import annotations


def printable(text: str) -> str:
    """A text without control characters, so that it cannot write to the terminal by itself."""
    return text if text.isprintable() else "".join(sign if sign.isprintable() else "�" for sign in text)


def printable_lines(text: str) -> str:
    """The same for a text of several lines."""
    return "\n".join(printable(line) for line in text.split("\n"))


def age_text(seconds: float) -> str:
    """How long ago something was, for people: ``40 s``, ``5 min``, ``3 h``, ``2 days``."""
    for unit, size in (("days", 86_400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size or (unit != "days" and seconds >= size):
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds:.0f} s"


def account_label(provider: str, account: str | None) -> str:
    """How an account is spoken of: ``account/provider``, or just the provider for the one called ``default``."""
    return provider if account in (None, "default") else f"{account}/{provider}"
