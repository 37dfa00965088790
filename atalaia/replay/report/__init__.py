"""A replay as a page of HTML: results in, text out."""

from atalaia.replay.report.page import render_report

__all__ = ["render_report"]
