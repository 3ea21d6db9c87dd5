# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load a program, so that its functions can be tested."""

from __future__ import annotations

import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]


def load(program: str) -> ModuleType:
    """Return a program of the checkout as a module; import would want .py in its name."""
    name = Path(program).stem.replace("-", "_")
    loader = SourceFileLoader(name, str(ROOT / program))
    spec = spec_from_loader(name, loader)
    assert spec is not None
    module = sys.modules[name] = module_from_spec(spec)  # where dataclasses look for their module
    loader.exec_module(module)
    return module
