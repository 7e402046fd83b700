"""Pages of correctness and rejection: how well scores find wrong predictions, too, and what a set threshold gives."""

from collections.abc import Sequence

from ood_bench.report.format import paragraph
from ood_bench.report.markdown import measured
from ood_bench.report.sections import Section

SUFFIX = ".selective.md"
"""What follows the name of a table in the name of its page."""
_LEGEND = paragraph(
    "In percent, mean ± standard deviation over networks (their number). An ID image fails if its class is predicted "
    "wrong; in SCOD every OOD image fails too. Large is good for OSCR, AUROC and TPR, small for the others. AUROC "
    "correct and AUROC wrong are those of OOD against ID images that are classified right, or wrong. Transferred: the "
    "threshold accepts 95 % of every second ID image, the TPR is that of the other ID images, the FPR that of all OOD "
    "images, each with its 95 % Clopper-Pearson interval over images, the ends averaged over networks. Definitions and "
    "sources: docs/metrics.md."
)


def selective_page(name: str, every: Sequence[Section]) -> str:
    """Tables of the sections that have any of these metrics, a heading each; empty if none has.

    Args:
        name: of the table's own page beside it, without suffix.
        every: its sections.
    """
    parts = []
    for section in every:
        if table := measured(section.ran, None, "selective"):
            title = f"{section.title} ({section.model}, {section.id}, protocol {section.protocol})"
            parts += [f"## {section.title if section.kind == 'other' else title}", table]
    if not parts:
        return ""
    head = ["# Classifying and rejecting", f"Beside [{name}.md]({name}.md).", _LEGEND]
    return "\n\n".join([*head, *parts]) + "\n"
