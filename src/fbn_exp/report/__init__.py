"""``report.html``: one self-contained page about the networks of one extraction."""

from fbn_exp.report.content import ReportInput, report_content
from fbn_exp.report.page import refresh_lesions, write_report

__all__ = ["ReportInput", "refresh_lesions", "report_content", "write_report"]
