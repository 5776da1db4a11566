"""Render build records as reports for people and machines.

`ci.report.model.make_report` makes a report from a history; each format has a module that renders it.
"""
