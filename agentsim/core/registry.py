"""What a scenario can name: what ships, and what plug-ins have added, by part and kind.

A *part* is a place in a scenario, as `pairing` or `policy`; a *kind* is the name that stands there. Nothing is added by
being imported, but what ships: plug-ins are added one by one, by name.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import PydanticKnownError, core_schema

from agentsim.errors import PluginError

__all__ = ["REGISTRY", "Among", "Member", "Plugin", "Registry", "among", "kind_of"]

NAMES: Final = {"policy": r"scripted/[a-z0-9][a-z0-9-]*", "provider": r"[a-z0-9][a-z0-9_-]*"}
"""How kinds are written, where not as `[a-z][a-z0-9_]*`."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """Code of a user's own."""

    name: str
    """Of a file, its name without `.py`; of an installed package, the package's."""
    version: str | None
    digest: str
    """SHA-256 of its source."""
    source: Literal["file", "package", "code"]
    """A file given with `--plugin`; an installed package; or a class or function of a script or notebook."""


@dataclass(frozen=True, slots=True)
class Member:
    """One thing that a scenario can name."""

    part: str
    kind: str
    thing: Any
    """The class; of a provider, its dialect; of a measure, the function; of a prompt set, its folder."""
    plugin: Plugin | None = None
    """Who brought it; `None`: it ships."""
    sentences: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """What a plug-in's rule is told by: prompt set -> name of the file in it -> its text."""


class Registry:
    """All members, by part and kind; what ships stands first."""

    def __init__(self) -> None:
        self._parts: dict[str, dict[str, Member]] = {}

    def of(self, part: str) -> Mapping[str, Member]:
        """Return the members of a part by kind."""
        return self._parts.get(part, {})

    def find(self, part: str, kind: object) -> Member | None:
        """Return one member; `None` if there is none of that name."""
        return self.of(part).get(kind) if isinstance(kind, str) else None

    def add(self, member: Member) -> None:
        """Add a member; the same thing, or a class or function that is defined anew, takes its own place again.

        Raises:
            PluginError: the name is taken, or cannot be a name.
        """
        if not re.fullmatch(NAMES.get(member.part, r"[a-z][a-z0-9_]*"), member.kind):
            raise PluginError(
                f"{member.kind!r} cannot name a {member.part}; write it as {NAMES.get(member.part, '[a-z][a-z0-9_]*')}"
            )
        old = self.find(member.part, member.kind)
        if old is not None and not _is_same(old.thing, member.thing):
            by = "agentsim itself" if old.plugin is None else f"the plug-in {old.plugin.name!r}"
            raise PluginError(f"{member.part} {member.kind!r} is taken by {by}; give yours another name")
        self._parts.setdefault(member.part, {})[member.kind] = member

    def remove(self, member: Member) -> None:
        """Take out a member of a plug-in."""
        if member.plugin is not None:
            self._parts.get(member.part, {}).pop(member.kind, None)

    def __iter__(self) -> Iterator[Member]:
        """Yield all members, part by part."""
        for members in self._parts.values():
            yield from members.values()


REGISTRY: Final = Registry()
"""All there is in this process."""


def _is_same(old: Any, new: Any) -> bool:
    names = ("__module__", "__qualname__")
    if all(hasattr(thing, name) for thing in (old, new) for name in names):
        return all(getattr(old, name) == getattr(new, name) for name in names)
    return bool(old == new)


def kind_of(thing: type[BaseModel], *, tag: str = "kind") -> str:
    """Return the name by which a scenario chooses a class.

    Raises:
        PluginError: it has none, or is only a base of other classes.
    """
    field = thing.model_fields.get(tag)
    names = get_args(field.annotation) if field is not None else ()
    if field is None or len(names) != 1 or names[0] != field.default:
        example = "scripted/mine" if tag == "model" else "mine"
        raise PluginError(f'{thing.__name__}: has no name; write `{tag}: Literal["{example}"] = "{example}"` in it')
    if inspect.isabstract(thing):
        missing = ", ".join(sorted(thing.__abstractmethods__))
        raise PluginError(f"{thing.__name__}: does not define {missing}; define all that its base class leaves open")
    return str(names[0])


@dataclass(frozen=True, slots=True)
class Among:
    """Marks a field that takes any member of a part: its `kind` (or other tag) says which class the data is of."""

    part: str
    default: str | None = None
    """The kind that is meant where none is named."""
    tag: str = "kind"
    without: str | None = None
    """A kind that may not stand there: one whose own field this is."""

    @property
    def classes(self) -> list[type[BaseModel]]:
        """The classes that may stand there, the default first."""
        members = REGISTRY.of(self.part)
        return [member.thing for kind, member in sorted(members.items(), key=lambda item: item[0] != self.default)]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        # Whether a validation is strict is not told to functions, so there is one for each.
        lax, strict = (core_schema.no_info_plain_validator_function(validate) for validate in (self._lax, self._strict))
        itself = core_schema.simple_ser_schema("any")  # written as what it is, not as what the field says
        return core_schema.lax_or_strict_schema(lax, strict, serialization=itself)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        members = {kind: member for kind, member in REGISTRY.of(self.part).items() if kind != self.without}
        choices = {kind: member.thing.__pydantic_core_schema__ for kind, member in members.items()}
        return handler(core_schema.tagged_union_schema(choices, self.tag))

    def _lax(self, value: Any) -> BaseModel:
        return self._validated(value, is_strict=False)

    def _strict(self, value: Any) -> BaseModel:
        return self._validated(value, is_strict=True)

    def _validated(self, value: Any, *, is_strict: bool) -> BaseModel:
        is_made = isinstance(value, BaseModel)
        if not is_made and not isinstance(value, Mapping):
            raise PydanticKnownError("model_attributes_type")
        kind = getattr(value, self.tag, None) if is_made else value.get(self.tag, self.default)
        if kind is None and not is_made:
            raise PydanticKnownError("union_tag_not_found", {"discriminator": repr(self.tag)})
        member = REGISTRY.find(self.part, kind)
        if is_made and (member is None or not isinstance(value, member.thing)):
            name = type(value).__name__
            raise ValueError(f"{name} is no {self.part} that is known here; call agentsim.register({name}) first")
        if member is None:
            names = ", ".join(map(repr, REGISTRY.of(self.part)))
            known = {"discriminator": repr(self.tag), "tag": str(kind), "expected_tags": names}
            raise PydanticKnownError("union_tag_invalid", known)
        validated: BaseModel = value if is_made else member.thing.model_validate(value, strict=is_strict or None)
        return validated


def among(part: str, *classes: type[BaseModel], default: str | None = None, tag: str = "kind") -> Among:
    """Return the mark of a field that takes these classes, which ship, and what plug-ins add to them."""
    for shipped in classes:
        REGISTRY.add(Member(part, kind_of(shipped, tag=tag), shipped))
    return Among(part, default, tag)
