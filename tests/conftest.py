"""What holds for every test."""

from hypothesis import HealthCheck, settings

# A machine that is busy is slow, and a slow example is not a wrong one: no test here is about time.
settings.register_profile("meshproxy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("meshproxy")
