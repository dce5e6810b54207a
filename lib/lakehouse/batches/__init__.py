"""One batch: conformed, judged, transformed, counted, written; its broken rows to the quarantine."""
