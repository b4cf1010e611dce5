"""What each record of a recording says: a file for each version of the format."""

from __future__ import annotations

from archcalc.traces.records.version1 import PARTS, RECORDS, Record

__all__ = ["PARTS", "RECORDS", "Record"]
