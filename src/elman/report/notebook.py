"""The page in a notebook: inside a frame that holds all of it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from html import escape
from pathlib import Path

from elman.files import write_text
from elman.report.page import page_of

HEIGHT = 720  # pixels


@dataclass(frozen=True, repr=False)
class Page:
    """One self-contained page as text, which a notebook shows where it is the value of a cell.

    >>> page = Page("<!doctype html><title>A & B</title>")
    >>> page
    Page(35 characters)
    >>> page._repr_html_().split(" srcdoc=")[1]
    '"&lt;!doctype html&gt;&lt;title&gt;A &amp; B&lt;/title&gt;"></iframe>'
    """

    html: str

    @classmethod
    def of(cls, *runs: str | os.PathLike[str], title: str | None = None) -> Page:
        """The page about one or several run folders, as `write_report` writes it. Raises InputError as that does."""
        return cls(page_of([Path(run) for run in runs], title=title))

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page to a file, over what is there, and return its path."""
        write_text(path, self.html)
        return Path(path)

    def __repr__(self) -> str:
        return f"Page({len(self.html)} characters)"

    def _repr_html_(self) -> str:
        """A frame around the page. It may run its own script, and reaches neither the notebook nor any server."""
        return (
            f'<iframe title="elman" style="width: 100%; height: {HEIGHT}px; border: 0" '
            f'sandbox="allow-scripts allow-downloads" srcdoc="{escape(self.html)}"></iframe>'
        )
