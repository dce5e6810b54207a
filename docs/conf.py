"""The site of docs/ as Sphinx builds it (`make docs`): strict, any warning is an error, links within it are checked."""

project = "lakehouse"
author = "the lakehouse project"
extensions = ["myst_parser"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "lakehouse"
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
myst_heading_anchors = 4
# blocks of CSV and of what a console shows: Pygments knows no such language
suppress_warnings = ["misc.highlighting_failure"]
