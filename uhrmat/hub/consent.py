"""What the user allows the network for, beyond what a command names: an environment variable, else a small file."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from uhrmat.core.errors import InputError, WeightsError

HUB, HTTP_TOKEN, LARGEST = "UHRMAT_HUB", "UHRMAT_TOKEN_OVER_HTTP", "UHRMAT_MAX_DOWNLOAD"
ALLOW, DENY = "allow", "deny"
_YES, _NO = ("1", "on", "yes", "true", ALLOW), ("", "0", "off", "no", "false", DENY)
MAX_UNLISTED = 8 << 30
"""Bytes of a file that no catalogue knows; the largest networks for single pictures have about 3 GB."""


def hub_allowed() -> bool:
    """Whether a network may be fetched from the Hub that the user has not named: where no hint is given."""
    return hub_setting()[0] == ALLOW


def hub_setting() -> tuple[str, str]:
    """ALLOW or DENY, and where that is set. Raises InputError for a variable or a file that says neither."""
    if HUB in os.environ:
        return (ALLOW if _flag(HUB) else DENY), HUB
    path = settings_file()
    try:
        settings = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return DENY, "default"
    except (OSError, ValueError) as error:
        raise InputError(f"The settings {path} cannot be read: {error}.", "Correct or delete that file.") from error
    value = settings.get("hub") if isinstance(settings, dict) else None
    if value not in (ALLOW, DENY):
        raise InputError(f"The settings {path} say {value!r} for `hub`.", f"Write {ALLOW} or {DENY}, or delete it.")
    return value, str(path)


def save_hub_setting(value: str) -> Path:
    """Keeps ALLOW or DENY for all later commands of this user. Returns the file; raises OutputError."""
    from uhrmat.core.files import atomic_write

    path = settings_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as part:
        part.write_text(json.dumps({"hub": value}) + "\n", "utf-8")
    return path


def settings_file() -> Path:
    """Below XDG_CONFIG_HOME, on Windows APPDATA, else ~/.config."""
    variable = "APPDATA" if sys.platform == "win32" else "XDG_CONFIG_HOME"
    return Path(os.environ.get(variable) or "~/.config").expanduser() / "uhrmat" / "settings.json"


def may_carry_token(address: str) -> bool:
    """Whether a token may be sent to `address`: nobody can read it on the way, or the user has allowed it."""
    return address.lower().startswith("https://") or _flag(HTTP_TOKEN)


def max_unlisted_bytes() -> int:
    """Bytes that a file may have which the catalogue does not know. Raises WeightsError for a size that is none."""
    text = os.environ.get(LARGEST, "")
    if not text:
        return MAX_UNLISTED
    from uhrmat.core.units import parse_bytes

    try:
        return parse_bytes(text)
    except (InputError, ValueError) as error:
        raise WeightsError(f"{LARGEST} is {text!r}, which is no size.", "Give one like 20GB.") from error


def _flag(name: str) -> bool:
    value = os.environ.get(name, "").strip().lower()
    if value not in (*_YES, *_NO):
        raise InputError(f"{name} is {value!r}.", f"Set it to {ALLOW} or {DENY}, 1 or 0.")
    return value in _YES
