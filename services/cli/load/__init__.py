"""`marquee load`: measures a running mesh under load, and says honestly what its callers would have felt.

The command's process plans, merges and reports (`command`, `scenario`, `crew`, `recording`, `summary`, `report`).
The load itself comes from processes of its own that know little and cost little (`worker`, `generator`, `timer`).
"""
