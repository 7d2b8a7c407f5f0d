"""A prompt that a provider's filter refuses each time it is asked: reported by a user, whose run could never end."""

from __future__ import annotations

from pathlib import Path

import agentsim
from agentsim.testing.faultserver import Answer, Behaviour, FaultServer, Request, Status
from agentsim.testing.weather import plausible

AZURE = Status(
    400,
    "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
    code="content_filter",
)


def refuses_one(request: Request) -> Behaviour:
    """Refuse what agent 1_2 is asked in round 2, in any words."""
    is_it = "1_2" in request.prompt and "round 2" in request.prompt.lower()
    return AZURE if is_it else Answer(plausible)


async def test_it_is_asked_again_and_then_missing_and_the_run_ends(tmp_path: Path) -> None:
    async with FaultServer(refuses_one) as server:
        scenario = agentsim.scenario_from(
            {
                "name": "content-filter",
                "agents": 4,
                "generations": 1,
                "game": {"kind": "donor", "rounds": 4},
                "players": {"model": "azure/filtered", "max_tokens": 300},
                "seeds": [0],
                "budget": 5.0,
                "providers": {
                    "azure": {
                        "base_url": server.openai_url,
                        "api_key_env": None,
                        "prices": {"filtered": {"input": 1, "output": 2}},
                    }
                },
            }
        )
        result = await agentsim.run_async(scenario, results=tmp_path)
    assert [state.status for state in result.runs] == ["complete"]
    study = agentsim.load(result.folder)
    missed = study.encounters[study.encounters["problem"].notna()]
    assert set(missed["problem"]) == {"filtered"} and set(missed["attempts"]) == {3}
    assert set(missed["act"]) == {"missing"} and missed["amount"].isna().all()
    filtered = study.replies[study.replies["finish_reason"] == "filtered"]
    assert len(filtered) == 3 * len(missed) and set(filtered["text"]) == {""}
    assert filtered["cost_usd"].isna().all()  # some providers bill such a prompt, and none says so
