"""Many processes play one study: each claims open runs, and a broker keeps the limits and the budget over all of them.

`worker.work` is what every engine runs on its machines; `broker` may be hosted by any of the workers, or elsewhere.
"""
