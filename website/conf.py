# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sphinx's settings for the documentation site; website/build calls Sphinx."""

from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]

project = "codalvs.ha"
author = "The codalvs.ha maintainers"
project_copyright = f"2026, {author}"
release = version = str(yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"])

extensions = ["myst_parser", "sphinx.ext.intersphinx", "sphinx_antsibull_ext", "sphinxcontrib.mermaid"]
myst_heading_anchors = 4  # links to headings as on GitHub
myst_enable_extensions = ["deflist"]
myst_fence_as_directive = ["mermaid"]
# Where Ansible's own documentation has what the pages of modules refer to; pages.py makes the list, so that the site
# builds the same without a network.
ANSIBLE = "https://docs.ansible.com/projects/ansible/latest/"
intersphinx_mapping = {"ansible": (ANSIBLE, str(ROOT / "build/website/ansible.inv"))}
# Pictures are drawn by the reader's browser, with what website/build has put here.
if (ROOT / "build/website/static/mermaid").exists():
    mermaid_use_local = "mermaid/mermaid.esm.min.mjs"
mermaid_fullscreen = False
mermaid_height = "640px"
highlight_language = "none"

html_theme = "furo"
html_static_path = ["static", str(ROOT / "build/website/static")]
html_css_files = ["site.css"]
html_title = f"codalvs.ha {release}"
html_copy_source = False
html_show_sphinx = False
