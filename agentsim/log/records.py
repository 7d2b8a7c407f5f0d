"""What the lines of a run's log say: how the run began, each reply, the facts, and how the run ended."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal, Self

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from agentsim.core.facts import (
    Connected,
    Encounter,
    Event,
    Frozen,
    GameEnded,
    GenerationEnded,
    Grouped,
    SatOut,
    Settled,
)
from agentsim.errors import LogError, SchemaError
from agentsim.log.old_logs import finish_up_to_date, start_up_to_date
from agentsim.providers.base import Completion, Prompt
from agentsim.providers.dialects.registry import serves_here
from agentsim.providers.prices import Price, cost_usd
from agentsim.scenario.players import labels_in
from agentsim.scenario.plugins import UsedPlugin

__all__ = ["LINK", "SCHEMA", "Record", "Reply", "RunFinished", "RunStarted", "identity_of", "line_of", "record_of"]

SCHEMA = 1
"""The version of the log format this code writes and reads."""

LINK = "chain"
"""The last field of a reply's line, about the log and not the reply: see `integrity`."""


class RunStarted(Frozen):
    """The first record: what is run, and by what."""

    type: Literal["run_started"] = "run_started"
    schema_version: int = SCHEMA
    study: str
    run: str
    seed: int
    condition: dict[str, Any]
    """The whole condition (rules, players, prompts), as resolved from the scenario."""
    digest: str
    """SHA-256 of condition and seed; a log is only ever continued under the same one."""
    settings: dict[str, Any]
    """What distinguishes this run's condition from the others of its study: path -> value."""
    probe: dict[str, Any] | None = Field(default=None, exclude_if=lambda probe: probe is None)
    """The design of a probe (`core.probe_design`); `None` if this is not a probe."""
    prompts_digest: str
    """SHA-256 of the prompt set's files."""
    reader: int
    """The version of the reader of replies (`prompts.READERS`)."""
    accounts: dict[str, dict[str, Any]]
    """The provider account of each model that plays, as used (address, dialect, limits), without its key; by the
    player's label. Empty if only scripted policies play."""
    versions: dict[str, str]
    plugins: tuple[UsedPlugin, ...] = Field(default=(), exclude_if=lambda plugins: not plugins)
    """The plug-ins of which the run uses something."""
    forked_from: str | None = None
    """The folder of the run from which a fork took its first replies; `None` if this is not a fork."""
    time: str
    """UTC, ISO 8601."""

    @model_validator(mode="before")
    @classmethod
    def _is_up_to_date(cls, record: Any) -> Any:
        return start_up_to_date(record)

    @property
    def players(self) -> list[str]:
        """The labels of the players: one, or those of a mixed society."""
        return labels_in(self.condition)

    @property
    def templates_read(self) -> str | None:
        """`prompts_digest` if any player reads prompts; `None` if only scripted policies play."""
        players = self.condition.get("players")
        listed = players if isinstance(players, list) else [players]
        models = [str(player.get("model")) for player in listed if isinstance(player, dict)]
        is_read = not models or any(not model.startswith("scripted/") for model in models)
        return self.prompts_digest if is_read else None

    def account_of(self, player: str | None) -> dict[str, Any]:
        """Return the account of the player that gave a reply (`None`: the only player); empty if it is not known."""
        if player is None:
            return next(iter(self.accounts.values())) if len(self.accounts) == 1 else {}
        return self.accounts.get(player, {})

    @property
    def is_paid(self) -> bool:
        """Whether any reply may be billed. Replies of models on this machine never are."""
        accounts = self.accounts.values()
        return any("dialect" in account and not serves_here(account["dialect"]) for account in accounts)

    def cost_usd(self, reply: Reply) -> float | None:
        """Return what a reply cost in US dollars; `None` if no price was logged, or the server stated no tokens."""
        price = self.account_of(reply.player).get("price")
        return None if price is None else cost_usd(Price.model_validate(price), reply.completion.usage)


class Reply(Frozen):
    """One question to a model, and its full answer."""

    type: Literal["reply"] = "reply"
    key: str
    """The request's key."""
    attempt: int
    """1 for the first attempt; higher if an unreadable answer made another one necessary."""
    player: str | None = None
    """The label of the player that was asked; `None` if one player plays all agents."""
    prompt: Prompt
    completion: Completion
    time: str
    """When the answer arrived; UTC, ISO 8601."""

    @model_validator(mode="before")
    @classmethod
    def _without_its_link(cls, record: Any) -> Any:
        if isinstance(record, dict) and LINK in record:
            return {key: value for key, value in record.items() if key != LINK}
        return record


class RunFinished(Frozen):
    """The last record: the society's history is complete."""

    type: Literal["run_finished"] = "run_finished"
    n_replies: int
    wall_s: float
    """Seconds that the last process worked on the run; earlier sittings of a resumed run are not included."""
    critical_path_s: float
    """The longest chain of the last process's calls that had to wait for each other."""
    tokens: int | None
    """Tokens of all prompts and answers, as far as the servers stated them."""
    cost_usd: float | None
    """US dollars for all replies; `None` if a price or a number of tokens is not known."""
    code_digest: str | None
    """SHA-256 of the code that computed the facts (`play.replay.code_digest`)."""
    unread: tuple[str, ...] = Field(default=(), exclude_if=lambda unread: not unread)
    """One sentence for each player none of whose decisions could be read (`orchestrator.readability`)."""
    log_digest: str | None
    """SHA-256 of the log up to this record; if it matches, the log has not been edited."""
    time: str
    own_digest: str | None = Field(default=None, exclude_if=lambda digest: digest is None)
    """SHA-256 of this record without this field."""

    @model_validator(mode="before")
    @classmethod
    def _is_up_to_date(cls, record: Any) -> Any:
        return finish_up_to_date(record)

    def sealed(self) -> Self:
        """Return the record with its own digest."""
        return self.model_copy(update={"own_digest": self._computed_digest()})

    @property
    def is_unedited(self) -> bool:
        """Whether the record is as it was sealed, or was never sealed, as in older logs."""
        return self.own_digest is None or self.own_digest == self._computed_digest()

    def _computed_digest(self) -> str:
        return hashlib.sha256(self.model_dump_json(exclude={"own_digest"}).encode()).hexdigest()


Record = Annotated[RunStarted | Reply | RunFinished | Event, Field(discriminator="type")]
_RECORD: TypeAdapter[Record] = TypeAdapter(Record)
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def identity_of(record: Record) -> tuple[object, ...]:
    """Return what no two records of a log may share: the kind of record and what it is about."""
    match record:
        case Reply():
            return "reply", record.key, record.attempt
        case RunStarted() | RunFinished():
            return (record.type,)
        case Encounter():
            return "encounter", record.key
        case GameEnded():
            return record.type, record.generation, record.game
        case Settled():
            return record.type, record.generation, record.game, record.round, record.members
        case SatOut():
            return record.type, record.generation, record.game, record.round, record.agent
        case Connected():
            return record.type, record.generation, record.game
        case GenerationEnded() | Grouped():
            return record.type, record.generation
        case _:
            return record.type, record.key


def line_of(record: Record) -> bytes:
    if isinstance(record, RunStarted | Reply | RunFinished):  # may hold what JSON has no number for, which is an error
        text = _ENCODER.encode(record.model_dump(mode="json"))
    else:  # a tenth of the time; facts refuse such numbers themselves
        text = record.model_dump_json()
    # JSON allows these line separators unescaped, but many readers split lines at them.
    for character in ("\x85", "\u2028", "\u2029"):
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode() + b"\n"


def record_of(raw: object, *, where: str) -> Record:
    if isinstance(raw, dict) and raw.get("type") == "run_started" and raw.get("schema_version") != SCHEMA:
        raise SchemaError(
            f"{where}: written in log format {raw.get('schema_version')!r}, this agentsim reads {SCHEMA};"
            " read it with the version that wrote it, or run with --new"
        )
    try:
        return _RECORD.validate_python(raw)
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "union_tag_invalid":
            raise LogError(
                f"{where}: {str(first['ctx']['tag'])[:60]!r} is not a kind of record that this agentsim knows; read it"
                " with the version or the rules that wrote it, or restore the file"
            ) from error
        place = ".".join(str(part) for part in first["loc"])
        raise LogError(f"{where}: not a log record of this agentsim: {place}: {first['msg']}") from error
