"""Draws the diagrams of the concept pages as SVG, next to this file: python3 docs/pictures/diagrams.py."""

import html
from pathlib import Path

HERE = Path(__file__).parent
INK, MUTED, LINE = "#1f2328", "#57606a", "#8c959f"
FILLS = {
    "plain": ("#f6f8fa", "#8c959f"),
    "blue": ("#ddf4ff", "#0969da"),
    "green": ("#dafbe1", "#1a7f37"),
    "orange": ("#fff1e5", "#bc4c00"),
    "purple": ("#fbefff", "#8250df"),
}


class Picture:
    """A picture of this width and height, on a light card, so that it is legible on a dark page too."""

    def __init__(self, name: str, title: str, width: int, height: int) -> None:
        self.name, self.title, self.width, self.height = name, title, width, height
        self.parts: list[str] = []

    def text(self, x: float, y: float, text: str, *, size: int = 15, color: str = INK, anchor: str = "start",
             weight: str = "normal", mono: bool = False) -> None:
        family = "ui-monospace, Menlo, Consolas, monospace" if mono else "system-ui, 'Segoe UI', 'Liberation Sans', sans-serif"
        self.parts.append(
            f'<text x="{x:g}" y="{y:g}" font-family="{family}" font-size="{size}" fill="{color}" '
            f'text-anchor="{anchor}" font-weight="{weight}">{html.escape(text, quote=False)}</text>'
        )

    def box(self, x: float, y: float, width: float, height: float, lines: list[str], kind: str = "plain",
            *, mono: bool = False) -> None:
        """A box with centered lines, the first of which is its name."""
        fill, stroke = FILLS[kind]
        self.parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="8" fill="{fill}" '
            f'stroke="{stroke}" stroke-width="1.5"/>'
        )
        top = y + height / 2 - (len(lines) - 1) * 10 + 5
        for number, line in enumerate(lines):
            first = number == 0
            self.text(x + width / 2, top + number * 20, line, size=15 if first else 13, anchor="middle",
                      weight="600" if first else "normal", color=INK if first else MUTED, mono=mono and first)

    def arrow(self, points: list[tuple[float, float]], label: str = "", *, at: tuple[float, float] | None = None,
              color: str = MUTED, dashed: bool = False, anchor: str = "middle") -> None:
        path = "M" + " L".join(f"{x:g},{y:g}" for x, y in points)
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        self.parts.append(
            f'<path d="{path}" fill="none" stroke="{color}" stroke-width="1.8"{dash} marker-end="url(#head)"/>'
        )
        if label and at:
            self.text(*at, label, size=13, color=MUTED, anchor=anchor)

    def line(self, x1: float, y1: float, x2: float, y2: float, *, color: str = LINE, dashed: bool = False) -> None:
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        self.parts.append(
            f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="{color}" stroke-width="1.5"{dash}/>'
        )

    def write(self) -> None:
        body = "\n".join(self.parts)
        (HERE / f"{self.name}.svg").write_text(
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" width="{self.width}" '
            f'height="{self.height}" role="img" aria-labelledby="title">\n'
            f'<title id="title">{html.escape(self.title)}</title>\n'
            f'<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
            f'orient="auto-start-reverse"><path d="M0,0 L10,5 L0,10 z" fill="{MUTED}"/></marker></defs>\n'
            f'<rect x="0.5" y="0.5" width="{self.width - 1}" height="{self.height - 1}" rx="10" fill="#ffffff" '
            f'stroke="#d1d9e0"/>\n{body}\n</svg>\n',
            encoding="utf-8",
        )


def deploy() -> None:
    picture = Picture("deploy", "The steps of a deploy, from left to right, and what each writes to", 760, 300)
    picture.text(24, 34, "A deploy, from left to right", weight="600")
    steps = [
        ("plan", "and lock", "purple", 200),
        ("assets", "CSS, images", "blue", 80),
        ("pages", "HTML, feeds", "blue", 80),
        ("removals", "old pages", "blue", 80),
        ("invalidate", "the changes", "orange", 140),
        ("commit", "what is live", "purple", 200),
    ]
    for lane, y in (("S3: the site", 80), ("CloudFront", 140), ("S3: the record", 200)):
        picture.text(24, y + 27, lane, size=13, color=MUTED)
        picture.line(120, y + 23, 740, y + 23, color="#eaeef2")
    for number, (name, what, kind, y) in enumerate(steps):
        x = 122 + number * 104
        picture.box(x, y, 88, 46, [name, what], kind)
    for number in range(5):
        x, y, after = 122 + number * 104 + 88, steps[number][3] + 23, steps[number + 1][3] + 23
        if y == after:
            picture.arrow([(x, y), (x + 14, y)])
        else:
            down = 1 if after > y else -1
            picture.arrow([(x - 44, y + 23 * down), (x - 44, after), (x + 14, after)])
    picture.line(214, 262, 638, 262, dashed=True)
    picture.line(214, 256, 214, 268)
    picture.line(638, 256, 638, 268)
    picture.text(430, 284, "If the run dies in here, the next run reads the plan and finishes the work.", size=13,
                 color=MUTED, anchor="middle")
    picture.write()


def invalidation() -> None:
    picture = Picture("invalidation", "Changed URLs, and the few paths that evict them and nothing else", 760, 350)
    for x, text in ((24, "changed files"), (262, "their URLs"), (480, "paths sent"), (640, "stay cached")):
        picture.text(x, 34, text, weight="600")
    picture.box(24, 84, 180, 46, ["about/index.html", "changed"], "orange", mono=True)
    picture.box(24, 196, 180, 46, ["docs/the-lens/…", "removed"], "orange", mono=True)
    for number, url in enumerate(["/about", "/about/", "/about/index.html"]):
        y = 78 + number * 26
        picture.text(262, y + 5, url, size=13, mono=True)
        picture.arrow([(204, 107), (256, y)])
        picture.text(480, y + 5, url, size=13, mono=True, color="#bc4c00")
        picture.arrow([(404, y), (474, y)])
    for number, url in enumerate(["/docs/the-lens", "/docs/the-lens/", "/docs/the-lens/index.html"]):
        y = 193 + number * 26
        picture.text(262, y + 5, url, size=13, mono=True)
        picture.arrow([(204, 219), (256, y)])
    picture.line(468, 187, 468, 251)
    picture.text(480, 224, "/docs/the-len*", size=13, mono=True, color="#bc4c00")
    for number, url in enumerate(["/", "/blog/", "/blog/terns/", "/docs/", "/assets/…"]):
        picture.text(640, 83 + number * 30, url, size=13, mono=True, color="#1a7f37")
    picture.text(640, 233, "and all others", size=13, color="#1a7f37")
    picture.line(24, 284, 736, 284, color="#eaeef2")
    picture.text(24, 308, "One file has several URLs. One wildcard can stand for several changed URLs, if it evicts nothing else.",
                 size=13, color=MUTED)
    picture.text(24, 330, "A path costs the same with or without a wildcard, and 1,000 paths are free each month.", size=13,
                 color=MUTED)
    picture.write()


def previews() -> None:
    picture = Picture("previews", "A preview has its own bucket and distribution; a promotion copies it to production", 760, 320)
    picture.box(24, 36, 130, 60, ["a branch", "deploy --preview"], "plain")
    picture.box(24, 222, 130, 60, ["main", "deploy"], "plain")
    picture.box(250, 30, 190, 72, ["previews bucket", "a folder for each preview"], "blue")
    picture.box(250, 216, 190, 72, ["production bucket", "the site"], "green")
    picture.box(524, 30, 216, 72, ["previews distribution", "*.preview.example.com", "does not cache"], "blue")
    picture.box(524, 216, 216, 72, ["production distribution", "www.example.com", "caches"], "green")
    picture.arrow([(154, 66), (244, 66)], "changes", at=(199, 56))
    picture.arrow([(154, 252), (244, 252)])
    picture.arrow([(440, 66), (518, 66)])
    picture.arrow([(440, 252), (518, 252)])
    picture.arrow([(300, 216), (300, 108)], "copies what", at=(292, 154), anchor="end")
    picture.text(292, 172, "is the same", size=13, color=MUTED, anchor="end")
    picture.arrow([(390, 102), (390, 210)], "promote: copies what differs,", at=(400, 154), color="#8250df", anchor="start")
    picture.text(400, 172, "then invalidates production", size=13, color=MUTED)
    picture.write()


def rollback() -> None:
    picture = Picture("rollback", "A rollback is a new deploy that copies earlier versions of the objects", 760, 300)
    columns = [(170, "deploy 41"), (318, "deploy 42"), (466, "deploy 43"), (614, "rollback")]
    for x, name in columns:
        picture.text(x + 58, 40, name, anchor="middle", weight="600")
    picture.text(614 + 58, 58, "= deploy 44", anchor="middle", size=13, color=MUTED)
    rows = [
        ("index.html", ["A", "B", "C", "B"]),
        ("about/index.html", ["D", "D", "E", "D"]),
        ("new/index.html", ["", "", "F", ""]),
    ]
    for number, (key, versions) in enumerate(rows):
        y = 78 + number * 56
        picture.text(24, y + 25, key, size=13, mono=True)
        for (x, _), version, kind in zip(columns, versions, ["plain", "green", "orange", "green"]):
            if version:
                picture.box(x, y, 116, 40, [f"version {version}"], kind)
            elif x == 614:
                picture.text(x + 58, y + 25, "removed", anchor="middle", size=13, color=MUTED)
            else:
                picture.text(x + 58, y + 25, "–", anchor="middle", size=13, color=MUTED)
    picture.arrow([(376, 246), (376, 268), (672, 268), (672, 250)],
                  "S3 copies the versions of deploy 42; nothing is uploaded", at=(524, 288), color="#8250df")
    picture.line(312, 66, 312, 246, color="#eaeef2")
    picture.line(460, 66, 460, 246, color="#eaeef2")
    picture.line(608, 66, 608, 246, color="#eaeef2")
    picture.write()


def rules() -> None:
    picture = Picture("rules", "Where redirects and headers take effect between a viewer and S3", 760, 350)
    picture.box(24, 136, 92, 56, ["viewer"], "plain")
    picture.box(180, 60, 190, 56, ["request function", "redirects and rewrites"], "purple")
    picture.box(180, 212, 190, 56, ["response function", "other headers"], "purple")
    picture.box(436, 136, 120, 56, ["cache", "CloudFront"], "blue")
    picture.box(622, 136, 114, 56, ["objects", "S3"], "green")
    picture.arrow([(116, 150), (148, 150), (148, 88), (174, 88)])
    picture.arrow([(370, 88), (496, 88), (496, 130)], "the path that is cached", at=(380, 80), anchor="start")
    picture.arrow([(556, 156), (616, 156)])
    picture.arrow([(622, 178), (562, 178)])
    picture.arrow([(496, 192), (496, 240), (376, 240)])
    picture.arrow([(180, 240), (148, 240), (148, 178), (122, 178)])
    picture.text(275, 40, "_redirects", size=14, mono=True, anchor="middle", color="#8250df")
    picture.text(275, 296, "_headers", size=14, mono=True, anchor="middle", color="#8250df")
    picture.text(679, 218, "_headers", size=13, mono=True, anchor="middle", color="#1a7f37")
    picture.text(679, 236, "[[headers]]", size=13, mono=True, anchor="middle", color="#1a7f37")
    picture.text(679, 256, "Cache-Control,", size=13, anchor="middle", color=MUTED)
    picture.text(679, 274, "Content-… headers", size=13, anchor="middle", color=MUTED)
    picture.text(24, 334, "A redirect is answered before the cache, so it needs no invalidation.", size=13, color=MUTED)
    picture.write()


for draw in (deploy, invalidation, previews, rollback, rules):
    draw()
