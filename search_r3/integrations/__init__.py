"""Search-R3 in the frameworks that users already have; each module needs its own extra."""
