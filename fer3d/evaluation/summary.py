"""The page that ``fer3d evaluate`` prints."""

from typing import Any


def evaluation_page(results: dict[str, Any]) -> str:
    """The results of `metrics.evaluate` as text: rates, interval, confusion matrix, and what limits them."""
    low, high = results["interval"]
    lines = [
        f"accuracy {results['accuracy']:.1%} (95 % interval over subjects {low:.1%} to {high:.1%}), n = {results['n']}",
        f"UAR {results['uar']:.1%}; always predicting the most frequent class {results['majority']:.1%}",
        "true class in rows, predicted in columns:",
        " " * 12 + "".join(f"{name[:9]:>10}" for name in results["labels"]),
    ]
    for name, row in zip(results["labels"], results["confusion"], strict=True):
        lines.append(f"  {name:<10}" + "".join(f"{count:>10}" for count in row))
    if results.get("trained_on"):
        lines.append("The network was trained on clips of this store: these figures are not a test.")
    elif results.get("trained_on_database"):
        lines.append("The network was trained on another store of this database: a test only if no person is in both.")
    return "\n".join(lines)
