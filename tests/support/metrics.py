# SPDX-License-Identifier: Apache-2.0
"""What a sidecar's /metrics says, read by Prometheus' own Python parser."""

from __future__ import annotations

import urllib.request

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from waybill_testkit import Sidecar


def scrape(sidecar: Sidecar, accept: str | None = None, timeout_s: float = 10.0) -> tuple[str, str]:
    """The answer's content type and text."""
    said = sidecar.status()
    request = urllib.request.Request(
        f"http://{said['admin_host']}:{said['ports']['admin']}/metrics", headers={"Accept": accept} if accept else {}
    )
    with urllib.request.urlopen(request, timeout=timeout_s) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


class Scrape:
    """Samples of one moment: `now["waybill_healthy"]`, `now["waybill_refusals_total", {"code": "WB_E_B64"}]`."""

    def __init__(self, sidecar: Sidecar) -> None:
        self.text = scrape(sidecar)[1]
        self.families = list(text_string_to_metric_families(self.text))
        self.samples: list[Sample] = [sample for family in self.families for sample in family.samples]

    def all(self, name: str, **labels: str) -> list[Sample]:
        return [s for s in self.samples if s.name == name and labels.items() <= s.labels.items()]

    def __getitem__(self, what: str | tuple[str, dict[str, str]]) -> float:
        """Of the one series there is, or the sum of those that the labels leave."""
        name, labels = what if isinstance(what, tuple) else (what, {})
        found = self.all(name, **labels)
        if not found:
            raise KeyError(what)
        return sum(sample.value for sample in found)
