"""Reports: build records turned into text for people and machines.

Pure, like the planning: no Dagger, no network, no clock. `ci.report.model.make_report` reads a history once; each
other module here writes what it made in one format.
"""
