"""The book: its papers and their claims, what is measured and how, the figures, the generated pages, and the batches.

It stands on :mod:`scgen_lib`, which knows nothing of it, and needs the packages of the extra ``book``.
"""

import scgen_lib  # noqa: F401 (first: it gives matplotlib and Keras what they look for when they are imported)
