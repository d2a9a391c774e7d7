"""Ranked hits to a context that fits a token budget.

Python 3.14's standard library has a package of this name, so the project runs on 3.11 to 3.13.
"""

import sys

if sys.version_info >= (3, 14):  # pragma: no cover - the installer refuses it as well
    raise ImportError(
        "Python 3.14's standard library took the package name 'compression': run this project on "
        "Python 3.11, 3.12 or 3.13"
    )
