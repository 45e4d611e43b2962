"""Run by `helm test`: ask the orchestrator for a list, and check that the answer is one."""

from __future__ import annotations

import json
import subprocess
import sys

command = ["marquee", "recommend", "helm-test", "--count", "5", "--json"]
run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
if run.returncode != 0:
    sys.exit(f"the orchestrator did not answer Recommend: {(run.stderr or run.stdout).strip()}")
answer = json.loads(run.stdout)
items = answer.get("items", [])
if not answer.get("steps"):
    sys.exit("the answer does not say how it was made; is this the orchestrator of a Marquee mesh?")
if len({item["item_id"] for item in items}) != len(items):
    sys.exit("the list has an item twice")
lost = [
    step["service"]
    for step in answer["steps"]
    if step.get("outcome") not in ("STEP_OUTCOME_OK", "STEP_OUTCOME_SKIPPED")
]
print(f"Recommend answered: {len(items)} items in {len(answer['steps'])} steps.")
if lost:
    print(f"A fallback stood in for: {', '.join(sorted(set(lost)))}.")
if not items:
    print("The catalogue is empty: import titles, for example with `marquee import movielens`.")
