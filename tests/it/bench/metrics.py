"""Pages of metrics, as strictly as Prometheus reads them."""

import collections
import re

SAMPLE = re.compile(r'(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?P<labels>[^{}]*)\})? (?P<value>[-+0-9.eE]+|NaN|\+Inf|-Inf)')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')


def read_metrics(text):
    """Every line of the text format 0.0.4: ({name: type}, {name: [(labels, value)]}). Names are announced before their samples,
    each once, and all samples of a name stand together."""
    types, helps, samples = {}, {}, collections.defaultdict(list)
    current = None
    assert text.endswith("\n")
    for line in text.splitlines():
        words = line.split(" ", 3)
        if line.startswith("# HELP "):
            assert words[2] not in helps and words[3]
            helps[words[2]] = words[3]
        elif line.startswith("# TYPE "):
            assert words[2] in helps and words[2] not in types and words[3] in ("counter", "gauge", "histogram")
            current, types[words[2]] = words[2], words[3]
        else:
            found = SAMPLE.fullmatch(line)
            suffix = "(?:_bucket|_sum|_count)" if types[current] == "histogram" else ""
            assert found and re.fullmatch(current + suffix, found["name"]), line
            labels = dict(LABEL.findall(found["labels"] or ""))
            assert LABEL.sub("", found["labels"] or "") == "", line
            samples[current].append((labels, float(found["value"])))
    assert types.keys() == helps.keys()
    return types, samples
