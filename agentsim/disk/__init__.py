"""Files that survive a crash: lines that only get added, and files that are replaced whole.

Knows nothing of what is written. Every room that writes uses it.
"""
