"""The embedded store: one SQLite file in WAL mode, one writer thread with group commit, a few reader
threads.
"""
