"""What a process that is forked for a test begins with: modules, and what is compiled once in a process."""

from __future__ import annotations

import gc
import tempfile
from pathlib import Path

from agentsim.play.replay import code_digest
from agentsim.prompts.sets import load_prompt_set
from tests.orchestrator import test_games_resumed, test_killed_at
from tests.orchestrator.engines import test_claims
from tests.orchestrator.test_study import Fake, play

__all__ = ["test_claims", "test_games_resumed", "test_killed_at"]

load_prompt_set("default")
code_digest()
with tempfile.TemporaryDirectory() as folder:
    # Templates and patterns are compiled when they are first used: half of a small study.
    play(Path(folder), Fake())
    test_games_resumed.whole(Path(folder))
gc.freeze()  # what all of them share stays shared
