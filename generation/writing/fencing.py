"""Makes text safe to stand in a prompt as data: it cannot end its block, begin a turn or pretend
to be an excerpt.

What a reader could not see is left out. The text of a document is changed for the model's eyes
only; citations come from the document itself.
"""

from __future__ import annotations

import re

# Zero-width and bidirectional marks, tags, variation selectors beyond those of emoji, and control
# characters.
_INVISIBLE = re.compile(
    "[\u0000-\u0008\u000e-\u001f\u007f-\u0084\u0086-\u009f\u00ad\u034f\u061c\u115f\u1160"
    "\u17b4\u17b5\u180b-\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0"
    "\ufff9-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
# Joiners shape letters in Persian, in Hindi, in emoji; behind these letters they only hide.
_IDLE_JOINER = re.compile("(?:(?<=[\u0000-\u058f])|^)[\u200c\u200d]+")
_LINE_BREAK = re.compile("\r\n|[\r\u000b\u000c\u0085\u2028\u2029]")
_OPENING = "<＜‹〈〈﹤"
_BLOCK_TAG = re.compile(rf"[{_OPENING}](?=[\s/\\]*c\s*o\s*n\s*t\s*e\s*x\s*t)", re.IGNORECASE)
# What servers take for the tokens that part the turns and the tool calls of a conversation.
_CONTROL_TOKEN = re.compile(
    r"<(?=[|｜])|(?<=[|｜])>|"
    r"<(?=/?(?:s|bos|eos|pad|unk|mask|think|tool_calls?|tool_response|tools|function_calls?|"
    r"function|invoke|system|user|human|assistant|model|start_of_\w+|end_of_\w+|unused\d+|"
    r"extra_id_\d+|SPECIAL_\d+)>)|"
    r"<(?=</?SYS>>)",
    re.IGNORECASE,
)
_BRACKETED_TOKEN = re.compile(
    r"\[(/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|THINK))\]",
    re.IGNORECASE,
)
_MARKER = re.compile(r"[\[【［]\s*(\^?\d+(?:\s*[,;–-]\s*\d+)*)\s*[\]】］]")
_LINE_MARKER = re.compile(rf"^([^\w\n]*){_MARKER.pattern}", re.MULTILINE)
_CODE = re.compile(r"(```.*?(?:```|\Z)|`[^`\n]+`)", re.DOTALL)


def without_invisible(text: str) -> str:
    """The text without the characters that a reader would not see."""
    visible = _INVISIBLE.sub("", _LINE_BREAK.sub("\n", text))
    return _IDLE_JOINER.sub("", visible)


def has_control_tokens(text: str) -> bool:
    """Whether the text holds what a server could take for the end of a turn or for a tool call."""
    text = without_invisible(text)
    return bool(_CONTROL_TOKEN.search(text) or _BRACKETED_TOKEN.search(text))


def fenced(text: str) -> str:
    """The text as data: no end of the block, no turn, no marker of an excerpt.

    Numbers in square brackets get round ones, but in code, where they mean something.
    """
    text = _without_control(text)
    parts = _CODE.split(text)
    parts[::2] = [_MARKER.sub(r"(\1)", part) for part in parts[::2]]
    return _LINE_MARKER.sub(r"\1(\2)", "".join(parts))


def fenced_question(text: str) -> str:
    """A question as data: the asker may write markers, but no turns and no blocks."""
    return _without_control(text).strip()


def _without_control(text: str) -> str:
    text = _BLOCK_TAG.sub("(", without_invisible(text))
    return _BRACKETED_TOKEN.sub(r"(\1)", _CONTROL_TOKEN.sub("(", text))
