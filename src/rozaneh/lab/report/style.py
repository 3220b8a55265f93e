"""The page's style sheet: light and dark by the reader's own setting, readable at phone width, nothing from elsewhere.

Colours are a help only: every verdict also stands there as a word. All pairs have a contrast of at least 4.5 to 1
(WCAG 2.2, 1.4.3), which a test computes.
"""

from __future__ import annotations

# Per verdict: paper and ink in light, paper and ink in dark.
COLOURS = {
    "works": ("#d7f2dc", "#0b4a1b", "#123d1e", "#b6f0c3"),
    "blocked": ("#fbdcd9", "#7d1410", "#521512", "#ffc9c4"),
    "degraded": ("#fdeec2", "#5c4200", "#4a3800", "#ffe69a"),
    "lab_invalid": ("#e9defa", "#48217f", "#35205a", "#dccbff"),
    "not_run": ("#e8e8e8", "#484848", "#33363a", "#c8ccd0"),
    "error": ("#f9d9ee", "#6d0f4c", "#511039", "#ffc2e6"),
}
# Paper, ink, faint ink, lines, links.
_LIGHT = ("#ffffff", "#1b1e21", "#565d64", "#d3d7db", "#0a4fa8")
_DARK = ("#16181b", "#e6e8ea", "#a5acb3", "#3a3f45", "#8fc0ff")

_SHEET = """\
*{box-sizing:border-box}
html{color-scheme:light dark}
body{margin:0 auto;padding:1rem;max-width:80rem;background:var(--paper);color:var(--ink);
 font:16px/1.5 system-ui,sans-serif;overflow-wrap:break-word}
h1{font-size:1.5rem;line-height:1.25;margin:.2rem 0 .6rem}
h2{font-size:1.15rem;margin:2rem 0 .6rem}
p{margin:.5rem 0;max-width:46rem}
a{color:var(--link)}
.faint{color:var(--faint)}
.box{overflow-x:auto;border:1px solid var(--line);border-radius:6px}
.box:focus-visible,summary:focus-visible,a:focus-visible{outline:3px solid var(--link);outline-offset:1px}
table{border-collapse:collapse;font-size:.875rem;width:100%}
th,td{padding:.35rem .5rem;border-bottom:1px solid var(--line);text-align:left;vertical-align:top;white-space:nowrap}
thead th{background:var(--paper)}
tbody tr:last-child>*{border-bottom:0}
td.why{white-space:normal;min-width:14rem}
#matrix th:first-child{position:sticky;left:0;background:var(--paper);border-right:1px solid var(--line);z-index:1;
 max-width:11rem;white-space:normal}
#matrix td{padding:0;border-left:1px solid var(--line)}
#matrix td a{display:block;padding:.35rem .5rem;min-height:2.9rem;color:inherit;text-decoration:none}
#matrix td a:hover{text-decoration:underline}
#matrix small,.key small{display:block;font-size:.75rem}
.key{display:flex;flex-wrap:wrap;gap:.4rem;padding:0;margin:.6rem 0;list-style:none}
.key li,.word{padding:.1rem .5rem;border-radius:4px}
details{border:1px solid var(--line);border-radius:6px;margin:.4rem 0;padding:0 .6rem}
summary{cursor:pointer;padding:.45rem 0;font-size:.9375rem}
details>div{padding-bottom:.6rem;scroll-margin-top:3.5rem}
code{font:.8125rem/1.4 ui-monospace,monospace}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem .8rem;margin:.4rem 0;font-size:.875rem}
dt{color:var(--faint)}
dd{margin:0;min-width:0;overflow-wrap:anywhere}
.box+p,.box+.box{margin-top:.6rem}
@media(max-width:32rem){body{padding:.7rem}dl{grid-template-columns:1fr}dd{margin-bottom:.3rem}
 #matrix th:first-child{max-width:7.5rem}}
@media print{details>div{display:block}a{color:inherit}}
"""


def sheet() -> str:
    """The whole style sheet."""
    return _SHEET + _theme(0, _LIGHT) + "@media(prefers-color-scheme:dark){" + _theme(2, _DARK) + "}\n"


def pairs() -> list[tuple[str, str]]:
    """Every paper with an ink that is written on it, for the test of contrasts."""
    found = [(light, ink) for light, ink, _, _ in COLOURS.values()]
    found += [(dark, ink) for _, _, dark, ink in COLOURS.values()]
    for theme in (_LIGHT, _DARK):
        found += [(theme[0], theme[1]), (theme[0], theme[2]), (theme[0], theme[4])]
    return found


def _theme(first: int, basic: tuple[str, str, str, str, str]) -> str:
    names = ("paper", "ink", "faint", "line", "link")
    root = ";".join(f"--{name}:{value}" for name, value in zip(names, basic, strict=True))
    words = "".join(
        f".{name}{{background:{colours[first]};color:{colours[first + 1]}}}" for name, colours in COLOURS.items()
    )
    return f":root{{{root}}}{words}"
