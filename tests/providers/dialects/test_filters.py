"""A prompt that a content filter refused is told from a request that was wrong, in the words of many servers."""

from __future__ import annotations

from typing import Any

import pytest

from agentsim.providers.dialects.filters import is_filter


@pytest.mark.parametrize(
    "error",
    [
        {"code": "1301", "message": "System detected potentially unsafe or sensitive content in input or generation"},
        {"code": "SensitiveContentDetected", "message": "no"},
        {"code": 400, "message": "Request blocked by safety settings", "status": "INVALID_ARGUMENT"},
        {"code": "policy_violation", "message": "no"},
        {"code": "1026", "message": "new_sensitive"},
        {"error_code": 17, "error_msg": "the content of messages is not safe"},
        {"message": "Your request was rejected as a result of our safety system."},
        {"message": "Request was blocked by content moderation"},
    ],
)
def test_a_filters_refusal_is_known(error: dict[str, Any]) -> None:
    assert is_filter({"error": error}, status=400)


@pytest.mark.parametrize(
    "message",
    [
        "prompt is too long: 9999 tokens",
        "unknown field 'safety_settings'",
        "content must be a string",
        "Unknown parameter: 'moderation'",
    ],
)
def test_a_wrong_request_is_no_filters_refusal(message: str) -> None:
    assert not is_filter({"error": {"message": message, "code": "invalid_value"}}, status=400)
