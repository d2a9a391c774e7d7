"""Tables of deciding and of reuse, and their rows at the top of the page."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from benchmarks.publishing.markdown import Result, Row, table

_SETS = {"mmlu": ("MMLU", "cpt50"), "gsm8k": ("GSM8K", "cpt80")}
_WANTED_ROUTES = {
    ("mmlu", "ours, text alone"): (0.655, 0.30),
    ("mmlu", "ours, with the group"): (0.68, 0.27),
    ("gsm8k", "ours, text alone"): (0.65, 0.60),
}
_WANTED_RECALL = (0.70, 0.80, 0.86)
_MOST_ECE, _HELD, _SPLITS = 0.03, 95, 100
_ATTACKS_REUSED, _REWORDINGS_REUSED = 0.005, 0.9
_TIMES_COSINE = 1.5
_COST, _QUALITY = 0.15, 0.97
_DECIDING_MS = 2.0


def routing(result: Result) -> str:
    """Orders of questions: whom the dear model is asked for first."""
    rows = []
    for name, (title, cpt) in _SETS.items():
        told = result[name]
        for order, one in told["orders"].items():
            rows.append([title, order, f"{one['apgr']:.3f}", f"{one[cpt]:.1%} ({cpt.upper()})"])
    return table(["Set", "Order", "APGR", "Calls of the dear model"], rows)


def calibration(result: Result) -> str:
    """Held-out confidence of the five systems' answers."""
    rows = [
        [name, f"{one['right']:.1%}", *(one["ours"][key] for key in ("ece", "auroc", "brier"))]
        for name, one in result["calibration"].items()
    ]
    held = table(["Answers of", "Right", "ECE", "AUROC", "Brier"], rows)
    return f"{held}\n\n{_risk(result)}"


def choosing(result: Result) -> str:
    """What the single systems cost, and what it costs to come near them."""
    rows: list[list[str]] = [
        [f"always {name}", f"${one['usd_per_1000']:.3f}", f"{one['right']:.1%}", ""]
        for name, one in result["singles"].items()
    ]
    for name, one in result["near_a_single"].items():
        ours, others = one["ours"], one["of_its_cost"]
        shown = [
            f"{what} {'never' if share is None else f'{share:.1%}'}"
            for what, share in others.items()
        ]
        rows.append(
            [
                f"ours, set to {name}",
                f"${ours['usd_per_1000']:.3f}",
                f"{ours['right']:.1%}",
                f"ours {ours['of_its_cost']:.1%}; {'; '.join(shown)}",
            ]
        )
    best = result["perfect"]
    rows.append(["perfect", f"${best['usd_per_1000']:.3f}", f"{best['right']:.1%}", ""])
    return table(["Way", "1,000 answers", "Right", "Cost, as a share of that system's"], rows)


def thousand_answers(result: Result) -> str:
    """The frontier beside the naive way."""
    rows: list[list[str]] = []
    for name, title in (("default", "as it comes"), ("calibrated", "calibrated")):
        told = result[name]
        for one in told["curve"]:
            if 0.003 <= one["error_usd"] <= 0.3:
                rows.append(
                    [
                        title,
                        f"${one['error_usd']:.4g}",
                        f"${one['usd_per_1000']:.3f}",
                        f"{one['quality']:.1%}",
                        f"{one['of_naive_usd']:.1%}",
                        f"{one['of_naive_quality']:.1%}",
                    ]
                )
    naive = result["default"]["naive"]
    rows.append(
        ["the naive way", "", f"${naive['usd_per_1000']:.3f}", f"{naive['quality']:.1%}", "", ""]
    )
    head = [
        "",
        "Price of an error",
        "1,000 answers",
        "Quality",
        "Of the naive cost",
        "Of its quality",
    ]
    return table(head, rows)


def batch_allocation(result: Result) -> str:
    """Right answers, of all questions, at shares of the price of asking for all that are unsure."""
    shares = list(result["default"]["quality"])
    rows = [
        [title, name, *(f"{result[key]['quality'][share][name]['mean']:.3f}" for share in shares)]
        for key, title in (("calibrated", "calibrated"), ("default", "as it comes"))
        for name in result[key]["quality"][shares[0]]
    ]
    return table(["Confidence", "Order", *shares], rows)


def deciding_speed(result: Result) -> str:
    """What a question's decisions take."""
    head = ["Questions", "Median, ms", "99th percentile, ms"]
    return table(head, [[f"{result['questions']:,}", result["median_ms"], result["p99_ms"]]])


def reuse_pairs(result: Result) -> str:
    """Recall of same questions at precisions."""
    precisions = [f"{one:.0%}" for one in result["precisions"]]
    rows = []
    for language in ("English", "German"):
        for method, recalls in result[language]["recall_at_precision"].items():
            rows.append([language, method, *(f"{one:.3f}" for one in _values(recalls))])
    return table(["Pairs", "Method", *(f"at {one}" for one in precisions)], rows)


def reuse_attacks(result: Result) -> str:
    """What made pairs came to."""
    told = {name: one for name, one in result.items() if isinstance(one, dict) and "attacks" in one}
    peer = "cosine threshold that reuses as many rewordings"
    rows = [
        ["Pairs that differ in one thing", *(f"{one['attacks']:,}" for one in told.values())],
        ["of these reused", *(f"{one['attacks_reused']:.2%}" for one in told.values())],
        ["by a cosine", *(f"{one[peer]['attacks_reused']:.1%}" for one in told.values())],
        ["Harmless rewordings", *(f"{one['rewordings']:,}" for one in told.values())],
        ["of these reused", *(f"{one['rewordings_reused']:.1%}" for one in told.values())],
    ]
    return table(["", *(f"words {name}" for name in told)], rows)


def reuse_streams(result: Result) -> str:
    """Hits and errors of a stream, beside peers."""
    names = {
        "ours": "ours",
        "vcache": "vCache as published",
        "cosine_at_our_error": "cosine, in hindsight at our error",
        "cosine_at_the_limit": "cosine, in hindsight at the limit",
    }
    rows = [
        [
            f"{float(limit):.0%}",
            title,
            f"{one[name]['hits']:,.0f}",
            f"{one[name]['wrong_share']:.2%}",
        ]
        for limit, one in result["limits"].items()
        for name, title in names.items()
    ]
    return table(["Limit", "Method", f"Hits of {result['questions']:,}", "Wrong among them"], rows)


def reuse_bound(result: Result) -> str:
    """How often the bound held."""
    rows = [
        [
            name,
            f"{float(limit):.0%}",
            f"{one['hits']:,.0f} of {told['questions']:,}",
            f"{one['wrong_share']:.2%}",
            f"{one['worst_wrong_share']:.2%}",
            f"{one['held']} of {result['shuffles']}",
        ]
        for name, told in result["sets"].items()
        for limit, one in told["limits"].items()
    ]
    head = ["Stream of", "Limit", "Hits, median", "Wrong among hits", "Worst shuffle", "Held"]
    return table(head, rows)


def stale_reuse(result: Result) -> str:
    """What came of answers whose documents changed."""
    rows = [
        ["Questions", f"{result['questions']:,}"],
        ["Changes of documents between them", f"{result['changes']['edits']:,}"],
        ["Given again", f"{result['given again']:,}"],
        ["of these in other words", f"{result['given again in other words']:,}"],
        ["that rest on what had changed or was gone", f"{result['stale']:,}"],
        ["Citations that are not there", f"{result['citations that are not there']:,}"],
        [
            "Made anew, and the same",
            f"{result['made anew and the same']:,} of {result['made anew']:,}",
        ],
    ]
    return table(["What", "Count"], rows)


def _risk(result: Result) -> str:
    """How often a limit on errors held, and what it left to be answered."""
    told = result["risk"]
    rows = []
    for name, one in told.items():
        if isinstance(one, dict):
            for method in ("ours", "bisection"):
                rows.append(
                    [
                        name,
                        method,
                        f"{one['held'][method]} of {told['splits']}",
                        f"{one['answered'][method]:.1%}",
                        f"{one['answered']['hindsight']:.1%}",
                    ]
                )
    return table(["Answers of", "Method", "Held", "Answered", "Best threshold in hindsight"], rows)


def reuse_lookup(result: Result) -> str:
    """What looking for a kept answer takes."""
    rows = [[what, one["median"], one["p99"]] for what, one in result["ms"].items()]
    return table([f"{result['entries']:,} kept, asked", "Median, ms", "99th percentile, ms"], rows)


def _values(recalls: object) -> list[float]:
    return list(recalls.values()) if isinstance(recalls, dict) else list(recalls)  # type: ignore[call-overload]


def _routing(result: Result) -> Iterator[Row]:
    for (name, order), (apgr, share) in _WANTED_ROUTES.items():
        title, cpt = _SETS[name]
        orders = result[name]["orders"]
        one = orders[order]
        peers = "; ".join(
            f"{other} {told['apgr']:.3f}"
            for other, told in orders.items()
            if not other.startswith(("ours", "perfect"))
        )
        yield Row(
            f"Routing before the call, {title}, {order.removeprefix('ours, ')}",
            f"APGR {one['apgr']:.3f}, {cpt.upper()} {one[cpt]:.1%}",
            peers,
            f"{apgr}, {share:.0%}",
            one["apgr"] >= apgr and one[cpt] <= share,
        )


def _calibration(result: Result) -> Iterator[Row]:
    worst = max(one["ours"]["ece"] for one in result["calibration"].values())
    yield Row(
        "Calibration error of confidence, held out, the worst of nine cases",
        f"{worst:.3f}",
        "",
        f"at most {_MOST_ECE}",
        worst <= _MOST_ECE,
    )
    told = result["risk"]
    held = [one["held"]["ours"] for one in told.values() if isinstance(one, dict)]
    yield Row(
        f"A limit of {told['max_error']:.0%} on errors, splits in which it held",
        ", ".join(f"{one} of {told['splits']}" for one in held),
        "",
        f"at least {_HELD} of {_SPLITS}",
        min(held) >= _HELD * told["splits"] / _SPLITS,
    )


def _choosing(result: Result) -> Iterator[Row]:
    for name, one in result["near_a_single"].items():
        if name.startswith("97%"):
            mixed = one["of_its_cost"]["two mixed at random"]
            yield Row(
                f"Choosing among five systems: the cost of {name}",
                f"{one['ours']['of_its_cost']:.1%} of its cost, {one['ours']['right']:.1%} right",
                f"mixed at random {mixed:.1%}",
                "reported",
                None,
            )


def _thousand_answers(result: Result) -> Iterator[Row]:
    told = result["calibrated"]["cheapest_enough"]
    plain = result["default"]["cheapest_enough"]
    yield Row(
        f"Cost of answers with at least {_QUALITY:.0%} of the quality of the naive way (models "
        "simulated)",
        f"{told['of_naive_usd']:.1%}, calibrated",
        f"{plain['of_naive_usd']:.1%} as it comes",
        f"at most {_COST:.0%}",
        told["of_naive_usd"] <= _COST,
    )


def _reuse_pairs(result: Result) -> Iterator[Row]:
    methods = result["English"]["recall_at_precision"]
    ours = _values(methods["ours: score and differences"])
    cosine = _values(methods["cosine threshold"])
    yield Row(
        "Same questions found at 99, 97 and 95% precision (covid, English)",
        " / ".join(f"{one:.3f}" for one in ours),
        "cosine " + " / ".join(f"{one:.3f}" for one in cosine),
        " / ".join(f"{one:.2f}" for one in _WANTED_RECALL),
        all(one >= wanted for one, wanted in zip(ours, _WANTED_RECALL, strict=True)),
    )


def _reuse_attacks(result: Result) -> Iterator[Row]:
    told = {name: one for name, one in result.items() if isinstance(one, dict) and "attacks" in one}
    one = list(told.values())[-1]
    yield Row(
        f"Attacks reused of {one['attacks']:,}, and harmless rewordings, words held out",
        f"{one['attacks_reused']:.2%}, {one['rewordings_reused']:.1%}",
        "",
        f"at most {_ATTACKS_REUSED:.1%}, at least {_REWORDINGS_REUSED:.0%}",
        one["attacks_reused"] <= _ATTACKS_REUSED and one["rewordings_reused"] >= _REWORDINGS_REUSED,
    )


def _reuse_streams(result: Result) -> Iterator[Row]:
    """Beside the cosine that comes nearest to the whole limit, which ours does not use up."""
    one = result["limits"]["0.02"]
    ours, cosine = one["ours"], one["cosine_at_the_limit"]
    yield Row(
        "Hits at a limit of 2% on a stream of banking77, beside a cosine tuned in hindsight",
        f"{ours['hits']:,.0f}, {ours['wrong_share']:.2%} wrong",
        f"cosine {cosine['hits']:,.0f}, {cosine['wrong_share']:.2%} wrong; vCache "
        f"{one['vcache']['hits']:,.0f}, {one['vcache']['wrong_share']:.2%}",
        f"at least {_TIMES_COSINE} times",
        one["times_at_the_limit"] >= _TIMES_COSINE,
    )


def _reuse_bound(result: Result) -> Iterator[Row]:
    held = [one["held"] for told in result["sets"].values() for one in told["limits"].values()]
    yield Row(
        "Errors among reuses within the limit of 1, 2 and 5%, shuffles",
        f"at least {min(held)} of {result['shuffles']}",
        "",
        f"at least {_HELD} of 100",
        min(held) >= _HELD * result["shuffles"] / 100,
    )


def _stale_reuse(result: Result) -> Iterator[Row]:
    yield Row(
        f"Answers that rest on a changed or forgotten document, of {result['questions']:,}",
        f"{result['stale']:,}",
        "",
        "none",
        result["stale"] == 0 and result["citations that are not there"] == 0,
    )


def _deciding_speed(result: Result) -> Iterator[Row]:
    yield Row(
        "Deciding who answers",
        f"{result['median_ms']} ms (p99 {result['p99_ms']} ms)",
        "",
        f"at most {_DECIDING_MS:.0f} ms",
        result["median_ms"] <= _DECIDING_MS,
    )


ROWS: dict[str, Callable[[Result], Iterator[Row]]] = {
    "routing": _routing,
    "calibration": _calibration,
    "choosing": _choosing,
    "thousand_answers": _thousand_answers,
    "deciding_speed": _deciding_speed,
    "reuse_pairs": _reuse_pairs,
    "reuse_attacks": _reuse_attacks,
    "reuse_streams": _reuse_streams,
    "reuse_bound": _reuse_bound,
    "stale_reuse": _stale_reuse,
}
