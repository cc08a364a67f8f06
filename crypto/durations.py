"""Lengths of time in seconds, in which every time here is counted."""

HOUR = 3600
DAY = 24 * HOUR
