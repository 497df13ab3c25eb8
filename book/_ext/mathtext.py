"""Draw formulas with Matplotlib when the book is built, so that pages need neither a network nor a script."""

import base64
import io
import re

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.writers.html5 import HTML5Translator

# What authors of notebooks write and mathtext knows under another name, or does not need.
SAME = {
    r"\\[tdc]frac\s*(\w)\s*(\w)": r"\\frac{\1}{\2}",
    r"\\[tdc]frac(?![a-zA-Z])": r"\\frac",
    r"\\(math\w+)\s+(\w)": r"\\\1{\2}",
    r"\\([gl])e(?![a-zA-Z])": r"\\\1eq",
    r"\\[lr]Vert(?![a-zA-Z])": r"\\Vert",
    r"\\(big|Big)[lr]?(?![a-zA-Z])|\\textstyle(?![a-zA-Z])|\\label\{[^}]*\}": "",
}


def braced(text: str, start: int) -> int:
    """Return the position behind the brace that closes the one at `start`."""
    depth = 0
    for i in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[i], 0)
        if depth == 0:
            return i + 1
    raise ExtensionError(f"The formula {text!r} has a brace that does not close: close it.")


def underset(formula: str) -> str:
    """Write braces below a term, which mathtext does not have, as a word below it."""
    name = r"\underbrace"
    while (start := formula.find(name)) >= 0:
        end = braced(formula, start + len(name))
        last = braced(formula, end + 1)
        term, word = formula[start + len(name) : end], formula[end + 1 : last]
        formula = rf"{formula[:start]}\underset{word}{term}{formula[last:]}"
    return formula


def draw(formula: str) -> tuple[str, float, float]:
    """Return a formula as an SVG data URI, with its height and its depth below the baseline in em."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties
    from matplotlib.mathtext import MathTextParser

    for pattern, plain in SAME.items():
        formula = re.sub(pattern, plain, formula)
    # words keep their spaces
    formula = re.sub(r"\\text\{([^{}]*)\}", lambda m: rf"\mathrm{{{m[1].replace(' ', chr(92) + ' ')}}}", formula)
    formula = underset(formula)
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


def rows(block: str) -> list[str]:
    """Return the rows of a block of formulas."""
    parts = re.split(r"\\\\(?:\s|$)", re.sub(r"\\(begin|end)\{(align|aligned|equation)\*?\}|&", "", block))
    return [row for row in parts if row.strip()]


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
    self.body.append(self.starttag(node, "div", CLASS="formula-block"))
    for row in rows(node.astext()):
        self.body.append(image(self, nodes.math_block(text=row), "display"))
    self.body.append("</div>")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict:
    """Register the renderer under the name that ``html_math_renderer`` gives."""
    app.add_html_math_renderer("mathtext", (inline, None), (display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
