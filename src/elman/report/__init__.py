"""One or several run folders as one self-contained HTML page that asks nobody for anything.

`write_report` makes the page, and `Page` holds it for a notebook; `look_inside` gives what its section "Look inside one
sequence" shows of any network, and its `save` puts that into a run folder; `elman.report.charts.save_svg` saves one
chart as a picture of its own.
"""

from elman.report.notebook import Page
from elman.report.page import write_report
from elman.training.inside import Inside, look_inside

__all__ = ["Inside", "Page", "look_inside", "write_report"]
