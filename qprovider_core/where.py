"""Query texts: ``num_qubits >= 20 and not simulator and median_two_qubit_error < 0.01``.

The grammar is a small part of Python's expressions, so it is read by Python's own parser into a tree of which
only the nodes below are accepted. Nothing is ever evaluated by Python.

    expression: and, or, not, parentheses; comparisons == != < <= > >= in, not in, chained ones too
    values:     attribute names, numbers, texts in quotes, lists, true, false
    presence:   X is None, X is not None

A value that is not reported makes a comparison undecided; `and`, `or` and `not` follow Kleene's three-valued
logic, and an undecided backend is not taken.
"""

from __future__ import annotations

import ast
import operator
import re
import threading
import warnings
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn

import attrs

from qprovider_core.attributes import FACETS, Attribute, Kind, find_attribute
from qprovider_core.criteria import is_pattern, plain, wildcard
from qprovider_core.errors import UnknownAttributeError, WhereError
from qprovider_core.records.backends import BackendInfo
from qprovider_core.views import Criterion, Needs, Outcome, View

_LONGEST = 4000
_filters = threading.Lock()
_WORDS = {"true": True, "false": False, "none": None, "null": None}

_COMPARE: Mapping[type[ast.cmpop], tuple[str, Callable[[Any, Any], Any]]] = {
    ast.Eq: ("==", operator.eq),
    ast.NotEq: ("!=", operator.ne),
    ast.Lt: ("<", operator.lt),
    ast.LtE: ("<=", operator.le),
    ast.Gt: (">", operator.gt),
    ast.GtE: (">=", operator.ge),
    ast.In: ("in", lambda item, group: item in group),
    ast.NotIn: ("not in", lambda item, group: item not in group),
    ast.Is: ("is", operator.is_),
    ast.IsNot: ("is not", operator.is_not),
}


def parse_where(text: str, extra_fields: Iterable[str] = ()) -> list[Criterion]:
    """The criteria of a query text, one for each part joined by a top-level ``and``.

    Raises:
        WhereError: The text cannot be read; `.position` says where.
        UnknownAttributeError: It names an attribute that no backend has.
    """
    if not isinstance(text, str) or not text.strip():
        raise WhereError("The query text is empty.", text=str(text), hint="Write e.g. num_qubits >= 20.")
    if len(text) > _LONGEST:
        raise WhereError(f"The query text has {len(text)} characters; at most {_LONGEST} are read.", text=text)
    reader = _Reader(text, tuple(extra_fields))
    tree = reader.parse()
    try:
        conjuncts = tree.values if isinstance(tree, ast.BoolOp) and isinstance(tree.op, ast.And) else [tree]
        return [_Where(reader.read(part), ast.unparse(part)) for part in conjuncts]
    except RecursionError as exc:
        raise WhereError("The query text is nested too deeply.", text=text) from exc


Quick = tuple[Callable[[BackendInfo], Any], Callable[[Any], bool]]


@attrs.frozen
class _Where:
    """One part of a query text as a criterion."""

    node: _Node
    text: str

    def quick(self) -> Quick | None:
        return self.node.quick()

    def outcome(self, view: View) -> Outcome:
        outcome = self.node.value(view)
        return outcome if isinstance(outcome, Needs) or outcome is None else _true(outcome)

    def attributes(self) -> Iterable[Attribute]:
        return self.node.attributes()

    def reason(self, view: View) -> str:
        # What was never asked for, because the rest settled it, is not to blame.
        asked = [one for one in self.attributes() if not isinstance(view.value(one), Needs)]
        told = ", ".join(dict.fromkeys(view.tell(attribute) for attribute in asked))
        return f"{told}, wanted {self.text}" if told else f"wanted {self.text}"


class _Node:
    """A node of a query text. `value` gives a value, None (not reported) or `Needs`."""

    def value(self, view: View) -> Any:
        raise NotImplementedError

    def attributes(self) -> Iterable[Attribute]:
        return ()

    def quick(self) -> Quick | None:
        """See `Criterion.quick`."""
        return None


@attrs.frozen
class _Constant(_Node):
    constant: Any

    def value(self, view: View) -> Any:
        return self.constant


@attrs.frozen
class _Name(_Node):
    attribute: Attribute

    def value(self, view: View) -> Any:
        return view.value(self.attribute)

    def attributes(self) -> Iterable[Attribute]:
        return (self.attribute,)

    def quick(self) -> Quick | None:
        facet, read = self.attribute.places[0]
        return (read, _true) if facet == "info" else None


@attrs.frozen
class _Not(_Node):
    operand: _Node

    def value(self, view: View) -> Any:
        value = self.operand.value(view)
        return value if value is None or isinstance(value, Needs) else not _true(value)

    def attributes(self) -> Iterable[Attribute]:
        return self.operand.attributes()

    def quick(self) -> Quick | None:
        inner = self.operand.quick()
        if inner is None:
            return None
        read, test = inner
        return read, lambda value: not test(value)


@attrs.frozen
class _Junction(_Node):
    """``and`` (decisive False) or ``or`` (decisive True): one decisive operand settles it, whatever the rest."""

    decisive: bool
    operands: tuple[_Node, ...]

    def value(self, view: View) -> Any:
        undecided, needed = False, None
        for operand in self.operands:
            value = operand.value(view)
            if isinstance(value, Needs):
                if needed is None or FACETS.index(value.facet) < FACETS.index(needed.facet):
                    needed = value
            elif value is None:
                undecided = True
            elif _true(value) is self.decisive:
                return self.decisive
        if needed is not None:
            return needed
        return None if undecided else not self.decisive

    def attributes(self) -> Iterable[Attribute]:
        return [attribute for operand in self.operands for attribute in operand.attributes()]


@attrs.frozen
class _Comparison(_Node):
    left: _Node
    right: _Node
    compare: Callable[[Any, Any], Any]
    presence: bool = False

    def value(self, view: View) -> Any:
        left, right = self.left.value(view), self.right.value(view)
        for side in (left, right):
            if isinstance(side, Needs):
                return side
        if not self.presence and (left is None or right is None):
            return None
        return _safely(self.compare, left, right)

    def attributes(self) -> Iterable[Attribute]:
        return [*self.left.attributes(), *self.right.attributes()]

    def quick(self) -> Quick | None:
        if not isinstance(self.left, _Name) or not isinstance(self.right, _Constant) or self.presence:
            return None
        facet, read = self.left.attribute.places[0]
        compare, constant = self.compare, self.right.constant
        return (read, lambda value: _safely(compare, value, constant)) if facet == "info" else None


def _safely(compare: Callable[[Any, Any], Any], left: Any, right: Any) -> bool:
    try:
        return bool(compare(left, right))
    except Exception:  # noqa: BLE001  a vendor's own field can be anything; what cannot be compared does not match
        return False


def _true(value: Any) -> bool:
    return _safely(lambda one, _: one, value, None)


class _Reader:
    """Turns Python's tree into ours, refusing every node that is not listed here."""

    def __init__(self, text: str, extra_fields: tuple[str, ...]) -> None:
        self.text = text
        self.lines = re.split(r"(?<=\n)|(?<=\r)(?!\n)", text.strip())  # as Python's parser counts them
        self.extra_fields = extra_fields

    def parse(self) -> ast.expr:
        try:
            # Python's advice on literals is not for query texts. Its filters are the process's: two threads that
            # change and restore them at once could leave them changed.
            with _filters, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return ast.parse(self.text.strip(), mode="eval").body
        except SyntaxError as exc:
            position = self.position(exc.lineno, exc.offset - 1) if exc.offset and exc.lineno else None
            hint = "Compare with ==, not with =." if _single_equals(self.text) else None
            pointer = f"  {self.text}\n  {' ' * position}^" if position is not None else None
            raise WhereError(
                f"The query text cannot be read: {exc.msg}.",
                text=self.text,
                position=position,
                why=pointer if "\n" not in self.text.strip() else None,
                hint=hint,
            ) from exc
        except (ValueError, RecursionError, MemoryError, OverflowError) as exc:
            raise WhereError(f"The query text cannot be read: {exc}.", text=self.text) from exc

    def refuse(self, node: ast.expr, what: str, hint: str | None = None) -> NoReturn:
        # Python counts columns of nodes in bytes.
        line = self.lines[node.lineno - 1]
        position = self.position(node.lineno, len(line.encode()[: node.col_offset].decode(errors="ignore")))
        source = ast.get_source_segment(self.text.strip(), node) or ""
        raise WhereError(f"{what}: {source}", text=self.text, position=position, hint=hint)

    def position(self, line: int, column: int) -> int:
        """Index into the text as it was given, of a place in its stripped form."""
        start = len(self.text) - len(self.text.lstrip())
        return min(start + sum(map(len, self.lines[: line - 1])) + column, len(self.text))

    def read(self, node: ast.expr) -> _Node:
        """A condition: something that is true or false."""
        if isinstance(node, ast.BoolOp):
            return _Junction(isinstance(node.op, ast.Or), tuple(self.read(value) for value in node.values))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return _Not(self.read(node.operand))
        if isinstance(node, ast.Compare):
            return self.comparison(node)
        term = self.term(node)
        if isinstance(term, _Name) and term.attribute.kind not in (Kind.FLAG, Kind.OTHER):
            name = term.attribute.name
            self.refuse(node, f"{name} is {term.attribute.kind.value}, not a condition", f"Compare it: {name} == …")
        if isinstance(term, _Constant) and not isinstance(term.constant, bool):
            self.refuse(node, "This is a value, not a condition", "Compare it with an attribute.")
        return term

    def term(self, node: ast.expr) -> _Node:
        """An attribute or a constant."""
        if isinstance(node, ast.Name):
            if node.id in _WORDS:
                return _Constant(_WORDS[node.id])
            try:
                return _Name(find_attribute(node.id, self.extra_fields))
            except UnknownAttributeError as exc:
                exc.add_note(f"in the query text: {self.text}")
                raise
        if isinstance(node, ast.Constant) and isinstance(node.value, str | int | float | bool | None):
            return _Constant(node.value)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            inner = self.term(node.operand)
            if isinstance(inner, _Constant) and type(inner.constant) in (int, float):
                return _Constant(-inner.constant if isinstance(node.op, ast.USub) else inner.constant)
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            items = [self.term(item) for item in node.elts]
            if all(isinstance(item, _Constant) for item in items):
                return _Constant(tuple(item.constant for item in items if isinstance(item, _Constant)))
        self.refuse(node, "This cannot be part of a query", "Use attributes, numbers, quoted texts and lists.")

    def comparison(self, node: ast.Compare) -> _Node:
        terms = [self.term(side) for side in (node.left, *node.comparators)]
        steps = [
            self.step(terms[i], op, terms[i + 1], node) for i, op in enumerate(node.ops)
        ]  # a < b < c is a < b and b < c
        return steps[0] if len(steps) == 1 else _Junction(False, tuple(steps))

    def step(self, left: _Node, op: ast.cmpop, right: _Node, node: ast.expr) -> _Node:
        sign, compare = _COMPARE[type(op)]
        nothing = [side for side in (left, right) if isinstance(side, _Constant) and side.constant is None]
        if sign in ("is", "is not") or nothing:
            if not nothing or sign not in ("is", "is not", "==", "!="):
                self.refuse(node, f"{sign} does not fit here", "Write X is None, X is not None, or X == value.")
            self.check_names(left, right, node)
            return _Comparison(left, right, operator.is_ if sign in ("is", "==") else operator.is_not, True)
        left, right = self.dated(left, right, node), self.dated(right, left, node)
        self.check(left, sign, right, node)
        if sign in ("==", "!=") and isinstance(left, _Constant):
            left, right = right, left
        pattern = self.pattern(left, sign, right)
        if pattern is not None:
            return pattern
        if sign in ("==", "!=") and Kind.OTHER in (_kind(left), _kind(right)):
            return _Comparison(left, right, lambda a, b: compare(plain(a), plain(b)))
        return _Comparison(left, right, compare)

    def dated(self, side: _Node, other: _Node, node: ast.expr) -> _Node:
        """A text beside a time is a time, in a list, too."""
        if not (isinstance(other, _Name) and other.attribute.kind is Kind.TIME and isinstance(side, _Constant)):
            return side
        if isinstance(side.constant, tuple):
            return _Constant(tuple(self.moment(item, node) for item in side.constant))
        return _Constant(self.moment(side.constant, node))

    def moment(self, text: Any, node: ast.expr) -> Any:
        """The time that a text names, UTC where it has no offset; what is no text stays as it is."""
        if not isinstance(text, str):
            return text
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            self.refuse(node, f"{text!r} is no time", 'Write it as "2026-01-31" or "2026-01-31T08:00Z".')
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    def pattern(self, left: _Node, sign: str, right: _Node) -> _Node | None:
        """``name == "ibm_*"`` and ``name in ["ibm_*", "aer"]``."""
        if not (isinstance(left, _Name) and left.attribute.wild and isinstance(right, _Constant)):
            return None
        if sign not in ("==", "!=", "in", "not in"):
            return None
        wanted = right.constant if isinstance(right.constant, tuple) else (right.constant,)
        if not any(is_pattern(one) for one in wanted if isinstance(one, str)):
            return None
        tests = [wildcard(one) if is_pattern(one) else one.__eq__ for one in wanted if isinstance(one, str)]
        positive = sign in ("==", "in")
        return _Comparison(left, right, lambda text, _: any(test(text) for test in tests) is positive)

    def check(self, left: _Node, sign: str, right: _Node, node: ast.expr) -> None:
        """Refuse comparisons that could never be true."""
        if sign in ("in", "not in"):
            member, group = _kind(left), _kind(right)
            if group not in (Kind.WORDS, Kind.OTHER) or (
                isinstance(right, _Name) and right.attribute.kind is Kind.WORDS and member is not Kind.TEXT
            ):
                self.refuse(node, f"{sign} does not fit here", 'Write e.g. "cx" in basis_gates, or X in [1, 2].')
            if isinstance(left, _Name) and isinstance(right, _Constant) and member is not Kind.OTHER:
                for item in right.constant:
                    if item is not None and _kind(_Constant(item)) is not member:
                        self.refuse(node, f"{left.attribute.name} is {member.value}; {item!r} is not")
            self.check_names(left, right, node)
            return
        kinds = {_kind(left), _kind(right)} - {Kind.OTHER}
        if len(kinds) > 1 or (Kind.WORDS in kinds and sign not in ("==", "!=")):
            names = [side.attribute for side in (left, right) if isinstance(side, _Name)]
            told = " and ".join(f"{attribute.name} is {attribute.kind.value}" for attribute in names)
            self.refuse(node, f"{told or 'These cannot be compared'}; this comparison does not fit")
        self.check_names(left, right, node)

    def check_names(self, left: _Node, right: _Node, node: ast.expr) -> None:
        if not any(isinstance(side, _Name) for side in (left, right)):
            self.refuse(node, "No attribute is compared here")


def _kind(node: _Node) -> Kind:
    if isinstance(node, _Name):
        return node.attribute.kind
    constant = node.constant if isinstance(node, _Constant) else None
    for kind, types in (
        (Kind.FLAG, bool),
        (Kind.NUMBER, int | float),
        (Kind.TEXT, str),
        (Kind.TIME, datetime),
        (Kind.WORDS, tuple),
    ):
        if isinstance(constant, types):
            return kind
    return Kind.OTHER


def _single_equals(text: str) -> bool:
    return any(
        sign == "=" and before not in "=!<>" and after != "="
        for before, sign, after in zip(" " + text, text, text[1:] + " ", strict=False)
    )
