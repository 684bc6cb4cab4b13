"""Who may use a page: opt-outs and licences, decided on what the crawl carries."""

from curate.registry import steps_in

__getattr__ = steps_in(__name__)
