"""How the documentation is built: `sphinx-build -W docs docs/_build`."""

import sys
from pathlib import Path

from invertdesc import __version__

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "invertdesc"
author = "The invertdesc authors"
copyright = "The invertdesc authors"
release = version = __version__

extensions = [
    "myst_parser",
    "mathml",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_autodoc_typehints",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "sphinxcontrib.bibtex",
    "zoo",
]
exclude_patterns = ["_build", "_ext", "auto_examples/**/*.ipynb", "auto_examples/**/*.py"]
html_theme = "furo"
html_title = "invertdesc"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_js_files = ["enlarge.js"]
html_math_renderer = "mathml"
autosummary_generate = False
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
bibtex_bibfiles = ["references.bib"]
copybutton_prompt_text = r">>> |\$ "
copybutton_prompt_is_regexp = True
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": False}
typehints_fully_qualified = False
typehints_document_rtype = False
always_use_bars_union = True
# Names that are imported for type checkers alone.
suppress_warnings = [
    "config.cache",
    "sphinx_autodoc_typehints.forward_reference",
    "sphinx_autodoc_typehints.guarded_import",
]
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "within_subsection_order": "order.ByNumber",
    "filename_pattern": r"/plot_",
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_memory": False,
    "write_computation_times": False,  # pages that ask other hosts for scripts
    "min_reported_time": 1000,
    "abort_on_example_error": True,
}
