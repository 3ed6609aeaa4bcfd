"""What is left to do, and what must be refused before any of it is begun."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from uhrmat.batch.find import BatchItem, root_names
from uhrmat.batch.manifest import FOLDER, Manifest, name_hash
from uhrmat.batch.settings import Settings, fingerprint
from uhrmat.core.errors import InputError, OutputError
from uhrmat.core.naming import normalise_name
from uhrmat.core.stage import recover
from uhrmat.media import check_writable, same_file
from uhrmat.media.video import CODECS


@dataclass
class Selected:
    """todo: items that are missing or changed; kept: how many are done already."""

    todo: list[BatchItem] = field(default_factory=list)
    kept: int = 0


def check_folders(roots: Sequence[Path], out: Path) -> int:
    """Returns what `check_writable` does.

    Raises InputError for input folders that are none, before anything is made in the output folder, and OutputError for
    an output folder that cannot be written to, or that is or holds an input folder.
    """
    root_names(roots)
    for root in roots:
        if same_file(root, out) or Path(root).resolve().is_relative_to(out.resolve()):
            raise OutputError(
                f"The output folder {out} {'is' if same_file(root, out) else 'holds'} the input folder {root}.",
                "Choose another one with -o; a folder inside the input is passed over and will do.",
            )
    return check_writable(out)


def input_of(item: BatchItem) -> str:
    """The fingerprint of an item and its hints. Raises OSError."""
    return fingerprint([item.source, *(item.hints[name] for name in sorted(item.hints))])


def select(items: Iterable[BatchItem], manifest: Manifest, digests: Mapping[str, str]) -> Selected:
    """Parts what is done from what is not."""
    found = Selected()
    for item in items:
        if item.error is None and is_done(item, manifest, digests):
            found.kept += 1
        else:
            found.todo.append(item)
    return found


def is_done(item: BatchItem, manifest: Manifest, digests: Mapping[str, str]) -> bool:
    """Whether the item's files are there, made from what it is now, as it is wanted now."""
    if item.key not in manifest.records:
        return False
    try:
        return manifest.done(item.key, input_of(item), digests[item.kind])
    except OSError:
        return False


def collisions(items: Iterable[BatchItem], manifest: Manifest) -> dict[str, BatchItem]:
    """Items that would be written to the files of another, by key, with that other: the one that was worked on before,
    else the first. Names count as one that differ by A and a only, as they do on many disks."""
    owners: dict[tuple[str, str, str], BatchItem] = {}
    ordered = sorted(items, key=lambda item: item.key not in manifest.records)
    found = {}
    for item in ordered:
        owner = owners.setdefault(
            (item.kind, normalise_name(str(item.folder)).casefold(), normalise_name(item.stem).casefold()), item
        )
        if owner is not item:
            found[item.key] = owner
    return found


def refuse_collision(owner: BatchItem, item: BatchItem) -> None:
    """Raises InputError that names both."""
    raise InputError(
        f"{owner.key} and {item.key} would give files of the same name.",
        "Rename one, or leave one out with --exclude.",
    )


def refuse_strangers(items: Iterable[BatchItem], manifest: Manifest, settings: Settings) -> None:
    """Raises OutputError for files in the way that no run made, or that were made from another file of that name."""
    for item in items:
        record = manifest.records[item.key] if item.error is None and _ours(item, manifest) else None
        if item.error is not None or (record is not None and record.state != "failed"):
            continue  # done before, or begun by a run that was killed
        known = record.outputs if record is not None else {}
        for path in _possible(item, manifest.out, settings):
            if os.path.lexists(path) and path.relative_to(manifest.out).as_posix() not in known:
                raise OutputError(
                    f"{path} exists, and it is not a result of {item.source}.",
                    "Replace such files with --overwrite, or choose another folder with -o.",
                )


def has_results(item: BatchItem, manifest: Manifest) -> bool:
    """Whether files of the item may be there that are results of it: it was done, or begun by a run that was killed."""
    record = manifest.records.get(item.key)
    return record is not None and _ours(item, manifest) and (record.state != "failed" or bool(record.outputs))


def _ours(item: BatchItem, manifest: Manifest) -> bool:
    """Whether an earlier run worked on the same file: the same path, or as it was moved."""
    record = manifest.records.get(item.key)
    if record is None or not record.input:
        return False
    with suppress(OSError):
        return record.source == name_hash(item.source) or record.input == input_of(item)
    return False


def _possible(item: BatchItem, out: Path, settings: Settings) -> list[Path]:
    """All names that the item's files may have; which of them is only known when it is opened."""
    folder = out / item.folder
    if item.kind == "still":
        forms = [settings.spec.files(item.source, folder, linear=linear) for linear in (False, True)]
        return list(dict.fromkeys(path for form in forms for path in form.values()))
    suffixes = ["", *dict.fromkeys(s for codec in CODECS.values() for s in (codec.suffix, *codec.suffixes))]
    return [folder / f"{item.stem}_{content}{suffix}" for content in settings.contents for suffix in suffixes]


def sweep(out: Path) -> int:
    """Finishes or removes what killed runs left half written below `out`; how many. What a live process writes, and the
    work folders of clips, which have a lock of their own, are left alone."""
    count = 0
    for folder, folders, _ in os.walk(out):
        folders[:] = [name for name in folders if name == FOLDER or not name.startswith(".")]
        count += recover(Path(folder))
    return count
