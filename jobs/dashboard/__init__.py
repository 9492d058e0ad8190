"""The dashboard: pages in a browser on this machine, for any stack. See docs/dashboard.md.

`access` decides who may ask; `cache` asks the service once for all who look; `views` says what each page shows, from
the same calls as the verbs, `outputs` what tasks wrote; `actions` does what `--operate` allows; `server` joins them to
HTTP; `static` is the pages.
"""
