"""Keep scripts that are for another machine off the pages."""

from sphinx.application import Sphinx


def drop_remote(app: Sphinx, pagename: str, templatename: str, context: dict, doctree: object) -> None:
    """Drop the scripts of sphinx-thebe, which runs cells on a remote server.

    Jupyter Book always loads that extension; its script stands twice on a page, which is an error in the console.
    """
    context["script_files"] = [
        script
        for script in context["script_files"]
        if "thebe" not in f"{getattr(script, 'filename', script)}{getattr(script, 'attributes', {}).get('body', '')}"
    ]


def setup(app: Sphinx) -> dict:
    """Run after the extensions that add scripts to a page."""
    app.connect("html-page-context", drop_remote, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
