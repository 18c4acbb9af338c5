"""Pairs of brackets in a text. A bracket without a partner is an ordinary character.

This module knows only characters.
"""

import re

from app.text.characters import BRACKETS, CLOSERS, OPENERS

BRACKET = re.compile(f"[{re.escape(OPENERS)}{re.escape(CLOSERS)}]")


def bracket_pairs(text: str, begin: int, stop: int) -> dict[int, int]:
    """Opening bracket -> its closing bracket, as places in the text. Pairs may nest and never cross; linear in time."""
    partners: dict[int, int] = {}
    waiting: dict[str, int] = dict.fromkeys(BRACKETS.values(), 0)  # closing bracket -> open ones on the stack
    stack: list[int] = []
    for match in BRACKET.finditer(text, begin, stop):
        char = match.group()
        if char in BRACKETS:
            stack.append(match.start())
            waiting[BRACKETS[char]] += 1
        elif waiting.get(char):
            while True:  # brackets opened inside and never closed are given up
                opened = stack.pop()
                waiting[BRACKETS[text[opened]]] -= 1
                if BRACKETS[text[opened]] == char:
                    break
            partners[opened] = match.start()
    return partners
