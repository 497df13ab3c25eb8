"""What the book says of the record: how much there is, where it comes from, and how a build agrees with it."""

from collections.abc import Sequence

from scgen_book import markdown
from scgen_book.record import Record, agreement
from scgen_book.record.agreement import Agreement

_FIRST = 20


def agreement_of(found: Sequence[Agreement]) -> str:
    """Return how many recorded rows a build computed once more, and how many agree, with those that differ."""
    if not found:
        return "No row of this build is one of the record, with the same settings.\n"
    text = f"This build computed **{len(found)}** rows of the record once more: {agreement.told(found, '**{}**')}.\n"
    differing = [str(one) for one in found if one.word == agreement.DIFFERENT]
    lines = [f"- {markdown.escape(line)}" for line in differing[:_FIRST]]
    if len(differing) > _FIRST:
        lines.append(f"- and {len(differing) - _FIRST} more")
    return text + ("\n" + "\n".join(lines) + "\n" if lines else "")


def batches(kept: Record) -> str:
    """Return where the record comes from, a line a batch of rows, and what all of it took."""
    if not kept.rows:
        return "The record has no rows yet.\n"
    rows = [
        [
            of["started"],
            f"`{of['commit'] or 'unknown'}`",
            f"`{of['lock']}`",
            of["python"] or "–",
            markdown.escape(of["cpu"]),
            str(of["cores"]),
            markdown.escape(of["gpus"]) or "–",
            str(of["rows"]),
            f"{float(of['core_s']) / 3600:.2f}",
        ]
        for _, of in sorted(kept.batches.items())
    ]
    head = ["date", "commit", "lock file", "Python", "processor", "cores", "GPUs", "rows", "core-hours"]
    experiments = len({key[0] for key in kept.rows})
    told = f"{len(kept.rows):,} rows of {experiments} experiments, {kept.core_hours():.1f} core-hours.\n\n"
    return told + markdown.table(head, rows)
