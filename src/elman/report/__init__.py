"""One or several run folders as one self-contained HTML page that asks nobody for anything.

`write_report` makes the page, and `Page` holds it for a notebook; `elman.report.charts.save_svg` saves one chart as a
picture of its own.
"""

from elman.report.notebook import Page
from elman.report.page import write_report

__all__ = ["Page", "write_report"]
