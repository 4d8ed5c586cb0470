"""Colors that people with any color vision tell apart, by Okabe and Ito, and what contrasts with them.

M. Okabe, K. Ito, "Color Universal Design", 2008 (https://jfly.uni-koeln.de/color/); their black is left out.
"""

from __future__ import annotations

import math

Color = tuple[int, int, int]

#: Reddish purple, vermilion, sky blue, yellow, bluish green, orange, blue: neighbours are far apart.
PALETTE: tuple[Color, ...] = (
    (204, 121, 167),
    (213, 94, 0),
    (86, 180, 233),
    (240, 228, 66),
    (0, 158, 115),
    (230, 159, 0),
    (0, 114, 178),
)

#: Each time round the palette, its colors are mixed with so much white (above 0) or black (below 0).
_SHADES = (0.0, 0.45, -0.4, 0.25, -0.2)

BLACK: Color = (0, 0, 0)
WHITE: Color = (255, 255, 255)


def track_color(track_id: int) -> Color:
    """RGB of a track: always the same for an id, from a palette for all kinds of color vision.

    Seven ids in a row have the seven colors of the palette, the next seven another shade of each; after 35
    they come again.

    Example:
        >>> track_color(1), track_color(36)
        ((204, 121, 167), (204, 121, 167))
    """
    turn, place = divmod(track_id - 1, len(PALETTE))
    shade = _SHADES[turn % len(_SHADES)]
    towards, share = (255, shade) if shade > 0 else (0, -shade)
    red, green, blue = (round(value + share * (towards - value)) for value in PALETTE[place])
    return red, green, blue


def contrasting(color: Color) -> Color:
    """Black or white, whichever stands out more from a color (a ratio of at least 4.5, by WCAG 2)."""
    return BLACK if contrast(color, BLACK) >= contrast(color, WHITE) else WHITE


def contrast(a: Color, b: Color) -> float:
    """Contrast ratio of two colors, 1 (equal) to 21 (black and white), as WCAG 2 defines it."""
    darker, lighter = sorted((luminance(a), luminance(b)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(color: Color) -> float:
    """Relative luminance of an sRGB color, 0..1."""
    red, green, blue = (_linear(value / 255) for value in color)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else math.pow((value + 0.055) / 1.055, 2.4)
