"""Publishing: weights with their card to a repository of the user's own on the Hub, as one commit."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from uhrmat.core.errors import WeightsError
from uhrmat.hub.card import read_licence
from uhrmat.hub.consent import HTTP_TOKEN, may_carry_token
from uhrmat.hub.failures import translate_errors
from uhrmat.hub.fetch import endpoint, offline, quiet_hub
from uhrmat.hub.locate import refuse_pickle
from uhrmat.hub.tensors import read_header

_SUFFIXES = (".safetensors", ".onnx", ".json", ".md")


@dataclass(frozen=True)
class PushResult:
    """url: of the commit; files: paths in the repository; licence: as the card states it."""

    url: str
    files: list[str]
    licence: str


def push(source: Path, repo: str, *, private: bool = False, message: str = "Upload weights") -> PushResult:
    """A weights file with its card (the .md beside it), or a folder with README.md, to `repo` on the Hub.

    The repository is made if there is none. Of a folder go .safetensors, .onnx, .json and .md; pickles never. Raises
    WeightsError where the card or its licence is missing, a file is unsound, or the Hub refuses.
    """
    files = _files(source)
    licence = read_licence(files["README.md"].read_text("utf-8"), files["README.md"])
    for path in files.values():
        if path.suffix == ".safetensors":
            read_header(path)
    if offline():
        raise WeightsError("HF_HUB_OFFLINE forbids the network.", "Unset it to upload.")
    from huggingface_hub import CommitOperationAdd, HfApi

    api = HfApi(endpoint(), token=_token(), library_name="uhrmat")
    with translate_errors(repo), quiet_hub():
        api.create_repo(repo, private=private, exist_ok=True)
        operations = [CommitOperationAdd(name, path) for name, path in files.items()]
        done = api.create_commit(repo, operations, commit_message=message)
    return PushResult(str(done.commit_url), sorted(files), licence)


def _files(source: Path) -> dict[str, Path]:
    """What goes up, by its path in the repository."""
    if source.is_dir():
        files = {
            p.relative_to(source).as_posix(): p
            for p in sorted(source.rglob("*"))
            if p.suffix in _SUFFIXES and p.is_file()
        }
        card = source / "README.md"
    elif source.is_file():
        refuse_pickle(source.name)
        card = source.with_suffix(".md")
        files = {source.name: source, "README.md": card}
    else:
        raise WeightsError(f"There is no file or folder {source}.", "Give weights that lie on this machine.")
    if not card.is_file():
        raise WeightsError(f"{source} has no card {card.name}.", "Write one: what it is, its data, its licence.")
    if not any(name.endswith((".safetensors", ".onnx")) for name in files):
        raise WeightsError(f"{source} holds no weights.", "Needed: .safetensors or .onnx.")
    return files


def _token() -> str:
    from huggingface_hub import get_token

    token = os.environ.get("HF_TOKEN") or get_token()
    if token and not may_carry_token(endpoint()):
        raise WeightsError(
            f"Uploading would send your token over the unencrypted line to {endpoint()}.",
            f"Set HF_ENDPOINT to an address with https, or {HTTP_TOKEN}=1 if that is what you want.",
        )
    if not token:
        raise WeightsError(
            "Uploading needs a token of your account.",
            "Make one with the right to write at https://huggingface.co/settings/tokens and set HF_TOKEN to it.",
        )
    return token
