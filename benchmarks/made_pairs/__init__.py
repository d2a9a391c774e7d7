"""Pairs of questions made by rule from real ones: attacks that differ, and harmless rewordings.

Their words are lists of their own, written apart from those of the checks. The checks were built
while looking at what is made with `seen.json`. `held_out.json` was written when they were done;
what it showed at its first run was noted, and a few plain faults were mended after it.
"""
