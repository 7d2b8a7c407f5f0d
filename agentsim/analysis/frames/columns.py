"""What every column of every dataframe holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

__all__ = ["COLUMNS", "GENERATION", "KEY", "Column"]


class Column(NamedTuple):
    """One column of a dataframe."""

    dtype: str
    """pandas dtype; capital letters, `boolean` and `string` are dtypes that know missing values."""
    meaning: str
    """What it holds, with units."""


KEY: Final = ["study", "run"]
"""The columns that name a run, in every frame."""
GENERATION: Final = [*KEY, "generation"]
"""The columns that name a generation of a run."""

_KEYS: Final = {
    "study": Column("string", "name of the study, and of its folder"),
    "run": Column("string", "name of the run, and of its folder in the study's; with study the key of a run"),
}

COLUMNS: Final[Mapping[str, Mapping[str, Column]]] = {
    "runs": {
        **_KEYS,
        "condition": Column("string", "the run's name without its seed: equal for all seeds of one condition"),
        "model": Column("string", "the player, as provider/model; of a mixed society all of them, joined by +"),
        "seed": Column("Int64", "seed of the run"),
        "status": Column(
            "string",
            "complete; unread: played to its end, but none of a model's decisions could be read; unfinished; not begun:"
            " nothing was answered yet; or unreadable: its log cannot be read",
        ),
        "problem": Column("string", "why the log could not be read, or whose decisions could not be, not one"),
        "n_agents": Column("Int64", "agents of a generation"),
        "n_generations": Column("Int64", "generations to be played"),
        "n_games": Column("Int64", "games of a generation"),
        "n_rounds": Column("Int64", "rounds of a game; missing where the number is drawn for each generation"),
        "endowment": Column("Float64", "units each agent holds at the start of a game"),
        "maximum": Column(
            "Float64",
            "units: highest mean final resources that the schedule of the last finished generation allows (of the"
            " first generation where none has finished); everyone giving all, wherever roles alternate",
        ),
        "rules_digest": Column(
            "string", "SHA-256 of all that decides a run but its players and seed; equal for comparable runs"
        ),
        "prompts": Column("string", "its prompt set's name, and the first digits of the SHA-256 of its templates"),
        "generations": Column("Int64", "generations finished"),
        "mean_final_resources": Column("Float64", "units: the last finished generation's reported score"),
        "n_replies": Column("Int64", "replies in the log, every asking counted"),
        "n_encounters": Column("Int64", "encounters that happened"),
        "n_asked_again": Column("Int64", "askings beyond the first of a question"),
        "n_missed": Column("Int64", "encounters without a readable decision: nothing moved"),
        "n_replaced": Column("Int64", "encounters where the scenario counts an unreadable answer as a gift of 0"),
        "n_failed": Column("Int64", "encounters in which the donor decided, but its act failed: nothing moved"),
        "input_tokens": Column("Int64", "tokens of all prompts; missing where a reply did not say"),
        "cached_tokens": Column("Int64", "those of them read from the provider's cache"),
        "output_tokens": Column("Int64", "tokens of all answers, reasoning included"),
        "reasoning_tokens": Column("Int64", "those of them spent on hidden reasoning"),
        "cost_usd": Column(
            "Float64", "US dollars of all replies at the price logged with the run; missing where it is not known"
        ),
        "models_answered": Column("string", "the models that answered, in the servers' words, comma-separated"),
        "n_torn_bytes": Column("Int64", "bytes of an unfinished last line, passed over"),
    },
    "agents": {
        **_KEYS,
        "generation": Column("Int64", "a generation the agent lives in, from 1"),
        "agent": Column("string", "its name, <generation born>_<index>"),
        "born": Column("Int64", "generation it joined in"),
        "model": Column("string", "the player behind it"),
        "strategy": Column("string", "its strategy; missing where none could be read"),
        "parents": Column("string", "the survivors it was shown, by space"),
        "score": Column("Float64", "units: what selection saw; missing until the generation has ended"),
        "survived": Column("boolean", "whether it was kept; missing in the last generation"),
        "mean_fraction": Column(
            "Float64", "mean fraction given in its own donations of this generation, as in generations"
        ),
        "n_decisions": Column("Int64", "encounters it was donor in"),
        "n_missed": Column("Int64", "those of them without a readable decision"),
    },
    "generations": {
        **_KEYS,
        "generation": Column("Int64", "from 1; only generations that have ended"),
        "mean_final_resources": Column("Float64", "units: mean over agents, averaged over the generation's games"),
        "maximum": Column(
            "Float64",
            "units: highest mean_final_resources that this generation's schedule allows; missing where donors"
            " may not give any share",
        ),
        "mean_fraction": Column(
            "Float64",
            "mean fraction given over donations the donors decided themselves; acts that failed are left out",
        ),
        "n_rounds": Column("Int64", "rounds of each of its games"),
        "n_encounters": Column("Int64", "encounters"),
        "n_punished": Column("Int64", "encounters in which the donor punished, and its act did not fail"),
        "n_missed": Column("Int64", "encounters without a readable decision"),
        "n_replaced": Column("Int64", "encounters counted as a gift of 0 for want of a readable answer"),
        "n_failed": Column("Int64", "encounters in which the donor decided, but its act failed: nothing moved"),
        "n_asked_again": Column("Int64", "askings beyond the first, strategies and notes included"),
    },
    "resources": {
        **_KEYS,
        "generation": Column("Int64", "from 1"),
        "game": Column("Int64", "from 1; only games that have ended"),
        "agent": Column("string", "its name"),
        "resources": Column("Float64", "units it held at the end of the game"),
    },
    "encounters": {
        **_KEYS,
        "key": Column("string", "the decision's key, as g3/game1/r04/2_4"),
        "generation": Column("Int64", "from 1"),
        "game": Column("Int64", "from 1"),
        "round": Column("Int64", "from 1"),
        "donor": Column("string", "agent"),
        "recipient": Column("string", "agent"),
        "donor_model": Column("string", "the player behind the donor"),
        "recipient_model": Column("string", "the player behind the recipient"),
        "act": Column("string", "give, punish or missing"),
        "amount": Column(
            "Float64", "units given, or spent on punishing; 0 where the act failed; missing without a decision"
        ),
        "fraction": Column("Float64", "amount / donor_before; missing without a decision or with nothing to give"),
        "intended": Column("Float64", "units the donor had decided on, where its act failed; else missing"),
        "removed": Column("Float64", "units taken from the recipient by punishment"),
        "donor_before": Column("Float64", "units"),
        "donor_after": Column("Float64", "units"),
        "recipient_before": Column("Float64", "units"),
        "recipient_after": Column("Float64", "units"),
        "attempts": Column("Int64", "how often the donor was asked"),
        "problem": Column("string", "why the last reply was not readable; missing for a valid answer"),
        "replaced_by": Column("string", "zero where the scenario's fallback stands in for an answer"),
        "reading": Column("string", "how the amount was written: plain units, or percent of own resources"),
    },
    "gossip": {
        **_KEYS,
        "key": Column("string", "the note's key: that of the decision it is about, and /note"),
        "generation": Column("Int64", "from 1"),
        "game": Column("Int64", "from 1"),
        "round": Column("Int64", "from 1"),
        "author": Column("string", "agent; the encounter's recipient"),
        "about": Column("string", "agent; the encounter's donor"),
        "note": Column("string", "what was written, cut at the stated length; missing where no note could be read"),
        "is_cut": Column("boolean", "whether it was longer"),
        "attempts": Column("Int64", "how often the author was asked"),
        "problem": Column("string", "why the last reply was not readable; missing for a note that was read"),
    },
    "replies": {
        **_KEYS,
        "key": Column("string", "the question's key"),
        "generation": Column("Int64", "generation in which it was asked, from 1; with run and cost_usd: its cost"),
        "attempt": Column("Int64", "1 for the first asking"),
        "player": Column("string", "the player that was asked, as provider/model"),
        "model": Column("string", "the model asked for"),
        "model_answered": Column("string", "the model that answered, in the server's words"),
        "finish_reason": Column("string", "stop, length, filtered, refused or other"),
        "input_tokens": Column("Int64", "tokens of the prompt"),
        "cached_tokens": Column("Int64", "those of them read from the provider's cache"),
        "output_tokens": Column("Int64", "tokens of the answer"),
        "reasoning_tokens": Column("Int64", "those of them spent on hidden reasoning"),
        "cost_usd": Column("Float64", "US dollars at the price logged with the run; missing where it is not known"),
        "latency_s": Column("Float64", "seconds from sending to the whole answer"),
        "hedged": Column("boolean", "a second copy was sent because the first was slow; both may be billed"),
        "time": Column("datetime64[us, UTC]", "when the answer had come"),
        "text": Column("string", "the model's words"),
        "thoughts": Column("string", "what it thought before, where the server sends that apart; missing otherwise"),
    },
}
"""Every column of every dataframe; `runs` also has one for each setting that a study varies, by its path."""
