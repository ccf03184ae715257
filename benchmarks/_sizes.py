"""How much there is of everything: in full, for a quick look, and for the tests."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Sizes:
    """What the benches are made for.

    Attributes:
        share: Of the rounds that a bench would like.
        backends, latency_s: Of the emulated service; seconds a request.
        jobs: In the emulated service's list.
        shots: Of the large results.
        records: What the engine sifts; many: backends of one vendor.
        ledger_jobs: In the ledger that is listed.
        delay_s: What each of several vendors takes.
        deadline_s: For the query that a vendor lets hang.
        qubits, circuits: Of the local workloads.
    """

    name: str = "full"
    share: float = 1.0
    backends: int = 100
    latency_s: float = 0.05
    jobs: int = 1000
    shots: int = 1_000_000
    records: int = 100_000
    many: int = 10_000
    ledger_jobs: int = 100_000
    delay_s: float = 0.1
    deadline_s: float = 1.0
    qubits: int = 20
    circuits: int = 200

    def rounds(self, wanted: int) -> int:
        return max(1, round(wanted * self.share))


FULL = Sizes()
QUICK = replace(
    FULL,
    name="quick",
    share=0.2,
    backends=20,
    latency_s=0.02,
    jobs=200,
    shots=100_000,
    records=20_000,
    many=2000,
    ledger_jobs=3000,
    delay_s=0.05,
    deadline_s=0.5,
    qubits=12,
    circuits=40,
)
TINY = replace(
    QUICK,
    name="tiny",
    share=0.0,
    backends=8,
    latency_s=0.0,
    jobs=3,
    shots=1000,
    records=500,
    many=50,
    ledger_jobs=40,
    delay_s=0.005,
    deadline_s=0.1,
    qubits=4,
    circuits=3,
)
SIZES = {sizes.name: sizes for sizes in (FULL, QUICK, TINY)}
