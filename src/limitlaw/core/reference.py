"""Where a statement comes from, and how well it is known."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum


class Standing(StrEnum):
    """How far a theory is proved; it travels into results and legends."""

    PROVED = "proved"
    REPLICA = "replica"
    HEURISTIC = "heuristic"
    EXPERIMENT = "experiment"
    """No theory at all."""


def weakest(standings: Iterable[Standing]) -> Standing:
    """What holds of all of several results; the order of `Standing` is from strong to weak."""
    return max(standings, key=list(Standing).index)


@dataclass(frozen=True)
class Reference:
    """A paper, and where its statements stand in it.

    Attributes:
        authors: family names in the paper's order.
        title: as printed.
        year: of the first version.
        arxiv: identifier, e.g. "2402.04980".
        equations: what of ours is which numbered statement of theirs.
    """

    authors: tuple[str, ...]
    title: str
    year: int
    arxiv: str
    equations: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Short citation key: first author, year, first long word of the title."""
        word = next((w for w in self.title.lower().split() if len(w) > 3), "paper")
        return f"{self.authors[0].lower()}{self.year}{word}"

    def bibtex(self) -> str:
        """The reference as a BibTeX entry."""
        return (
            f"@article{{{self.key},\n"
            f"  author  = {{{' and '.join(self.authors)}}},\n"
            f"  title   = {{{self.title}}},\n"
            f"  journal = {{arXiv preprint arXiv:{self.arxiv}}},\n"
            f"  year    = {{{self.year}}}\n}}"
        )

    def __hash__(self) -> int:
        return hash((self.arxiv, self.title))
