"""One module a task: prepare → run → finish."""
