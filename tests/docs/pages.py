"""The documents as a reader meets them: pages, fenced blocks, links, headings."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Block:
    """A fenced block; `line` is where it begins."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Page:
    path: Path

    def __str__(self) -> str:
        return str(self.path.relative_to(ROOT))

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def prose(self) -> str:
        """Without its fenced blocks."""
        return re.sub(r"^```.*?^```$", "", self.text, flags=re.MULTILINE | re.DOTALL)

    @property
    def blocks(self) -> list[Block]:
        found = re.finditer(r"^```(\w*)\n(.*?)^```$", self.text, re.MULTILINE | re.DOTALL)
        return [Block(str(self), self.text.count("\n", 0, match.start()) + 1, match[1], match[2]) for match in found]

    @property
    def links(self) -> list[str]:
        """Where it points to inside the repository."""
        return [link for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]+`(?!\])", "", self.prose)) if "://" not in link]

    @property
    def anchors(self) -> set[str]:
        """What can stand behind the `#` of a link to it, by GitHub's rule."""
        headings = re.findall(r"^#+ (.*)$", self.prose, re.MULTILINE)
        return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


PAGES = [Page(path) for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))]


def page(name: str) -> Page:
    return next(page for page in PAGES if str(page) == name)


def blocks(*languages: str) -> list[Block]:
    return [block for page in PAGES for block in page.blocks if block.language in languages]


def section(page: Page, heading: str) -> str:
    """The prose under a heading, up to the next one."""
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", page.prose, re.MULTILINE | re.DOTALL)
    assert found is not None, f"{page} has no heading {heading!r}"
    return found[1]


def rows(text: str) -> list[list[str]]:
    """The cells of a table, without its head."""
    table = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table[2:]]
