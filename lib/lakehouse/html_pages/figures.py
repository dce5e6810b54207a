"""Numbers as people read them: shares, sizes, durations, times."""

from __future__ import annotations

from datetime import UTC, datetime

_SIZES = ("B", "kB", "MB", "GB", "TB")


def share(part: float, whole: float) -> str:
    """A part in percent; what is not 0 and not all is never rounded to be so."""
    if not whole:
        return "0%"
    percent = 100 * part / whole
    if 0 < percent < 0.1:
        return "< 0.1%"
    if 99.9 < percent < 100:
        return "> 99.9%"
    return f"{percent:.1f}%".replace(".0%", "%")


def short(number: float) -> str:
    """A number in few characters: 950, 1.2k, 35M; small ones with the digits that tell."""
    for size, mark in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            return f"{number / size:.3g}{mark}"
    return f"{number:.3g}"


def size(number: int) -> str:
    """Bytes in the unit that fits."""
    found = float(number)
    for unit in _SIZES[:-1]:
        if found < 1000:
            return f"{found:.3g} {unit}"
        found /= 1000
    return f"{found:,.4g} {_SIZES[-1]}"


def duration(seconds: float) -> str:
    """`0.8 s`, `4 s`, `2 min 5 s`, `1 h 0 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s".replace(".0 ", " ")
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60} min"


def brief_duration(seconds: float) -> str:
    """A duration in one unit, for an axis: `0.5 s`, `200 s`, `12 min`, `150 min`."""
    unit, mark = (1, "s") if seconds < 600 else (60, "min") if seconds < 36_000 else (3600, "h")
    return f"{short(seconds / unit)} {mark}"


def moment(time: datetime | None) -> str:
    """A time in UTC, to the second; nothing where there is none."""
    return "" if time is None else f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
