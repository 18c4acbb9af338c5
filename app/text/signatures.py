"""Signatures: runs of short lines at the end of a mail, or between rules at the end of a text.

This module knows groups of lines and their neighbours; `app.text.notes` decides whether their words are a signature.
"""

from app.text.blocks import BlockKind
from app.text.groups import Groups
from app.text.notes import is_mail, is_signature

_SIGNATURE_KINDS: frozenset[BlockKind] = frozenset(("paragraph", "heading", "note"))
_SIGNATURE_SHAPES = frozenset(("", "key", "label", "date", "quotation", "dash"))


def settle_signatures(groups: Groups) -> None:
    """Runs of short lines at the end of a mail or between rules, with an address, are a signature."""
    mail = is_mail([groups.content(group) for group in groups.all if group.shape == "mail-header"])
    run: list[int] = []
    for place, group in enumerate(groups.all):
        short = place > 0 and len(group.lines) == 1 and group.shape in _SIGNATURE_SHAPES
        before = groups.all[place - 1] if place else None
        ruled = before is not None and before.shape == "separator"
        parted = before is None or ruled or groups.near(place, -1) is None or not groups.same_quotes(before, group)
        if not short or groups.ends_sentence(group) or group.kind not in _SIGNATURE_KINDS:
            run = []
            continue
        if parted or (mail and groups.sentence_before(place)):
            run = [place] if ruled or mail else []
        elif run:
            run.append(place)
        if not run:
            continue
        after = groups.all[place + 1] if place + 1 < len(groups.all) else None
        last = (
            after is None
            or after.shape == "mail-header"
            # A blank line, or a line that names the sender of the quoted mail, ends what a rule begins.
            or (
                groups.all[run[0] - 1].shape == "separator"
                and (after.shape == "separator" or groups.near(place, 1) is None)
            )
            or not groups.same_quotes(group, after)
        )
        if last:
            found = [groups.all[index] for index in run]
            named = [(groups.content(one), groups.first_line(one).edge) for one in found]
            if is_signature(named, mail=mail):
                for one in found:
                    one.kind = "note"
                    one.level = 0
            run = []
