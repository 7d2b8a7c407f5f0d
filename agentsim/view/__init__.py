"""The live page: all studies of a folder, one study, one society, one question. It reads logs as they grow.

Nothing here writes a file or takes a lock, so a run is never disturbed; nothing sees a live object, so the page works
beside a run, after it, and on another machine. `tail` reads, `tally` and `unfolding` keep what lines say, `listing` and
`study_watch` are what pages are sent, `comparing` computes beside, `guard` and `server` answer the browser.
"""
