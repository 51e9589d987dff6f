"""Settings that every test shares."""

from hypothesis import settings

# A slow machine is not a wrong answer: hangs are pytest-timeout's business.
settings.register_profile("ferryman", parent=settings(), deadline=None)
settings.load_profile("ferryman")
