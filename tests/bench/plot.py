"""A picture of wall time and memory by the number of files, one line a tool, as an SVG for light and dark pages."""

import math
from html import escape

# Told apart without color, too: each line ends in its tool's name.
COLORS = {"shipfront": "#1f8a4c", "rclone": "#c2571a", "hugo": "#a13fb0", "s3sync": "#2f6fd0", "s5cmd": "#8a7a00"}
OTHER = "#808080"
WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 430, 300, 64, 44, 78, 44
STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #24292f }
  .title { font-weight: 600; font-size: 13px }
  .grid { stroke: #8c959f; stroke-opacity: .35 }
  .line { fill: none; stroke-width: 2 }
  @media (prefers-color-scheme: dark) { text { fill: #e6edf3 } }
"""


def decades(values):
    """The powers of ten around some values."""
    return range(math.floor(math.log10(min(values))), math.ceil(math.log10(max(values))) + 1)


def number(value):
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def panel(title, unit, series, left):
    """One chart: `series` has for each tool its points, files and value."""
    points = [point for line in series.values() for point in line]
    across, up = decades([files for files, _ in points]), decades([value for _, value in points])
    place = lambda value, axis, start, length: start + (math.log10(value) - axis[0]) / max(axis[-1] - axis[0], 1) * length
    x = lambda files: left + place(files, across, LEFT, WIDTH - LEFT - RIGHT)
    y = lambda value: HEIGHT - place(value, up, BOTTOM, HEIGHT - TOP - BOTTOM)
    parts = [f'<text class="title" x="{left + LEFT}" y="20">{escape(title)}</text>']
    for power in up:
        at = y(10.0**power)
        parts.append(f'<line class="grid" x1="{left + LEFT}" y1="{at:.1f}" x2="{left + WIDTH - RIGHT}" y2="{at:.1f}"/>')
        label = f"{number(10.0**power)} {unit}"
        parts.append(f'<text x="{left + LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{label}</text>')
    for power in across:
        at = x(10.0**power)
        parts.append(f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{number(10.0**power)}</text>')
    parts.append(f'<text x="{left + (LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">files</text>')
    ends = sorted((y(line[-1][1]), tool) for tool, line in series.items())
    lowest = -math.inf
    for end, tool in ends:
        line, color = series[tool], COLORS.get(tool, OTHER)
        path = " ".join(f"{x(files):.1f},{y(value):.1f}" for files, value in line)
        parts.append(f'<polyline class="line" stroke="{color}" points="{path}"/>')
        parts += [f'<circle cx="{x(files):.1f}" cy="{y(value):.1f}" r="3" fill="{color}"/>' for files, value in line]
        # Names that would lie on each other move down.
        lowest = max(end, lowest + 14)
        parts.append(f'<text x="{x(line[-1][0]) + 8:.1f}" y="{lowest + 4:.1f}">{escape(tool)}</text>')
    return parts


def picture(title, panels):
    """An SVG of some panels beside each other: each with its title, its unit and its series."""
    parts = [part for at, each in enumerate(panels) for part in panel(*each, left=at * WIDTH)]
    width = WIDTH * len(panels)
    size = f'width="{width}" height="{HEIGHT}" viewBox="0 0 {width} {HEIGHT}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img"><title>{escape(title)}</title>'
    return "\n".join([head, f"<style>{STYLE}</style>", *parts, "</svg>"]) + "\n"
