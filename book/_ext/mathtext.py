"""Draw formulas with Matplotlib when the book is built, so that pages need neither a network nor a script."""

import base64
import io
import re

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.writers.html5 import HTML5Translator

# What authors of notebooks write and mathtext knows under another name, or does not need.
SAME = {r"\\text\b": r"\\mathrm", r"\\tfrac\b": r"\\frac", r"\\[lr]Vert\b": r"\\Vert", r"\\label\{[^}]*\}": ""}


def draw(formula: str) -> tuple[str, float, float]:
    """Return a formula as an SVG data URI, with its height and its depth below the baseline in em."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties
    from matplotlib.mathtext import MathTextParser

    for pattern, plain in SAME.items():
        formula = re.sub(pattern, plain, formula)
    text, size = f"${' '.join(formula.split())}$", 10
    font = FontProperties(size=size)
    with rc_context({"mathtext.fontset": "stix", "svg.hashsalt": "formula"}):
        try:
            width, height, depth, *_ = MathTextParser("path").parse(text, dpi=72, prop=font)
        except ValueError as error:
            raise ExtensionError(f"Matplotlib cannot draw the formula {formula!r}: {error}") from error
        figure = Figure(figsize=(width / 72, height / 72))
        figure.text(0, depth / height, text, fontproperties=font)
        image = io.BytesIO()
        figure.savefig(image, format="svg", transparent=True, metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(image.getvalue()).decode(), height / size, depth / size


def image(self: HTML5Translator, node: nodes.Element, kind: str) -> str:
    """Return the image of a formula; its alternative text is the LaTeX source."""
    uri, height, depth = draw(node.astext())
    style = f"height: {height:.2f}em; vertical-align: {-depth:.2f}em"
    return f'<img class="formula {kind}" src="{uri}" alt="{self.attval(node.astext())}" style="{style}">'


def inline(self: HTML5Translator, node: nodes.math) -> None:
    """Write a formula in a line."""
    self.body.append(image(self, node, "inline"))
    raise nodes.SkipNode


def display(self: HTML5Translator, node: nodes.math_block) -> None:
    """Write a formula in a block, one image a row."""
    rows = re.split(r"\\\\(?:\s|$)", re.sub(r"\\(begin|end)\{(align|aligned|equation)\*?\}|&", "", node.astext()))
    self.body.append(self.starttag(node, "div", CLASS="formula-block"))
    for row in filter(str.strip, rows):
        self.body.append(image(self, nodes.math_block(text=row), "display"))
    self.body.append("</div>")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict:
    """Register the renderer under the name that ``html_math_renderer`` gives."""
    app.add_html_math_renderer("mathtext", (inline, None), (display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
