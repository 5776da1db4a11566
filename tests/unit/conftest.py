"""How the unit tests run hypothesis: the same examples each time, nothing kept between runs.

`pytest tests/unit --hypothesis-profile explore` looks further, at random.
"""

from hypothesis import settings

settings.register_profile("unit", max_examples=60, deadline=None, database=None, derandomize=True)
settings.register_profile("explore", max_examples=2000, deadline=None, database=None, print_blob=True)
if settings.get_current_profile_name() != "explore":
    settings.load_profile("unit")
