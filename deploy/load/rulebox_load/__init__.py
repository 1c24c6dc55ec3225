"""A load test of Rulebox that knows what is right: see the README beside it."""
