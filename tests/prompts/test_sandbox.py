"""Templates of a user's own can neither run for ever nor fill the memory, and still say what they have to."""

from __future__ import annotations

import traceback

import pytest
from jinja2 import TemplateError

from agentsim.prompts.sandbox import BoundedEnvironment


def rendered(source: str) -> str:
    environment = BoundedEnvironment({"quoted": repr})
    return environment.rendered(environment.template(source), {"x": "v", "d": {"k": 1}})


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("a {{ x }} b", "a v b"),
        ("{% for i in range(3) %}{{ i }},{% endfor %}", "0,1,2,"),
        (
            "{% set ns = namespace(v=0) %}{% for i in [1, 2] %}{% set ns.v = ns.v + i %}{% endfor %}{{ ns.v }}",
            "3",
        ),
        ("{% macro m(a) %}<{{ a }}>{% endmacro %}{{ m(1) }}{{ m('q') }}", "<1><q>"),
        ("{{ 'a' ~ 1 ~ 2.5 }}", "a12.5"),
        ("{{ '%.2f'|format(1.234) }} {{ '%.1f' % 2 }}", "1.23 2.0"),
        ("{{ 'aXb'|replace('X', '--') }}", "a--b"),
        ("{{ [3, 1]|sort|join(',') }} {{ [1, 2]|sum }} {{ 1.26|round(1) }}", "1,3 3 1.3"),
        ("{{ x.upper() }} {{ x|length }} {{ 3 * 2 }} {{ 2 ** 5 }} {{ 7 % 4 }}", "V 1 6 32 3"),
        ("{% for a in ['p', 'q'] %}{{ loop.index }}{{ loop.cycle('o', 'e') }}{% endfor %}", "1o2e"),
        ("{{ d.k }} {% for k, v in d.items() %}{{ k }}={{ v }}{% endfor %}", "1 k=1"),
        ("{% set y %}abc{{ x }}{% endset %}{{ y }}", "abcv"),
        ("{{ x | quoted }}{% if x is defined %}y{% endif %}", "'v'y"),
    ],
)
def test_ordinary_templates_are_rendered(source: str, text: str) -> None:
    assert rendered(source) == text


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'x' * 10 ** 10 }}",
        "{{ 10 ** 10 * 'x' }}",
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
        "{% macro _pass() %}{% endmacro %}{% for a in range(400) %}{% for b in range(400) %}{% endfor %}{% endfor %}",
        "{% macro _out(x) %}{% endmacro %}{% for a in range(99999) %}" + "x" * 100 + "{% endfor %}",
        "{% for a in range(99999) %}" + "x" * 100 + "{{ a }}{% endfor %}",
        "{{ 'x'.center(10 ** 10) }}",
        "{{ 'x'.zfill(10 ** 10) }}",
        "{{ 'x'|center(10 ** 10) }}",
        "{{ 'x'|indent(10 ** 10) }}",
        "{{ '{:>9999999999}'.format(1) }}",
        "{{ '%9999999999d' % 1 }}",
        "{{ '%*d' % (10 ** 9, 1) }}",
        "{{ '%9999999999d'|format(1) }}",
        "{{ '%(a)s%(a)s'|format(a='x' * 600000) }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{{ range(10 ** 12) }}",
        "{{ 9 ** 9 ** 9 ** 9 }}",
        "{{ (10 ** 15) ** 50 }}",
        "{% set s = 'xxxxxxxxxx' %}" + "{% set s = s ~ s %}" * 40,
        "{% set s = 'xxxxxxxxxx' %}" + "{% set s = s + s %}" * 40,
        "{% set s %}xxxxxxxxxx{% endset %}" + "{% set s %}{{ s }}{{ s }}{% endset %}" * 40,
        "{% set s = [1] %}" + "{% set s = [s, s] %}" * 40 + "{{ s }}",
        "{% set s = {1: 1} %}" + "{% set s = {1: s, 2: s} %}" * 40 + "{{ s }}",
        "{{ ('x' * 1000000)|replace('x', 'y' * 1000000) }}",
        "{{ ([1] * 100000)|join('x' * 1000000) }}",
        "{{ 'a'.join(['b'] * 10 ** 9) }}",
        "{{ [[1]]|sum(start=[]) }}",
        "{% for a in range(99999) %}{{ 'x' * 999999 }}{% endfor %}",
        "{% for a in range(99999) %}{{ ('x' * 999999)|length }}{% endfor %}",
        "{{ lipsum(10 ** 9) }}",
        "{{ x.__class__ }}",
        "{{ _pass.__self__ }}",
        "{{ namespace.__init__.__globals__ }}",
        "{{ nope }}",
    ],
)
def test_what_reaches_out_or_grows_without_bound_is_an_error(source: str) -> None:
    with pytest.raises(TemplateError):
        rendered(source)


def test_a_rendering_counts_from_zero() -> None:
    environment = BoundedEnvironment({})
    template = environment.template("{% for a in range(60000) %}{% endfor %}done")
    assert [environment.rendered(template, {}) for _ in range(3)] == ["done"] * 3


def test_the_line_of_a_bound_that_is_passed_can_be_named() -> None:
    with pytest.raises(TemplateError) as failed:
        rendered("one\ntwo\n{{ 'x' * 10 ** 10 }}")
    assert [entry.lineno for entry in traceback.extract_tb(failed.tb) if entry.filename == "<template>"][-1] == 3


def test_one_source_is_rendered_by_the_filters_of_its_own_environment() -> None:
    environments = [BoundedEnvironment({"told": told}) for told in (str.upper, str.title)]
    sources = ("{{ 'ab cd'|told }}", "{{ x|told }}")
    found = [[each.rendered(each.template(source), {"x": "ab cd"}) for source in sources] for each in environments]
    assert found == [["AB CD"] * 2, ["Ab Cd"] * 2]


def test_what_one_environment_renders_is_not_charged_to_another() -> None:
    source = "{% for a in range(60000) %}{% endfor %}done"
    environments = [BoundedEnvironment({}) for _ in range(2)]
    assert [each.rendered(each.template(source), {}) for each in (*environments, *environments)] == ["done"] * 4
