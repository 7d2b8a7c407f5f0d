"""Files that survive a crash: files that only grow by lines, and files that are replaced whole.

Knows nothing of what is written. Every room that writes uses it.
"""
