"""Every command and every piece of Python in the documents is run, on small pictures, in the order of each document.

A fence `sh` holds commands that are run in this process; `sh skip=REASON` holds commands that need a network, hours or
several machines, change the user's shell, or run in another document. These, and the commands in indented blocks and in
running text, are parsed: their names and options must exist.
"""

from __future__ import annotations

import glob
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from tests.docs.conftest import ROOT
from uhrmat.cli.app import app

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "examples" / "README.md"])
REASONS = {"network", "training", "install", "machines", "shell", "repeated", "served"}
_FENCE = re.compile(r"^```(sh|python)( skip=(\w+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Fence:
    """A block of code. skip: why it is not run, or empty."""

    language: str
    skip: str
    text: str

    @property
    def commands(self) -> list[str]:
        """Lines, those ending with a backslash joined, without comments."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [line.split("  #")[0].strip() for line in lines if line.strip() and not line.startswith("#")]


def fences(document: Path) -> list[Fence]:
    found = _FENCE.findall(document.read_text("utf-8"))
    return [Fence(language, reason, text) for language, _, reason, text in found]


WITH_CODE = [document for document in DOCUMENTS if fences(document)]


def check(words: list[str]) -> None:
    """That a command and its options exist, without running it."""
    command = typer.main.get_command(app)
    rest = words[1:]
    while rest and hasattr(command, "commands"):
        if rest[0].startswith("-"):
            break
        assert rest[0] in command.commands, f"there is no command {rest[0]} in {' '.join(words)}"
        command, rest = command.commands[rest[0]], rest[1:]
    known = {"-h", "--help"} | {name for p in command.params for name in (*p.opts, *p.secondary_opts)}
    given = {word.split("=")[0] for word in rest if word.startswith("-") and word != "-"}
    assert given <= known, f"{given - known} in {' '.join(words)}"


def execute(command: str) -> None:
    words = shlex.split(command)
    assert words[0] == "uhrmat", f"only uhrmat commands are run here, so mark this one with skip=: {command}"
    check(words)
    spread = [path for word in words[1:] for path in (sorted(glob.glob(word)) if "*" in word else [word])]
    done = CliRunner().invoke(app, spread)
    fine = (0, 1) if words[1] == "doctor" else (0,)  # a machine that runs tests may have its problems
    assert done.exit_code in fine, f"{command}\n{done.output}"


@pytest.mark.parametrize("document", WITH_CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_documents_code_runs(
    document: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(pictures, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for fence in fences(document):
        if fence.language == "python":
            exec(compile(fence.text, document.name, "exec"), names)
        elif not fence.skip:
            for command in fence.commands:
                execute(command)
        else:
            assert fence.skip in REASONS
            for command in fence.commands:
                if command.startswith("uhrmat "):
                    check(shlex.split(command))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_in_text_and_indented_blocks_exist(document: Path) -> None:
    if document.name in ("CHANGELOG.md", "cli.md"):  # one names what was removed, the other is the help itself
        return
    text = re.sub(r"^```.*?^```$", "", document.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    commands = re.findall(r"^ {4}(uhrmat [^#\n]+)", text, re.MULTILINE)
    commands += [code.replace("\n", " ") for code in re.findall(r"`(uhrmat [a-z][^`]*)`", text)]
    for command in commands:
        check(command.replace("COMMAND", "image").split())


def test_every_link_leads_somewhere() -> None:
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#\s]+)", document.read_text("utf-8")):
            if "://" not in target:
                assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_the_troubles_are_ours() -> None:
    """Every message that troubleshooting.md explains is one that uhrmat can print."""
    text = (ROOT / "docs" / "guide" / "troubleshooting.md").read_text("utf-8")
    messages = re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)
    source = "\n".join(path.read_text("utf-8") for path in (ROOT / "uhrmat").rglob("*.py"))
    assert messages and not [message for message in messages if message not in source]


def subcommands() -> list[list[str]]:
    """Every command by its words, groups among them, the application itself first."""
    found: list[list[str]] = [[]]
    for name, one in typer.main.get_command(app).commands.items():
        found += [[name], *([name, kid] for kid in getattr(one, "commands", ()))]
    return found


@pytest.mark.parametrize("words", subcommands(), ids=" ".join)
def test_help_reads_well_at_80_columns(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """No line is longer, none is cut; each example is one line and names options that exist; nothing but plain text."""
    monkeypatch.setenv("COLUMNS", "80")
    shown = CliRunner().invoke(app, [*words, "--help"])
    assert shown.exit_code == 0
    lines = shown.output.splitlines()
    assert max(map(len, lines)) <= 80 and "…" not in shown.output and shown.output.isascii()
    examples = [line.strip() for line in lines if line.startswith("  uhrmat ")]
    assert examples
    for example in examples:
        assert example.split()[1 : 1 + len(words)] == words
        check(shlex.split(example))


def test_help_is_coloured_on_terminals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def shown() -> str:
        return CliRunner().invoke(app, ["trimap", "--help"], color=True).output

    assert "\x1b[1mExample\x1b[0m" in shown()
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in shown()


def test_every_command_is_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert not [words for words in subcommands() if f"uhrmat {' '.join(words[:1])}".strip() not in readme]
