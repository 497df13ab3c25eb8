"""Puts the notebooks into the wheel, beside the package that runs them; all else is said in pyproject.toml."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class WithNotebooks(build_py):
    """Copies `notebooks/` to `scgen_book/_notebooks/`. An editable install finds them in the checkout."""

    def run(self):
        """Build the packages, and copy."""
        super().run()
        if not self.editable_mode:
            for source, target in self._notebooks():
                self.mkpath(str(target.parent))
                self.copy_file(str(source), str(target))

    def get_outputs(self, *args, **kwargs):
        """Return the files that are built."""
        return [*super().get_outputs(*args, **kwargs), *(str(target) for _, target in self._notebooks())]

    def get_source_files(self):
        """Return the files that a source archive needs for it."""
        return [*super().get_source_files(), *(str(source) for source, _ in self._notebooks())]

    def _notebooks(self):
        place = Path(self.build_lib, "scgen_book", "_notebooks")
        return [(path, place / path.name) for path in sorted(Path("notebooks").glob("*.ipynb"))]


setup(cmdclass={"build_py": WithNotebooks})
