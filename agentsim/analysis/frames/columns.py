"""Every table of a study, and every column of it: the one place that declares them.

Loading, the cache, the export's `columns.json` and `docs/columns.md` follow from it. A table of another game's
decisions is one more entry of `TABLES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from agentsim.analysis.frames import derived
from agentsim.analysis.frames.declared import OF_FOLDERS, Column, Table
from agentsim.core.facts import (
    Connected,
    Donated,
    GameEnded,
    GenerationEnded,
    Grouped,
    Missed,
    Moved,
    NoteWritten,
    Punished,
    SatOut,
    Settled,
    StrategyFormed,
    Talked,
)
from agentsim.log.records import Reply, RunStarted

__all__ = ["ACTS", "COLUMNS", "GENERATION", "KEY", "TABLES", "TOKENS", "Column", "Table"]

KEY: Final = list(OF_FOLDERS)
"""The columns that name a run, in every frame."""
GENERATION: Final = [*KEY, "generation"]
"""The columns that name a generation of a run."""
ACTS: Final = {"donated": "give", "punished": "punish", "missed": "missing"}
"""What the column `act` says of an encounter, by the type of its record."""

_ENCOUNTERS: Final = "the encounters, counted"

TABLES: Final[dict[str, Table]] = {
    "runs": Table(
        row="a run, also one that is not complete; `status` says what each is",
        records=(RunStarted,),
        of_records={
            "condition": Column(
                "string", "name of the condition, equal for all its seeds", derived="the run's name without its seed"
            ),
            "model": Column(
                "string",
                "the player, as provider/model; of a mixed society all of them, joined by +",
                derived="`condition.players`",
                of=derived.names_of_players,
            ),
            "seed": Column("Int64", "seed of the run", path="seed"),
            "status": Column(
                "string",
                "complete; unread: played to its end, but none of a model's decisions could be read; unfinished; not"
                " begun: nothing was answered yet; or unreadable: its log cannot be read",
                derived="whether there are `run_finished`, replies, and decisions that were read",
            ),
            "problem": Column(
                "string",
                "why the log could not be read, or of which players not one decision could be",
                derived="the reading of the log, or the encounters",
            ),
            "game": Column("string", "the game that is played, by its kind", path="condition.game.kind"),
            "gift": Column(
                "string",
                "what a donor may give: any share, a fixed gift or nothing, or whole units; missing in other games",
                derived="`condition.game.gift`; share where it is not stated",
                of=derived.gift,
            ),
            "n_agents": Column("Int64", "agents of a generation", path="condition.agents"),
            "n_generations": Column("Int64", "generations to be played", path="condition.generations"),
            "n_games": Column("Int64", "games of a generation", path="condition.game.games"),
            "n_rounds": Column(
                "Int64",
                "rounds of a game; missing where the number is drawn for each generation",
                derived="`condition.game.rounds`, if there is no `continuation`",
                of=derived.n_rounds,
            ),
            "endowment": Column(
                "Float64",
                "what each agent holds at the start of a game; missing where not all hold the same",
                unit="units",
                derived="`condition.game.endowment`",
                of=derived.endowment,
            ),
            "maximum": Column(
                "Float64",
                "highest mean final resources that the schedule of the last finished generation allows (of the first"
                " generation where none has finished); everyone giving all, wherever roles alternate",
                unit="units",
                derived="`maximum` of generations, or the condition",
            ),
            "rules_digest": Column(
                "string",
                "SHA-256 of all that decides a run but its players and seed; equal for comparable runs",
                derived="`condition` and `prompts_digest`",
                of=derived.rules_digest,
            ),
            "prompts": Column(
                "string",
                "its prompt set's name, and the first digits of the SHA-256 of its templates",
                derived="`condition.prompts` and `prompts_digest`",
                of=derived.prompt_set,
            ),
            "generations": Column("Int64", "generations finished", derived="`generation_ended`, counted"),
            "mean_final_resources": Column(
                "Float64",
                "the last finished generation's reported score",
                unit="units",
                derived="`mean_final_resources` of generations",
            ),
            "n_replies": Column("Int64", "replies in the log, every asking counted", derived="the replies, counted"),
            "n_encounters": Column("Int64", "encounters that happened", derived=_ENCOUNTERS),
            "n_asked_again": Column(
                "Int64", "askings beyond the first of a question", derived="the replies whose `attempt` is above 1"
            ),
            "n_missed": Column("Int64", "encounters without a readable decision: nothing moved", derived=_ENCOUNTERS),
            "n_replaced": Column(
                "Int64",
                "encounters where the scenario counts an unreadable answer as a gift of 0",
                derived=_ENCOUNTERS,
            ),
            "n_failed": Column(
                "Int64",
                "encounters in which the donor decided, but its act failed: nothing moved",
                derived=_ENCOUNTERS,
            ),
            "input_tokens": Column(
                "Int64",
                "tokens of all prompts; missing where a reply did not say",
                unit="tokens",
                derived="the replies, summed",
            ),
            "cached_tokens": Column(
                "Int64",
                "those of them read from the provider's cache",
                unit="tokens",
                derived="the replies, summed",
            ),
            "cache_write_tokens": Column(
                "Int64",
                "those of them written to it, where the provider counts them apart",
                unit="tokens",
                derived="the replies, summed",
            ),
            "output_tokens": Column(
                "Int64", "tokens of all answers, reasoning included", unit="tokens", derived="the replies, summed"
            ),
            "reasoning_tokens": Column(
                "Int64", "those of them spent on hidden reasoning", unit="tokens", derived="the replies, summed"
            ),
            "cost_usd": Column(
                "Float64",
                "cost of all replies at the price logged with the run; missing where it is not known",
                unit="US dollars",
                derived="the replies, summed",
            ),
            "models_answered": Column(
                "string",
                "the models that answered, in the servers' words, comma-separated",
                derived="`completion.model` of the replies",
            ),
            "fingerprints": Column(
                "string",
                "the configurations that answered, in the servers' words, comma-separated; missing where none was said",
                derived="`completion.fingerprint` of the replies",
            ),
            "n_torn_bytes": Column(
                "Int64", "size of an unfinished last line, passed over", unit="bytes", derived="the reading of the log"
            ),
        },
        others="the setting of this path, which varies",
    ),
    "agents": Table(
        row="an agent and a generation it lives in",
        records=(StrategyFormed,),
        of_records={
            "generation": Column(
                "Int64", "a generation the agent lives in, from 1", derived="its birth, and `survivors` of each end"
            ),
            "agent": Column("string", "its name, <generation born>_<index>", path="agent.id"),
            "born": Column("Int64", "generation it joined in", path="agent.born"),
            "model": Column("string", "the player behind it", path="agent.model"),
            "strategy": Column(
                "string", "its strategy; missing where none could be read, or agents have none", path="agent.strategy"
            ),
            "persona": Column("string", "its persona; missing where the scenario gives none", path="agent.persona"),
            "parents": Column(
                "string",
                "the survivors it was shown, by space",
                derived="`agent.parents`",
                of=derived.names_of_parents,
            ),
            "group": Column(
                "Int64",
                "the group it is in, from 1; missing where there are no groups, and until the games begin",
                derived="`groups` of `grouped`",
            ),
            "score": Column(
                "Float64",
                "what selection saw; missing until the generation has ended",
                unit="units",
                derived="`scores` of `generation_ended`",
            ),
            "survived": Column(
                "boolean",
                "whether it was kept; missing in the last generation",
                derived="`survivors` of `generation_ended`",
            ),
            "mean_fraction": Column(
                "Float64",
                "mean fraction given in its own donations of this generation, as in generations",
                unit="fraction",
                derived="`fraction` of encounters",
            ),
            "mean_level": Column(
                "Float64",
                "mean level of its own decisions of this generation, as in generations",
                unit="fraction",
                derived="`fraction` of encounters, or `level` of moves",
            ),
            "n_decisions": Column(
                "Int64", "encounters it was donor in; in other games, moves it was asked for", derived=_ENCOUNTERS
            ),
            "n_missed": Column("Int64", "those of them without a readable decision", derived=_ENCOUNTERS),
        },
    ),
    "generations": Table(
        row="a generation that has ended",
        records=(GenerationEnded,),
        of_records={
            "generation": Column("Int64", "from 1; only generations that have ended", path="generation"),
            "mean_final_resources": Column(
                "Float64",
                "mean over agents, averaged over the generation's games",
                unit="units",
                path="mean_final_resources",
            ),
            "maximum": Column(
                "Float64",
                "highest `mean_final_resources` that this generation's schedule allows; in other games than the donor"
                " game, that of moves as cooperative as possible; missing where it is not known, as where fixed gifts"
                " could use up what a donor holds",
                unit="units",
                derived="who met whom, and the game's rules",
            ),
            "minimum": Column(
                "Float64",
                "`mean_final_resources` if every move were as little cooperative as possible: in the donor game, the"
                " endowment; missing where it is not known",
                unit="units",
                derived="who met whom, and the game's rules",
            ),
            "mean_fraction": Column(
                "Float64",
                "mean fraction given over donations the donors decided themselves; acts that failed are left out",
                unit="fraction",
                derived="`fraction` of encounters",
            ),
            "mean_level": Column(
                "Float64",
                "mean level, from 0 to 1, of all moves that agents decided themselves: how cooperative they were; in"
                " the donor game the fraction given, and 0 for punishing",
                unit="fraction",
                derived="`fraction` of encounters, or `level` of moves",
            ),
            "n_rounds": Column("Int64", "rounds of each of its games", derived="the highest `round` of encounters"),
            "n_encounters": Column("Int64", "encounters", derived=_ENCOUNTERS),
            "n_punished": Column(
                "Int64", "encounters in which the donor punished, and its act did not fail", derived=_ENCOUNTERS
            ),
            "n_missed": Column("Int64", "encounters without a readable decision", derived=_ENCOUNTERS),
            "n_replaced": Column(
                "Int64", "encounters counted as a gift of 0 for want of a readable answer", derived=_ENCOUNTERS
            ),
            "n_failed": Column(
                "Int64",
                "encounters in which the donor decided, but its act failed: nothing moved",
                derived=_ENCOUNTERS,
            ),
            "n_asked_again": Column(
                "Int64",
                "askings beyond the first, strategies and notes included",
                derived="`attempts` of encounters, strategies and notes",
            ),
        },
    ),
    "resources": Table(
        row="an agent and a game that has ended",
        records=(GameEnded,),
        of_records={
            "generation": Column("Int64", "from 1", path="generation"),
            "game": Column("Int64", "from 1; only games that have ended", path="game"),
            "agent": Column("string", "its name", path="resources.*~"),
            "resources": Column("Float64", "what it held at the end of the game", unit="units", path="resources.*"),
        },
    ),
    "encounters": Table(
        row="an encounter",
        records=(Donated, Punished, Missed),
        of_records={
            "key": Column("string", "the decision's key, as g3/game1/r04/2_4", path="key"),
            "generation": Column("Int64", "from 1", path="generation"),
            "game": Column("Int64", "from 1", path="game"),
            "round": Column("Int64", "from 1", path="round"),
            "donor": Column("string", "agent", path="donor"),
            "recipient": Column("string", "agent", path="recipient"),
            "donor_model": Column(
                "string", "the player behind the donor", derived="`agent.model` of the donor's `strategy_formed`"
            ),
            "recipient_model": Column(
                "string",
                "the player behind the recipient",
                derived="`agent.model` of the recipient's `strategy_formed`",
            ),
            "act": Column(
                "string",
                f"{', '.join(list(ACTS.values())[:-1])} or {list(ACTS.values())[-1]}",
                derived="`type`",
            ),
            "amount": Column(
                "Float64",
                "given, or spent on punishing; 0 where the act failed; missing without a decision",
                unit="units",
                path="amount",
            ),
            "fraction": Column(
                "Float64",
                "amount / donor_before; missing without a decision or with nothing to give",
                unit="fraction",
                path="fraction",
            ),
            "intended": Column(
                "Float64",
                "what the donor had decided on, where its act failed; else missing",
                unit="units",
                path="intended",
            ),
            "removed": Column("Float64", "taken from the recipient by punishment", unit="units", path="removed"),
            "donor_before": Column("Float64", "what the donor held before", unit="units", path="donor_before"),
            "donor_after": Column("Float64", "what the donor held after", unit="units", path="donor_after"),
            "recipient_before": Column(
                "Float64", "what the recipient held before", unit="units", path="recipient_before"
            ),
            "recipient_after": Column("Float64", "what the recipient held after", unit="units", path="recipient_after"),
            "attempts": Column("Int64", "how often the donor was asked", path="attempts"),
            "problem": Column(
                "string", "why the last reply was not readable; missing for a valid answer", path="problem"
            ),
            "replaced_by": Column(
                "string", "zero where the scenario's fallback stands in for an answer", path="replaced_by"
            ),
            "reading": Column(
                "string",
                "how the amount was read: plain, in units; percent, of own resources; clamped, lowered to what it held",
                path="reading",
            ),
        },
        sometimes={
            "shown_delay": Column(
                "Int64",
                "how many rounds late acts become known; 0: in the next round",
                derived="`condition.observation`, where a run's donors saw less than a trace of two acts shows in time",
            ),
            "shown_records": Column(
                "Int64",
                "2: the recipient's last act and its partner's before it are shown or judged; 1: its own; 0: none",
                derived="as `shown_delay`",
            ),
            "was_informed": Column(
                "boolean",
                "whether the donor was shown anything about its recipient, by chance, under the rule's known",
                derived="as `shown_delay`, and the seed",
            ),
            "donor_group": Column(
                "Int64", "the donor's group, from 1", derived="`groups` of `grouped`, if there are any"
            ),
            "recipient_group": Column("Int64", "the recipient's group, from 1", derived="as `donor_group`"),
        },
    ),
    "moves": Table(
        row="a move that a member of an encounter was asked for, in games other than the donor game",
        records=(Moved,),
        of_records={
            "key": Column("string", "the question's key, as g3/game1/r04/2_4", path="key"),
            "generation": Column("Int64", "from 1", path="generation"),
            "game": Column("Int64", "from 1", path="game"),
            "round": Column("Int64", "from 1", path="round"),
            "stage": Column("string", "the stage of the game", path="stage"),
            "actor": Column("string", "agent", path="actor"),
            "actor_model": Column(
                "string", "the player behind the actor", derived="`agent.model` of the actor's `strategy_formed`"
            ),
            "role": Column("string", "its role in the encounter", path="role"),
            "option": Column("string", "what it did; missing where no move could be read", path="option"),
            "amount": Column("Float64", "units it did that with, if the option has any", unit="units", path="amount"),
            "aimed": Column(
                "string",
                "members that it was aimed at, each with its units, as JSON; missing for other options",
                derived="`aimed`",
                of=derived.aimed_at,
            ),
            "level": Column(
                "Float64",
                "how cooperative it was, from 0 to 1 as the most that was possible; missing where that cannot be said",
                unit="fraction",
                path="level",
            ),
            "intended": Column(
                "string", "the option decided on, where chance made another of it; else missing", path="intended"
            ),
            "attempts": Column("Int64", "how often the actor was asked", path="attempts"),
            "problem": Column(
                "string", "why the last reply was not readable; missing for a valid answer", path="problem"
            ),
            "replaced_by": Column(
                "string", "zero where the scenario's fallback stands in for an answer", path="replaced_by"
            ),
            "reading": Column("string", "how an amount was read: plain, percent or clamped", path="reading"),
        },
        sometimes={
            "actor_group": Column(
                "Int64", "the actor's group, from 1", derived="`groups` of `grouped`, if there are any"
            ),
        },
    ),
    "outcomes": Table(
        row="a member and an encounter of a game other than the donor game: what the encounter brought it",
        records=(Settled,),
        of_records={
            "generation": Column("Int64", "from 1", path="generation"),
            "game": Column("Int64", "from 1", path="game"),
            "round": Column("Int64", "from 1", path="round"),
            "members": Column(
                "string", "all members, by space, in the order of their roles", derived="`members`", of=derived.members
            ),
            "agent": Column("string", "the member", derived="`members`, one after the other"),
            "before": Column("Float64", "what it held before", unit="units", derived="`before`, in the same order"),
            "after": Column("Float64", "what it held after", unit="units", derived="`after`, in the same order"),
            "state_before": Column(
                "Float64", "what the group shared before, as a stock; else missing", unit="units", path="state_before"
            ),
            "state_after": Column("Float64", "what it shared after", unit="units", path="state_after"),
            "is_missing": Column(
                "boolean", "whether a move could not be read, so that nothing moved", path="is_missing"
            ),
        },
    ),
    "messages": Table(
        row="a message that a member of an encounter was to write before deciding; none where agents do not talk",
        records=(Talked,),
        of_records={
            "key": Column("string", "the question's key", path="key"),
            "generation": Column("Int64", "from 1", path="generation"),
            "game": Column("Int64", "from 1", path="game"),
            "round": Column("Int64", "from 1", path="round"),
            "turn": Column("Int64", "the round of talk, from 1", path="turn"),
            "author": Column("string", "agent", path="author"),
            "recipients": Column("string", "who could read it, by space", derived="`to`", of=derived.recipients),
            "message": Column(
                "string", "what was said, cut at the stated length; missing where none could be read", path="text"
            ),
            "is_cut": Column("boolean", "whether it was longer", path="is_cut"),
            "attempts": Column("Int64", "how often the author was asked", path="attempts"),
            "problem": Column("string", "why the last reply was not readable; missing if it was", path="problem"),
        },
    ),
    "gossip": Table(
        row="a note that a recipient was to write about its donor, under gossip; there are none under other rules",
        records=(NoteWritten,),
        of_records={
            "key": Column("string", "the note's key: that of the decision it is about, and /note", path="key"),
            "generation": Column("Int64", "from 1", path="generation"),
            "game": Column("Int64", "from 1", path="game"),
            "round": Column("Int64", "from 1", path="round"),
            "author": Column("string", "agent; the encounter's recipient", path="author"),
            "about": Column("string", "agent; the encounter's donor", path="about"),
            "note": Column(
                "string",
                "what was written, cut at the stated length; missing where no note could be read",
                path="text",
            ),
            "is_cut": Column("boolean", "whether it was longer", path="is_cut"),
            "attempts": Column("Int64", "how often the author was asked", path="attempts"),
            "problem": Column(
                "string", "why the last reply was not readable; missing for a note that was read", path="problem"
            ),
        },
    ),
    "sat_out": Table(
        row="an agent that took no part in an encounter that was due: it or another refused, or it was excluded",
        records=(SatOut,),
        of_records={
            "generation": Column("Int64", "from 1", path="generation"),
            "game": Column("Int64", "from 1, within the generation", path="game"),
            "round": Column("Int64", "from 1, within the game", path="round"),
            "agent": Column("string", "its name", path="agent"),
            "others": Column(
                "string",
                "whom it was to meet, separated by spaces",
                derived="`others`",
                of=lambda record, _: " ".join(record.others),
            ),
            "reason": Column(
                "string",
                "refused; was_refused; parted, earlier in the game; excluded by vote; alone, as nobody was left to"
                " meet; or missing: an answer on which it depended could not be read",
                path="reason",
            ),
            "before": Column("Float64", "units that it held", unit="units", path="before"),
            "after": Column("Float64", "units that it holds after that", unit="units", path="after"),
        },
    ),
    "groups": Table(
        row="a run, a generation and a group; none where agents have no groups",
        records=(Grouped,),
        of_records={
            "generation": Column("Int64", "from 1", path="generation"),
            "group": Column("Int64", "from 1", derived="`groups`, its values"),
            "n_agents": Column("Int64", "agents in it", derived="`groups`, counted"),
            "score": Column(
                "Float64", "mean of what selection compared", unit="units", derived="`score` of agents, their mean"
            ),
            "mean_fraction": Column(
                "Float64",
                "mean over its agents; missing in other games than the donor game",
                unit="fraction",
                derived="`mean_fraction` of agents, their mean",
            ),
            "mean_level": Column(
                "Float64", "mean over its agents", unit="fraction", derived="`mean_level` of agents, their mean"
            ),
            "n_survivors": Column(
                "Int64",
                "agents of it that lived on; missing of the last generation",
                derived="`survived` of agents, counted",
            ),
        },
    ),
    "neighbours": Table(
        row="an agent, a generation and a neighbour it has in that; none where agents have no places in a network",
        records=(Connected,),
        of_records={
            "generation": Column("Int64", "from 1", path="generation"),
            "game": Column("Int64", "the game, where the network is rewired between games; else missing", path="game"),
            "agent": Column("string", "its name", derived="`edges`, from either end"),
            "neighbour": Column("string", "the neighbour's name", derived="`edges`, the other end"),
        },
    ),
    "replies": Table(
        row="a reply; scripted players leave none",
        records=(Reply,),
        of_records={
            "key": Column("string", "the question's key", path="key"),
            "generation": Column(
                "Int64",
                "generation in which it was asked, from 1; with run and cost_usd: its cost",
                derived="`key`",
                of=derived.generation_asked,
            ),
            "attempt": Column("Int64", "1 for the first asking", path="attempt"),
            "player": Column(
                "string",
                "the player that was asked, as provider/model",
                derived="`player`, or the only one of the run",
                of=derived.player_asked,
            ),
            "model": Column("string", "the model asked for", path="prompt.model"),
            "model_answered": Column(
                "string", "the model that answered, in the server's words", path="completion.model"
            ),
            "fingerprint": Column(
                "string",
                "the configuration that answered, in the server's words; missing where it said none",
                path="completion.fingerprint",
            ),
            "server": Column(
                "string",
                "the address of the server that answered; missing of a model on this machine",
                derived="`completion.server`, or the one address among `accounts` of the run",
                of=derived.server_asked,
            ),
            "finish_reason": Column(
                "string", "stop, length, filtered, refused or other", path="completion.finish_reason"
            ),
            "input_tokens": Column(
                "Int64", "tokens of the prompt", unit="tokens", path="completion.usage.input_tokens"
            ),
            "cached_tokens": Column(
                "Int64",
                "those of them read from the provider's cache",
                unit="tokens",
                path="completion.usage.cached_tokens",
            ),
            "cache_write_tokens": Column(
                "Int64",
                "those of them written to it, where the provider counts them apart",
                unit="tokens",
                path="completion.usage.cache_write_tokens",
            ),
            "output_tokens": Column(
                "Int64", "tokens of the answer", unit="tokens", path="completion.usage.output_tokens"
            ),
            "reasoning_tokens": Column(
                "Int64",
                "those of them spent on hidden reasoning",
                unit="tokens",
                path="completion.usage.reasoning_tokens",
            ),
            "cost_usd": Column(
                "Float64",
                "cost at the price logged with the run; missing where it is not known",
                unit="US dollars",
                derived="`completion.usage`, and `accounts` of the run",
                of=derived.usd,
            ),
            "latency_s": Column(
                "Float64", "time from sending to the whole answer", unit="seconds", path="completion.latency_s"
            ),
            "hedged": Column(
                "boolean",
                "a second copy was sent because the first was slow; both may be billed",
                derived="`completion.hedge`",
                of=derived.is_hedged,
            ),
            "time": Column("datetime64[us, UTC]", "when the answer had come", path="time"),
            "text": Column("string", "the model's words", path="completion.text"),
            "thoughts": Column(
                "string",
                "what it thought before, where the server sends that apart; missing otherwise",
                path="completion.thoughts",
            ),
        },
    ),
}
"""Every table of a study, by name, in the order in which they are exported."""

TOKENS: Final = [name for name, column in TABLES["replies"].of_records.items() if column.unit == "tokens"]
"""The columns of tokens, of replies and of runs."""

COLUMNS: Final[Mapping[str, Mapping[str, Column]]] = {name: table.columns for name, table in TABLES.items()}
"""Every column of every dataframe; `runs` also has one for each setting that a study varies, by its path."""
