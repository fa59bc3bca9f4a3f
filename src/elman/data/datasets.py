"""Data that ship with elman."""

from pathlib import Path


def fulda() -> Path:
    """The river Fulda, 3,653 days from 1979 to 1988: tmax, tmin, tmean (degrees C), rain_mm, discharge_m3s.

    From spotpy 1.6.7, MIT licence, (c) 2015 Tobias Houska; the notice is in `fulda_daily.LICENSE.txt` beside the file.

    >>> fulda().name
    'fulda_daily.csv'
    """
    return Path(__file__).with_name("fulda_daily.csv")
