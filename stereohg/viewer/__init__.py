"""A page to look at: one file, for a browser without a network, with a pair's maps and its points in space."""

from stereohg.viewer.page import write_page

__all__ = ["write_page"]
