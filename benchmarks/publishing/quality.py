"""Tables of quality: what is found, what is kept, what is refused."""

from __future__ import annotations

from benchmarks.publishing.markdown import (
    Result,
    between,
    p_value,
    share,
    table,
    with_interval,
)

PARTS = {"all": "All questions", "held_out": "Questions that nothing was fitted on"}
_QUOTES = {
    "right_when_answered": "Right when answered",
    "answerable_refused": "Answerable, refused",
    "unanswerable_refused": "Unanswerable, refused",
    "auroc_right": "AUROC, right or not",
    "auroc_answerable": "AUROC, answerable or not",
    "auroc_answerable_top_cosine": "The same by the top cosine alone",
    "ece": "Calibration error",
}


def retrieval(result: Result) -> str:
    """nDCG@10 by set and way, and ours against the best of the others."""
    by_set = result["ndcg_at_10"]
    ways = list(by_set["mean"])
    scores = table(
        ["nDCG@10", *ways],
        [[name, *(share(figures[way]) for way in ways)] for name, figures in by_set.items()],
    )
    differences = table(
        ["Thrifty RAG minus the best other", "Best other", "Difference", "95% interval", "p"],
        [
            [
                name,
                told["baseline"],
                f"{told['difference']:+.3f}",
                between(told["low"], told["high"]),
                p_value(told["p"]),
            ]
            for name, told in result["against_the_best"].items()
        ],
    )
    return f"{scores}\n\n{differences}"


def spans(result: Result) -> str:
    """The evidence found and the tokens sent, by way and budget; ours against the best splitter."""
    return "\n\n".join(
        f"{title}, {result['questions'][part]} of them:\n\n{_spans(result[part])}"
        for part, title in PARTS.items()
    )


def _spans(part: Result) -> str:
    budgets = list(next(iter(part["ours"].values())))
    cells = table(
        ["Evidence found (tokens sent), by most tokens", *budgets],
        [
            [name, *(f"{share(at[b]['recall'])} ({at[b]['tokens']:,.0f})" for b in budgets)]
            for name, at in (part["others"] | part["ours"]).items()
        ],
    )
    against = table(
        ["Minus the best splitter at as many tokens (95% interval)", *budgets],
        [[name, *(_difference(at[b]) for b in budgets)] for name, at in part["ours"].items()],
    )
    return f"{cells}\n\n{against}"


def _difference(told: Result) -> str:
    return f"{told['difference']:+.3f} ({between(told['low'], told['high'])})"


def compression(result: Result) -> str:
    """The share of answers that are retained, by method and share of the tokens."""
    shares = [str(one) for one in result["shares"]]
    retained = table(
        ["Answer retained (95% interval), by tokens kept", *(f"{float(s):.0%}" for s in shares)],
        [
            [name, *(with_interval(figures[one]) for one in shares)]
            for name, figures in result["retained"].items()
        ],
    )
    took = result["ms"]
    return (
        f"{retained}\n\nMeasured on {result['questions']:,} questions; "
        f"ours took {took['median']:.1f} ms a question (median; 99th percentile {took['p99']:.1f})."
    )


def context(result: Result) -> str:
    """Tokens sent, and what they keep, against five whole chunks."""
    rows = []
    for name, figures in result["sets"].items():
        for way, told in (("five whole chunks", "five chunks"), ("Thrifty RAG", "ours")):
            one = figures[told]
            rows.append(
                [
                    name,
                    figures["questions"],
                    way,
                    f"{one['tokens']:,.0f}",
                    f"{one['tokens_p95']:,.0f}",
                    with_interval(one["retained"]),
                    with_interval(one["answer_words"]),
                ]
            )
    head = ["Question set", "Questions", "Sent", "Tokens, mean", "Tokens, 95th percentile"]
    return table([*head, "Answer retained (95% interval)", "Words of the answer"], rows)


def abstention(result: Result) -> str:
    """AUROC of answerable or not, by estimate."""
    estimates = list(next(iter(result["sets"].values()))["auroc"])
    rows = [
        [name, PARTS[part].lower(), *(share(figures[key][one]) for one in estimates)]
        for name, figures in result["sets"].items()
        for part, key in (("all", "auroc"), ("held_out", "auroc_held_out"))
    ]
    return table(["AUROC, answerable or not", "Of", *estimates], rows)


def quotes(result: Result) -> str:
    """How right the quotes are, and how well the confidence tells it."""
    rows = [
        [source, int(figures["questions"]), *(share(figures.get(name)) for name in _QUOTES)]
        for source, figures in result["held_out"].items()
    ]
    threshold = f"The service abstains below {result['abstain_below']}."
    return f"{table(['Question set', 'Questions', *_QUOTES.values()], rows)}\n\n{threshold}"


def citations(result: Result) -> str:
    """How many citations were looked up, and how many were wrong."""
    rows = [[result[name] for name in ("questions", "answered", "citations", "wrong")]]
    return table(["Questions", "Answered", "Citations", "Not exact"], rows)
