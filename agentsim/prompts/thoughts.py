"""What a model only thinks, inside its text: it is no answer and no strategy, and it is not sent back to the model.

Known are tags (`<think>`, `[THINK]`, `<|begin_of_thought|>`, and others of these names), fenced blocks that call
themselves thoughts, and the channels of the harmony format. A thought without an end lasts to the end of the text. One
without a beginning began with the text, as it does where a server's template has written the opening tag.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["REPLY_TAGS", "without_elements", "without_thoughts"]

_NAMES: Final = (
    r"think(?:ing)?|thoughts?|reason(?:ing)?|reflect(?:ion|ing)?|reflexion|analysis|analy[sz]ing|scratch[_-]?pad"
    r"|deliberat(?:e|ion|ing)|ponder(?:ing)?|brainstorm(?:ing)?|(?:inner|internal)?(?:monologue|thoughts?)"
    r"|chain_?of_?thoughts?|cot|rationale|details"
)
_TAG: Final = re.compile(
    # <|begin_of_thought|>, <|END_THINKING|>
    r"<\|(?:(?P<end_3>end)|begin|start)_(?:of_)?(?P<name_3>thought|thinking|think|reasoning)\|>"
    # <think>, </think>, <|think|>, <details type="reasoning">, <seed:think>, <antThinking>, &lt;think&gt;
    rf"|(?:\\?<|＜|&lt;)\|?\s?(?P<end>/)?\s?(?:(?:[a-z]{{1,12}}[:_-]){{1,3}}|ant)?(?P<name>{_NAMES})(?:[_-][a-z]{{1,12}})?"
    r"(?:[ \t][^<>\n]{0,200})?\s?\|?(?:\\?>|＞|&gt;)"
    # [THINK], [/THINK] in capitals, as prose may have [think]; ◁think▷, ◁/think▷
    r"|\[(?P<end_2>/)?(?P<name_2>(?-i:THINK(?:ING)?))\]|◁(?P<end_6>/)?(?P<name_6>think(?:ing)?)▷"
    # <|channel|>analysis<|message|>, and Gemma's <|channel>thought ... <channel|>
    r"|(?P<end_4><(?P<name_4>channel)\|>)"
    r"|<\|channel\|?>[ \t]*(?P<channel>[a-z]+)[^<\n]{0,100}(?:<\|constrain\|>[a-z]*)?(?:<\|message\|>)?"
    # MedGemma's <unused94>thought ... <unused95>, and what Ollama writes behind a thought
    r"|(?P<name_5><unused94>)|(?P<end_5><unused95>|^\.\.\.done thinking\.)"
    # ```thinking
    r"|^[ \t]*(?P<fence>```|~~~)[ \t]*(?:think(?:ing)?|thoughts?|reasoning|scratchpad|analysis)[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
_ENDS: Final = [group for group in _TAG.groupindex if group.startswith("end")]
_NAMED: Final = [group for group in _TAG.groupindex if group.startswith("name")]
_TOKEN: Final = re.compile(r"<\|(?:start|end|return|message|channel|im_start|im_end)\|>(?:assistant\b)?", re.IGNORECASE)
_DROPPED_TOKENS: Final = re.compile(r"\s*(?:assistant)?analysis(?=[A-Z\"'“(])")
"""How the harmony format begins where its special tokens were dropped; `assistantfinal` then begins the reply."""


def without_thoughts(text: str) -> str:
    """Return what of `text` was said, and not only thought: empty where all of it was thought. Takes linear time."""
    if _DROPPED_TOKENS.match(text):
        before, _, after = text.rpartition("assistantfinal")
        text = after if before else ""
    said: list[str] = []
    thoughts: list[str] = []
    """The names of the thoughts that are open, the outermost first."""
    place = 0
    for tag in _TAG.finditer(text):
        if tag.start() < place:
            continue
        between = text[place : tag.start()]
        if not thoughts:
            said.append(between)
        place = tag.end()
        name = _name(tag)
        if tag["channel"] is not None:
            # Only the last channel is the reply: a channel ends what stands before it.
            said, thoughts = [], [] if tag["channel"].lower() == "final" else [name]
        elif tag["fence"] is not None:
            place = place if thoughts else _end_of_fence(text, place, fence=tag["fence"])
        elif any(tag[group] is not None for group in _ENDS):
            if name in thoughts:
                del thoughts[_last(thoughts, name) :]
            elif not thoughts:
                said = []
        elif not (
            thoughts and thoughts[-1] == name and not between.strip()
        ):  # the template and the model both began it
            thoughts.append(name)
    if not thoughts:
        said.append(text[place:])
    return _TOKEN.sub("", " ".join(said))


_ELEMENT: Final = re.compile(
    r"<(/?)([^\W\d][\w:-]{0,30})(?:[ \t][^<>\n]{0,200})?>|\[(/?)([a-z][\w-]{0,30})\]", re.IGNORECASE
)
REPLY_TAGS: Final = (
    r"(?:b|i|u|em|strong|br|p|span|div|code|pre|mark|big|small|ul|ol|li|h\d|html|body|section|article|blockquote"
    r"|units?|amount|number|give|gift|donation|contribution"
    r"|(?:(?:my|the)[_-]?)?(?:final|answer|decision|choice|action|move|response|reply|output|result|assistant|message)"
    r"(?:[_-]?(?:final|answer|decision|choice|action|response|reply|output|result))?)"
)
"""A regular expression of the names of elements whose content is the reply itself."""
_REPLY_TAG: Final = re.compile(REPLY_TAGS, re.IGNORECASE)


def without_elements(text: str) -> str:
    """Return `text` without comments and elements such as `<plan>...</plan>`, but for those that hold the reply itself.

    One that is never closed lasts to the end if its tag has a line of its own. Takes linear time.
    """
    text = re.sub(r"<!--.*?(?:-->|\Z)", " ", text, flags=re.DOTALL)
    tags = [tag for tag in _ELEMENT.finditer(text) if not _REPLY_TAG.fullmatch(tag[2] or tag[4])]
    ends: dict[str, list[re.Match[str]]] = {}
    for tag in reversed(tags):
        if tag[1] or tag[3]:
            ends.setdefault(_element(tag), []).append(tag)
    said, place = [], 0
    for tag in tags:
        if tag.start() < place or tag[1] or tag[3]:
            continue
        closing = ends.get(_element(tag), [])
        while closing and closing[-1].start() < tag.end():
            closing.pop()
        if closing:
            said.append(text[place : tag.start()])
            place = closing[-1].end()
        elif tag[2] and _has_a_line(text, tag):
            return "".join([*said, text[place : tag.start()]])
    return "".join([*said, text[place:]])


def _element(tag: re.Match[str]) -> str:
    return tag[0][0] + str(tag[2] or tag[4]).lower()


def _has_a_line(text: str, tag: re.Match[str]) -> bool:
    before, after = text[max(tag.start() - 3, 0) : tag.start()], text[tag.end() : tag.end() + 3]
    return not before.rpartition("\n")[2].strip() and after.lstrip(" \t\r").startswith("\n")


def _name(tag: re.Match[str]) -> str:
    """Return the name that a thought's end must share with its beginning; models mix the forms of one word."""
    if tag["channel"] is not None:
        return "channel"
    name = next((tag[group].lower() for group in _NAMED if tag[group] is not None), "think")
    return "think" if name.startswith(("think", "thought", "<unused")) else name


def _last(names: list[str], name: str) -> int:
    return len(names) - 1 - names[::-1].index(name)


def _end_of_fence(text: str, place: int, *, fence: str) -> int:
    """Return where the fenced block that began before `place` ends; without an end it is the end of the text."""
    end = text.find(f"\n{fence}", place)
    return len(text) if end < 0 else end + 1 + len(fence)
