"""The charts of the page: specifications that Vega-Lite takes, and Vega itself as it was released."""

from __future__ import annotations

import json

import pytest
import vl_convert

from agentsim.report.charts import bundle, specifications


def test_the_script_is_vega_as_released_and_cannot_end_its_own_element() -> None:
    script = bundle()
    assert script == vl_convert.javascript_bundle(None)  # type: ignore[arg-type] # None is its documented default
    assert "</script" not in script.lower() and "<!--" not in script


@pytest.mark.parametrize("has_published", [False, True])
@pytest.mark.parametrize("has_zero", [False, True])
def test_vega_lite_takes_every_specification(has_zero: bool, has_published: bool) -> None:
    charts = specifications(has_zero=has_zero, has_published=has_published)
    assert list(charts) == ["resources_log", "resources_linear", "fractions", "society", "life", "moves"]
    for chart in charts.values():
        assert vl_convert.vegalite_to_vega(chart)["marks"]
    assert ("published" in json.dumps(charts)) is has_published
    assert ("symlog" in json.dumps(charts)) is has_zero
