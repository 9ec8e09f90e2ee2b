"""
What `test_contracts` gives to a pytest of its own: the contracts, run on right and on wrong plugins.

It has a class ``Test…`` for each.
"""

from __future__ import annotations

from core.tests.testing.wrong_loaders import RIGHT, TABLE
from core.tests.testing.wrong_packages import PACKAGES, ToyPackage

for name, case in {**{f"TestWrong{number}": case for number, case in enumerate(TABLE)}, **RIGHT}.items():
    globals()[name] = type(name, (case.contract,), {"images": case.images, "volumes": case.volumes})
for name, package in PACKAGES.items():
    globals()[name] = type(name, (ToyPackage,), {"package": package})
