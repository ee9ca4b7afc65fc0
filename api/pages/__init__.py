"""HTML pages: overview, model page, sign-in form, error page."""
