"""Registries of what packages above add to the pages of the console: tabs, sections, links and words."""
