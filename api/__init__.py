"""The doors: HTTP service, command line and page; settings; assembly."""
