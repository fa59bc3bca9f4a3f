"""The page of runs, live: it follows their folders while they train.

`elman.watch.tail` reads what is new in a run folder, `elman.watch.server` gives the page and what is new to browsers
(it needs the extra `serve`). The training knows nothing of either: it writes its folder, and polls for a file `stop`.
"""

from elman.watch.door import watch

__all__ = ["watch"]
