"""Cards: what weights are, in Markdown with the front matter that the Hub reads."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from uhrmat.core.errors import WeightsError

_LICENCE = re.compile(r"^license: *['\"]?([\w.-]+)", re.MULTILINE)
_KNOWN = {"Apache-2.0": "apache-2.0", "MIT": "mit", "GPL-3.0": "gpl-3.0", "BSD-3-Clause": "bsd-3-clause"}


@dataclass(frozen=True)
class Card:
    """What a card states.

    Attributes:
        title: Heading.
        licence: Name of the licence.
        rows: Names and values of the table.
        use: What the weights are usable for, the end of a sentence.
    """

    title: str
    licence: str
    rows: list[tuple[str, str]]
    use: str


def write_card(path: Path, card: Card) -> None:
    """Writes the card whole or not at all."""
    from uhrmat.core.files import atomic_write

    table = "\n".join(f"| {name} | {value} |" for name, value in card.rows)
    text = f"{front_matter(card.licence)}\n# {card.title}\n\n| | |\n|---|---|\n{table}\n\nUsable for {card.use}\n"
    with atomic_write(path) as part:
        part.write_text(text, "utf-8")


def front_matter(licence: str) -> str:
    """The lines between `---` that the Hub reads; a licence that it does not know by name is `other`."""
    known = _KNOWN.get(licence, licence.lower() if licence.lower() in _KNOWN.values() else "other")
    name = f"license_name: {re.sub(r'[^a-z0-9.-]+', '-', licence.lower())}\n" if known == "other" else ""
    return f"---\nlicense: {known}\n{name}library_name: uhrmat\ntags:\n- image-matting\n---\n"


def read_licence(card: str, where: Path) -> str:
    """The licence in a card's front matter. Raises WeightsError where none is stated."""
    head = card.split("---", 2)
    match = _LICENCE.search(head[1]) if card.startswith("---") and len(head) == 3 else None
    if match is None or "license_name: none-stated" in head[1]:
        raise WeightsError(
            f"{where} states no licence, so nobody may know what the weights may be used for.",
            "If the rights are yours, write `license: apache-2.0` (or another) between two lines `---` at its top.",
        )
    return match[1]
