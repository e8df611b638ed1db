"""Copies the vendored front-end files out of node_modules and makes the icon sprite (after `npm ci`)."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NODE = ROOT / "node_modules"
STATIC = ROOT / "movierec" / "static"

# What the page loads, with its version in its name: a file of that name never changes.
FILES = {
    "htmx.org/dist/htmx.min.js": "htmx-4.0.1.min.js",
    "htmx.org/LICENSE": "htmx-LICENSE.txt",
    "chart.js/dist/chart.umd.min.js": "chart-4.6.1.umd.min.js",
    "chart.js/LICENSE.md": "chart-LICENSE.txt",
    "chartjs-chart-error-bars/build/index.umd.min.js": "error-bars-4.4.5.umd.min.js",
    "chartjs-chart-error-bars/LICENSE": "error-bars-LICENSE.txt",
    "@fontsource-variable/inter/files/inter-latin-opsz-normal.woff2": "inter-5.3.0-latin.woff2",
    "@fontsource-variable/inter/files/inter-latin-ext-opsz-normal.woff2": "inter-5.3.0-latin-ext.woff2",
    "@fontsource-variable/inter/LICENSE": "inter-LICENSE.txt",
    "lucide-static/LICENSE": "lucide-LICENSE.txt",
}
# lucide's names; `icon("check")` in a template draws the symbol i-check.
ICONS = (  # noqa: SIM905 (a list of fifty words reads worse)
    "archive arrow-down arrow-left arrow-right ban bookmark calendar check chevron-down chevron-left chevron-right "
    "circle-alert circle-check circle-stop clapperboard clock database download ellipsis eye eye-off file-up film "
    "flask-conical history hourglass house info list-filter loader lock log-out moon pencil play plus radio-tower "
    "rotate-ccw search settings shield sliders-horizontal sun sun-moon trash-2 triangle-alert undo-2 user-round users x"
).split()


def main() -> None:
    """Write static/vendor and static/icons.svg."""
    vendor = STATIC / "vendor"
    vendor.mkdir(parents=True, exist_ok=True)
    for source, name in FILES.items():
        shutil.copyfile(NODE / source, vendor / name)
    # The source maps are not vendored; a browser's tools would ask for them in vain.
    for name in ("htmx-4.0.1.min.js", "chart-4.6.1.umd.min.js", "error-bars-4.4.5.umd.min.js"):
        script = vendor / name
        script.write_text(re.sub(r"\n?//# sourceMappingURL=\S+\s*$", "\n", script.read_text(encoding="utf-8")))
    symbols = "\n".join(symbol(name) for name in ICONS)
    (STATIC / "icons.svg").write_text(f'<svg xmlns="http://www.w3.org/2000/svg">\n{symbols}\n</svg>\n')


def symbol(name: str) -> str:
    """One lucide icon as a symbol, without its own size and stroke: the class `icon` sets those."""
    text = (NODE / "lucide-static" / "icons" / f"{name}.svg").read_text()
    body = text[text.index(">", text.index("<svg")) + 1 : text.rindex("</svg>")]
    return f'<symbol id="i-{name}" viewBox="0 0 24 24">{" ".join(body.split())}</symbol>'


if __name__ == "__main__":
    main()
