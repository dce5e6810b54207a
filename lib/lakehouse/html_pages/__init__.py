"""The one look of the pages that the product writes: escaped text, a page's frame, small charts; no script, no network."""
