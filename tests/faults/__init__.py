"""What must hold whatever fails: the service under test, faults as small actions, what happened, and the invariants of it.

Read `invariants.py` first: it is the specification. `recording.py` says what is recorded of a run, `subject.py` what runs,
`points.py` how a process is killed at any line of ours, and each `test_*.py` is one kind of fault.
"""
