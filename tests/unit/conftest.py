"""What all unit tests share."""

from __future__ import annotations

import os

from hypothesis import settings

# Beside two busy labs a single example may take long; a slow one is no defect.
settings.register_profile("codalvs", deadline=None, print_blob=True)
# For other Pythons, after one has tried all examples: a Python that differs does so in most examples, or in none.
settings.register_profile("few", parent=settings.get_profile("codalvs"), max_examples=10)
settings.load_profile(os.environ.get("EXAMPLES", "codalvs"))

# These run roles by Ansible. With another ansible-core than the newest, the scenarios do so: all but one.
RUN_ROLES = (
    "coda_roles",
    "day_two",
    "heartbeat_role",
    "masquerade",
    "packages",
    "packet_marks",
    "real_server_role",
    "render",
    "thesis",
)
collect_ignore = [f"test_{name}.py" for name in RUN_ROLES] if os.environ.get("EXAMPLES") == "few" else []
