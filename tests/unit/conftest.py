"""What all unit tests share."""

from __future__ import annotations

from hypothesis import settings

# Beside two busy labs a single example may take long; a slow one is no defect.
settings.register_profile("codalvs", deadline=None, print_blob=True)
settings.load_profile("codalvs")
