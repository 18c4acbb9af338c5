"""WebVTT and SubRip -> Document: what was said in a film or a meeting, without numbers, times and tags.

Cues are cut for the eye, in mid-sentence. Those of one speaker follow each other in one paragraph, with the name in
front once; a pause ends it. The forms are those of https://www.w3.org/TR/webvtt1/, and names before a colon as Zoom
writes them. This module does not know sentences.
"""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from app.files.document import Document, DocumentBuilder
from app.files.spacing import collapsed
from app.files.warnings import FileWarning
from app.text.characters import ENDERS, FULL_STOPS

_CLOCK = r"(?:(\d{1,4}):)?(\d{2}):(\d{2})[.,](\d{3})"
_TIMES = re.compile(rf"[ \t]*{_CLOCK}[ \t]+-->[ \t]+{_CLOCK}(?:[ \t].*)?")
_VTT = re.compile(r"WEBVTT(?:[ \t\r\n]|\Z)")
_SRT = re.compile(rf"\d{{1,6}}[ \t]*\r?\n{_CLOCK}[ \t]+-->[ \t]")
_BLANK_LINES = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")
_VOICE = re.compile(r"<v(?:\.[^ \t>]*)?[ \t]+([^<>]{1,100})>")
_READING = re.compile(r"<rt\b[^<>]*>[^<]*(?:</rt>)?")
_TAG = re.compile(r"</?(?:v|c|i|b|u|ruby|rt|lang|font)(?:[ \t.][^<>]*)?>|<\d[\d:.]*>|\{\\an\d\}", re.IGNORECASE)
_NAME = re.compile(r"([^:：。、]{1,40})[:：][ \t\u3000]*(?=\S)")
_PAUSE_S = 2.0
_MOST_ROLLED = 4  # lines of a cue; more are no captions that roll
_ENDED_SHARE = 0.1  # of the cues; below it the program that wrote them knows no full stops, and each is a sentence


@dataclass(frozen=True, slots=True)
class _Cue:
    start: float  # seconds
    end: float
    speaker: str
    lines: tuple[str, ...]


def is_captions(head: str) -> bool:
    """Whether a text begins as one of the two formats does."""
    text = head.lstrip("\ufeff \t\r\n")
    return bool(_VTT.match(text) or _SRT.match(text))


def read_captions(text: str, warnings: tuple[FileWarning, ...] = ()) -> Document:
    """Read the text of a WebVTT or SubRip file."""
    cues = list(_cues(text))
    ended = sum(cue.lines[-1].endswith(tuple(ENDERS + FULL_STOPS)) for cue in cues)
    separator = "\n" if ended < _ENDED_SHARE * len(cues) else ""
    builder = DocumentBuilder()
    for group in _turns(cues):
        said = [collapsed("\n".join(cue.lines)) for cue in group]
        spoken = separator.join(said) if separator else collapsed("\n".join(said))
        builder.add("paragraph", f"{group[0].speaker}：{spoken}" if group[0].speaker else spoken)
    return builder.build(warnings)


def _cues(text: str) -> Iterator[_Cue]:
    """The cues that say anything, without the lines that roll on from the one before."""
    shown: tuple[str, ...] = ()  # in the last cue
    for block in _BLANK_LINES.split(text.replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff")):
        lines = block.strip("\n").split("\n")
        at = next((number for number, line in enumerate(lines[:2]) if _TIMES.fullmatch(line)), None)
        if at is None:
            continue  # the head, a note, a style
        times = _TIMES.fullmatch(lines[at])
        assert times is not None
        cue = _said(_seconds(times.groups()[:4]), _seconds(times.groups()[4:]), lines[at + 1 :])
        counts = range(min(len(cue.lines), _MOST_ROLLED), 0, -1)
        rolled = next((count for count in counts if cue.lines[:count] == shown[-count:]), 0)
        shown = cue.lines
        if cue.lines[rolled:]:
            yield replace(cue, lines=cue.lines[rolled:])


def _said(start: float, end: float, lines: list[str]) -> _Cue:
    voice = _VOICE.search("\n".join(lines))
    plain = [html.unescape(_TAG.sub("", _READING.sub("", line))).strip() for line in lines]
    kept = [line for line in plain if line]
    speaker = html.unescape(voice[1]).strip() if voice else ""
    if kept and not speaker and (name := _NAME.match(kept[0])):
        speaker, kept[0] = name[1].strip(), kept[0][name.end() :]
    return _Cue(start, end, speaker, tuple(kept))


def _turns(cues: list[_Cue]) -> Iterator[list[_Cue]]:
    """Cues that follow each other without a pause or another speaker."""
    group: list[_Cue] = []
    for cue in cues:
        if group and (cue.speaker != group[-1].speaker or cue.start - group[-1].end >= _PAUSE_S):
            yield group
            group = []
        group.append(cue)
    if group:
        yield group


def _seconds(clock: tuple[str | None, ...]) -> float:
    hours, minutes, seconds, thousandths = (int(part or 0) for part in clock)
    return 3600 * hours + 60 * minutes + seconds + thousandths / 1000
