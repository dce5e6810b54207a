"""What `lakehouse graph` does: jobs and tables, and how rows go from one to the other."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from lakehouse import api
from lakehouse.commands.graph_svg import svg
from lakehouse.commands.graph_text import mermaid, tree
from lakehouse.config.project_files import conf_folder, job_files
from lakehouse.planning import graph
from lakehouse.planning.flow import Flow, flow_of
from lakehouse.terminal import is_coloured


def show_graph(options: argparse.Namespace) -> int:
    """Prints the flow through all jobs of conf/, or the selected ones; needs no Spark."""
    plans = api.planned(job_files(conf_folder(Path.cwd())), options.env)
    flow = flow_of(graph.selected(plans, options.select) if options.select else plans)
    if options.json:
        print(json.dumps(_plain(flow)))
    elif options.format == "terminal":
        print(tree(flow, colours=is_coloured()))
    else:
        print(svg(flow) if options.format == "svg" else mermaid(flow))
    return 0


def _plain(flow: Flow) -> dict[str, list[dict[str, str]]]:
    names = [node.name for node in flow.nodes]
    edges = [{"from": names[start], "to": names[end]} for start, end in flow.edges]
    return {"nodes": [asdict(node) for node in flow.nodes], "edges": edges}
