"""The environment that templates are rendered in: nothing in them can reach out, run for ever or fill the memory.

Jinja's sandbox keeps templates from Python's internals. This one also bounds their work: it counts what is rendered,
each pass of a loop and each call of a macro; what a template computes has a largest size; and only those filters and
methods can be used that cannot make something huge of something small.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from types import BuiltinMethodType, CodeType
from typing import Any, Final

from jinja2 import StrictUndefined, Template, nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context, LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace
from jinja2.visitor import NodeTransformer

__all__ = ["BoundedEnvironment"]

MAX_PASSES = 100_000
"""Passes of loops and calls of macros in one rendering."""
MAX_CHARS = 1_000_000
"""Characters of a text, or items of a list, that a template computes; and of all that it renders."""
MAX_WORK = 20 * MAX_CHARS
"""Characters and items that filters and methods are given, in one rendering."""
MAX_NUMBER = 10**15
"""The largest whole number that a template may compute."""
MAX_ATTRIBUTES = 10_000
"""The most attributes of types of which is remembered whether templates may read them."""
MAX_WIDTH = 100
"""The largest width or precision in the format of a number or text."""

FILTERS: Final = [
    "abs",
    "capitalize",
    "count",
    "d",
    "default",
    "dictsort",
    "first",
    "float",
    "int",
    "items",
    "last",
    "length",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "reject",
    "rejectattr",
    "reverse",
    "select",
    "selectattr",
    "sort",
    "string",
    "title",
    "trim",
    "unique",
    "upper",
    "wordcount",
]
"""Jinja's own filters that templates may use; `format`, `join`, `replace`, `round` and `sum` are bounded here."""
METHODS: Final[Mapping[type, frozenset[str]]] = {
    str: frozenset(
        [
            "capitalize",
            "count",
            "endswith",
            "find",
            "isdigit",
            "lower",
            "lstrip",
            "removeprefix",
            "removesuffix",
            "rstrip",
            "split",
            "splitlines",
            "startswith",
            "strip",
            "title",
            "upper",
        ]
    ),
    dict: frozenset(["get", "items", "keys", "values"]),
    list: frozenset(["count", "index"]),
    tuple: frozenset(["count", "index"]),
}
"""The methods of plain values that templates may call."""

_SIZED = (str, list, tuple, dict, range)


class BoundedEnvironment(ImmutableSandboxedEnvironment):
    """A sandbox whose renderings end, and stay small. For one thread at a time."""

    intercepted_binops = frozenset(["+", "*", "**", "%"])

    def __init__(self, filters: Mapping[str, Callable[..., Any]]) -> None:
        """`filters` are added to Jinja's harmless ones."""
        super().__init__(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        self._own = frozenset(filters.items())
        bounded = {"format": _formatted, "join": _joined, "replace": _replaced, "round": _rounded, "sum": _added}
        allowed = {name: self.filters[name] for name in FILTERS} | bounded | dict(filters)
        self.filters = {name: self._charged(function) for name, function in allowed.items()}
        self.filters |= {"_join": self._join, "_new": self._new, "_out": self._out, "_pass": self._pass}
        self.globals = {"range": self.globals["range"], "namespace": Namespace}
        self._n_passes = self._n_chars = self._n_work = 0
        self._are_safe: dict[tuple[type, str], bool] = {}
        """Whether templates may read an attribute of values of a type."""

    def template(self, source: str) -> Template:
        """Return the template of this source, which is compiled once in a process.

        Raises:
            jinja2.TemplateSyntaxError: it is none.
        """
        return Template.from_code(self, _compiled(source, self._own), self.make_globals(None))

    def rendered(self, template: Template, facts: Mapping[str, Any]) -> str:
        """Return the text of a template of this environment.

        Raises:
            jinja2.TemplateError: a name is unknown, or a bound is passed.
        """
        self._n_passes = self._n_chars = self._n_work = 0
        try:
            return template.render(facts)
        except RecursionError as error:
            message = "its macros call each other without an end"
            raise SecurityError(message).with_traceback(error.__traceback__) from None
        except OverflowError as error:
            raise SecurityError(str(error)).with_traceback(error.__traceback__) from None

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Whether a template may read an attribute, found out once for each type of `obj`."""
        key = type(obj), attr
        is_safe = self._are_safe.get(key)
        if is_safe is None:
            is_safe = super().is_safe_attribute(obj, attr, value)
            if len(self._are_safe) < MAX_ATTRIBUTES:
                self._are_safe[key] = is_safe
        return is_safe

    def is_safe_callable(self, obj: Any) -> bool:
        """Whether a template may call `obj`: a macro, `range`, or a harmless method of a plain value."""
        if isinstance(obj, BuiltinMethodType) and not isinstance(obj.__self__, type(functools)):
            return obj.__name__ in METHODS.get(type(obj.__self__), ())
        if isinstance(obj, Macro | LoopContext) or isinstance(getattr(obj, "__self__", None), LoopContext):
            return True
        return any(obj == value for value in self.globals.values())

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Call what a template calls, if it is harmless, and check the size of what comes back."""
        if not __self.is_safe_callable(__obj):
            known = ", ".join(f".{name}" for name in sorted(METHODS[str]))
            name = getattr(__obj, "__name__", type(__obj).__name__)
            raise SecurityError(f"{name!r} cannot be called in a template; methods of texts that can be: {known}")
        if isinstance(__obj, BuiltinMethodType):
            __self._charge(__obj.__self__, *args)
        return _checked(super().call(__context, __obj, *args, **kwargs))

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Compute what cannot be larger than it may."""
        if operator == "%" and isinstance(left, str):
            return _formatted(left, *(right if isinstance(right, tuple) else (right,)))
        if operator == "*":
            for sized, other in ((left, right), (right, left)):
                if isinstance(sized, _SIZED) and isinstance(other, int):
                    _check_size(len(sized) * max(other, 0))
        elif operator == "+" and isinstance(left, _SIZED) and isinstance(right, _SIZED):
            _check_size(len(left) + len(right))
        elif operator == "**" and isinstance(left, int) and isinstance(right, int) and abs(left) > 1 and right > 50:
            raise SecurityError(f"a template may not compute {left} ** {right}")
        value = super().call_binop(context, operator, left, right)
        self._charge(value)
        return _checked(value)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree: nodes.Template = _Counting(self).visit(super()._parse(source, name, filename))
        return tree

    def _charged(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)  # keeps the mark by which Jinja passes its context
        def charged(*args: Any, **kwargs: Any) -> Any:
            self._charge(*args)
            return _checked(function(*args, **kwargs))

        return charged

    def _charge(self, *values: object) -> None:
        self._n_work += 1 + sum(_size(value) for value in values)
        if self._n_work > MAX_WORK:
            raise SecurityError(f"it handles more than {MAX_WORK:,} characters and items in one rendering")

    # What `_Counting` puts into templates. The unused context keeps Jinja from working a filter out at compilation.

    @pass_context
    def _pass(self, _: Context, text: str) -> str:
        """Count a pass of a loop or a call of a macro."""
        self._n_passes += 1
        if self._n_passes > MAX_PASSES:
            raise SecurityError(f"its loops and macros run more than {MAX_PASSES:,} times in one rendering")
        return text

    @pass_context
    def _out(self, _: Context, value: object, n_constant: int = 0) -> str:
        """Count a piece of what is rendered, with the characters of the constant pieces next to it."""
        text = str(value)
        self._n_chars += len(text) + n_constant
        if self._n_chars > MAX_CHARS:
            raise SecurityError(f"it renders more than {MAX_CHARS:,} characters")
        return text

    @pass_context
    def _join(self, _: Context, *values: object) -> str:
        """Return what `~` makes of the values."""
        self._charge(*values)
        texts = [str(value) for value in values]
        _check_size(sum(len(text) for text in texts))
        return "".join(texts)

    @pass_context
    def _new(self, _: Context, value: Any) -> Any:
        """Return a list, tuple or dictionary that the template wrote down, if it is not too large."""
        self._charge(value)
        return _checked(value)


@functools.lru_cache(maxsize=1000)
def _compiled(source: str, filters: frozenset[tuple[str, Callable[..., Any]]]) -> CodeType:
    """Return what Jinja makes of a source; it depends on nothing but the source and the filters."""
    return BoundedEnvironment(dict(filters)).compile(source)


class _Counting(NodeTransformer):
    """Lets loops, macros and all that is rendered be counted; `~` becomes a filter that has a bound.

    Filters, because a template calls them without a check of whether it may, and cannot give their names to anything.
    """

    def __init__(self, environment: BoundedEnvironment) -> None:
        self._environment = environment

    def visit_For(self, node: nodes.For) -> nodes.Node:
        return self._counted(node)

    def visit_Macro(self, node: nodes.Macro) -> nodes.Node:
        return self._counted(node)

    def visit_CallBlock(self, node: nodes.CallBlock) -> nodes.Node:
        return self._counted(node)

    def visit_Output(self, node: nodes.Output) -> nodes.Node:
        """Count computed pieces one by one, and constant ones with the first of them."""
        self.generic_visit(node)
        constant = [piece for piece in node.nodes if isinstance(piece, nodes.TemplateData)]
        computed = [piece for piece in node.nodes if not isinstance(piece, nodes.TemplateData)]
        n_constant = sum(len(piece.data) for piece in constant)
        if not computed:
            text = nodes.Const("".join(piece.data for piece in constant), lineno=node.lineno)
            node.nodes = [self._filter("_out", text)]
            return node
        first = self._filter("_out", computed[0], nodes.Const(n_constant, lineno=computed[0].lineno))
        rest = iter([first, *(self._filter("_out", piece) for piece in computed[1:])])
        node.nodes = [piece if isinstance(piece, nodes.TemplateData) else next(rest) for piece in node.nodes]
        return node

    def visit_List(self, node: nodes.List) -> nodes.Node:
        return self._new(node)

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:
        return self._new(node)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:
        return self._new(node) if node.ctx == "load" else self.generic_visit(node)

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return self._filter("_join", *node.nodes)

    def _new(self, node: nodes.Expr) -> nodes.Node:
        self.generic_visit(node)
        return self._filter("_new", node)

    def _counted(self, node: Any) -> nodes.Node:
        self.generic_visit(node)
        counter = self._filter("_pass", nodes.Const("", lineno=node.lineno))
        node.body.insert(0, nodes.Output([counter], lineno=node.lineno))
        return node  # type: ignore[no-any-return]

    def _filter(self, name: str, value: nodes.Expr, *args: nodes.Expr) -> nodes.Filter:
        filter_node = nodes.Filter(value, name, list(args), [], None, None, lineno=value.lineno)
        filter_node.set_environment(self._environment)
        return filter_node


def _check_size(size: int) -> None:
    if size > MAX_CHARS:
        raise SecurityError(f"it computes a text or list of {size:,} parts; {MAX_CHARS:,} are allowed")


def _size(value: object) -> int:
    """Return how many characters and items a value has, those of its items included; counting stops past the bound."""
    if isinstance(value, str | range):
        return len(value)
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if not isinstance(value, list | tuple):
        return 1
    size = len(value)
    for item in value:
        if size > MAX_CHARS:
            break
        size += _size(item)
    return size


def _checked(value: Any) -> Any:
    """Return a value that a template computed, if it is not too large."""
    if isinstance(value, _SIZED):
        _check_size(_size(value))
    elif isinstance(value, int) and abs(value) > MAX_NUMBER:
        raise SecurityError(f"it computes a number beyond {MAX_NUMBER:,}")
    return value


def _formatted(text: str, *values: Any, **named: Any) -> str:
    """Return `text % values`, as Jinja's filter `format` does, where no width is large."""
    if any("*" in spec or any(int(n) > MAX_WIDTH for n in re.findall(r"\d+", spec)) for spec in _SPEC.findall(text)):
        raise SecurityError(f"a width or precision in {text[:60]!r} is more than {MAX_WIDTH}")
    _check_size(len(text) + text.count("%") * max(map(_size, (*values, *named.values())), default=0))
    return text % (named or values)


_SPEC = re.compile(r"%(?:\([^)]*\))?[-#0 +]*([\d.*]*)")


def _replaced(text: str, old: str, new: str) -> str:
    """Return `text` with each `old` replaced by `new`."""
    _check_size(len(text) + text.count(old) * max(len(new) - len(old), 0))
    return text.replace(old, new)


def _joined(values: Any, between: str = "", attribute: str | int | None = None) -> str:
    """Return the values' texts with `between` between them."""
    items = list(values)
    if attribute is not None:
        raise SecurityError("join takes no attribute here: write |map(attribute=...)|join")
    _check_size(_size(items) + len(items) * len(between))
    return between.join(str(item) for item in items)


def _rounded(value: float, precision: int = 0) -> float:
    """Return a number rounded to so many decimals."""
    return round(float(value), max(min(precision, MAX_WIDTH), -MAX_WIDTH))


def _added(values: Any, start: float = 0) -> float:
    """Return the sum of numbers."""
    items = list(values)
    if not all(isinstance(item, int | float) for item in (*items, start)):
        raise SecurityError("sum adds numbers only")
    return sum(items, start)
