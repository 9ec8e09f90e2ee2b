"""What every test of the workspace shares."""

from hypothesis import settings

# A slow machine is no failure; pytest-timeout ends what hangs.
settings.register_profile("loadstone", deadline=None)
settings.load_profile("loadstone")
