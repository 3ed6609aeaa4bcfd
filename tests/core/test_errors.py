"""Errors can be printed anywhere: the names in them are escaped, for programs that print JSON as well."""

from __future__ import annotations

import json
import os

import pytest

from uhrmat.core.errors import InputError
from uhrmat.core.printable import escape_surrogates, printable


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (os.fsdecode(b"caf\xe9.png") if os.name != "nt" else "caf\udce9.png", r"caf\xe9.png"),
        ("\ud800.png", r"\ud800.png"),
        ("a\x1b[31mb.png", r"a\x1b[31mb.png"),
        ("a\nb\r.png", r"a\nb\r.png"),
        ("gpj.\u202eexe", r"gpj.\u202eexe"),
        ("\x9b2J", r"\u009b2J"),
        ("café été 写真 👩‍🚀.png", "café été 写真 👩‍🚀.png"),
    ],
)
def test_what_cannot_be_printed_is_escaped(name: str, shown: str) -> None:
    assert printable(name) == shown
    error = InputError(f"'{name}' is empty.", f"Copy {name} again.")
    assert str(error) == f"'{shown}' is empty. Copy {shown} again." and shown in error.hint
    json.dumps(error.message, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("caf\udce9.png", r"caf\xe9.png"),
        ("a\x1bb\n\ud800", "a\x1bb\n\\ud800"),
        ({"b\udcff": ["\udce9", ("x", 1, None, 0.5)]}, {r"b\xff": [r"\xe9", ["x", 1, None, 0.5]]}),
        ("写真 👩‍🚀", "写真 👩‍🚀"),
    ],
)
def test_json_keeps_what_it_can_escape_itself(value: object, written: object) -> None:
    assert escape_surrogates(value) == written
    assert json.loads(json.dumps(escape_surrogates(value), ensure_ascii=False).encode()) == written
