"""Names, paths, anchors and pages that the documentation refers to exist, and generated pages are up to date."""

from __future__ import annotations

import importlib
import importlib.util
import re
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import uhrmat
from tests.docs.conftest import ROOT
from tests.docs.test_commands import DOCUMENTS

_CODE = re.compile(r"`([^`\n]+)`")
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_DOTTED = re.compile(r"uhrmat(?:\.\w+)+")
_PATH = re.compile(r"(?:uhrmat|tests|benchmarks|scripts|docs|examples|weights)/[\w./-]+")
_MODULE = re.compile(r"python -m (benchmarks\.\w+|tests\.[\w.]+)")
PROSE = [*(path for path in DOCUMENTS if path.name != "cli.md"), *sorted((ROOT / "weights").glob("*.md"))]


def load_script(name: str) -> ModuleType:
    """A module of scripts/, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def resolve(dotted: str) -> Any:
    """A module or a name in one. Raises ImportError or AttributeError."""
    parts = dotted.split(".")
    for count in range(len(parts), 0, -1):
        try:
            value: Any = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for name in parts[count:]:
            fields = getattr(value, "__dataclass_fields__", {})
            value = fields[name] if name in fields else getattr(value, name)
        return value
    raise ImportError(dotted)


@pytest.mark.parametrize("document", PROSE, ids=lambda path: str(path.relative_to(ROOT)))
def test_names_in_backticks_exist(document: Path) -> None:
    text = document.read_text("utf-8")
    missing = []
    for code in _CODE.findall(_FENCED.sub("", text)):
        dotted = _DOTTED.fullmatch(code.split("(")[0])
        if dotted and not code.endswith((".py", ".toml")):
            try:
                resolve(dotted[0])
            except (ImportError, AttributeError):
                missing.append(code)
        if _PATH.fullmatch(code) and not (ROOT / code).exists():
            missing.append(code)
    missing += [name for name in _MODULE.findall(text) if importlib.util.find_spec(name) is None]
    assert not missing


def test_dotted_directives_of_the_api_page_exist_and_cover_the_public_names() -> None:
    text = (ROOT / "docs" / "reference" / "api.md").read_text("utf-8")
    names = re.findall(r"^::: (\S+)$", text, re.MULTILINE)
    for name in names:
        resolve(name)
    public = {f"uhrmat.{name}" for name in uhrmat.__all__ if not name.startswith("__")}
    assert public <= set(names), public - set(names)


def test_the_command_line_page_is_up_to_date() -> None:
    script = load_script("cli_reference")
    assert script.PAGE.read_text("utf-8") == script.render(), "run: python scripts/cli_reference.py"


def slugs(text: str) -> set[str]:
    """Anchors of a page's headings, as MkDocs and GitHub make them."""
    headings = re.findall(r"^#+ (.+)$", _FENCED.sub("", text), re.MULTILINE)
    plain = (re.sub(r"[^\w\s-]", "", heading.replace("`", "")).strip().lower() for heading in headings)
    return {re.sub(r"[\s]+", "-", heading) for heading in plain}


def test_every_anchor_exists() -> None:
    for document in DOCUMENTS:
        for target, anchor in re.findall(r"\]\(([^)#\s:]*)#([^)\s]+)\)", document.read_text("utf-8")):
            page = document.parent / target if target else document
            assert anchor in slugs(page.read_text("utf-8")), f"{document.name}: {target}#{anchor}"


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text("utf-8")
    pages = [path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")]
    assert not [page for page in pages if page not in navigation]


def test_the_five_questions_are_answered_by_their_grep() -> None:
    """Each row of ARCHITECTURE.md's table names a command that prints something."""
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    part = text[text.index("## Five questions") : text.index("`tests/docs` checks")]
    commands = re.findall(r"`(grep [^`]+)`", part)
    assert len(commands) == 5
    for command in commands:
        result = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True)
        assert result.returncode == 0 and result.stdout, command


TERMS = (
    "low-resolution alpha", "prior", "PriorResult", "run_prior", "refiner", "RefineInput", "residual baseline",
    "unknown region", "known foreground", "known background", "trimap from thresholded alpha", "KNN affinities",
    "non-local affinities", "IRLS", "distance-based data term", "clamp", "apply trimap", "restore prior mean",
    "temporal averaging of static regions", "mask propagation", "key frame", "upsampling method", "detail crops",
    "warm-up", "prefetch", "lazy import", "image task", "batch run", "clip spec", "active set", "spatial sparsity",
    "temporal sparsity", "Masked-SE", "DDFE", "MDRD", "dtSSD",
)  # fmt: skip


def test_the_glossary_has_the_terms() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text("utf-8")
    assert not [term for term in TERMS if term not in text]


@pytest.mark.parametrize("paper", ["SparseMat", "HRIMF-AMR"])
def test_equations_are_named_with_their_paper(paper: str) -> None:
    """Every equation of docs/papers.md has a function and a test that exist."""
    text = (ROOT / "docs" / "papers.md").read_text("utf-8")
    part = re.findall(rf"^## {paper}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)[0]
    rows = [line.split(" | ") for line in part.splitlines() if line.startswith("|") and "Eq. " in line]
    assert len(rows) >= (2 if paper == "SparseMat" else 9)
    for row in rows:
        assert "`tests/" in row[3], row
