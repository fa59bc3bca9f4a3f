"""One or several run folders as one self-contained HTML page that asks nobody for anything.

`write_report` makes the page; `elman.report.charts.save_svg` saves one chart as a picture of its own.
"""

from elman.report.page import write_report

__all__ = ["write_report"]
