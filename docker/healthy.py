"""Ends with 0 where a page answers: the image has no curl, and a worker's page tells more than its open port."""

import sys
import urllib.request

with urllib.request.urlopen(sys.argv[1], timeout=4) as answer:
    sys.exit(answer.status != 200)
