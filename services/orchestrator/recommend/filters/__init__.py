"""Filters in the Common Expression Language, compiled to masks over a catalogue snapshot."""

from __future__ import annotations

from services.orchestrator.recommend.filters.compiled import CompiledFilter, compile_filter
from services.orchestrator.recommend.filters.errors import FilterInvalid

__all__ = ["CompiledFilter", "FilterInvalid", "compile_filter"]
