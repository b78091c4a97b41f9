"""A page to look at: one file that a browser opens without a network, with the maps of a pair and its points in space."""

from stereohg.viewer.page import write_page

__all__ = ["write_page"]
