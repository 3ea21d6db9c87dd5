"""What all unit tests share."""

from __future__ import annotations

import os

from hypothesis import settings

# Beside two busy labs a single example may take long; a slow one is no defect.
settings.register_profile("codalvs", deadline=None, print_blob=True)
# For other Pythons, after one has tried all examples: a Python that differs does so in most examples, or in none.
settings.register_profile("few", parent=settings.get_profile("codalvs"), max_examples=10)
settings.load_profile(os.environ.get("EXAMPLES", "codalvs"))
