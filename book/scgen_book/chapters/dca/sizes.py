"""The sizes of all networks beside those that follow from the published layers."""

import numpy as np

from scgen_lib.models.dca.net import DCANet
from scgen_lib.models.dca.settings import DCASettings
from scgen_lib.models.dca.students import StudentNet, StudentSettings

#: Trainable parameters for G genes: slope and intercept.
PUBLISHED = {
    "normal": (129, 4416),
    "poisson": (129, 4416),
    "nb": (130, 4416),
    "nb-conddisp": (194, 4416),
    "nb-shared": (129, 4481),
    "nb-fork": (194, 6592),
    "zinb": (195, 4416),
    "zinb-conddisp": (259, 4416),
    "zinb-shared": (129, 4546),
    "zinb-fork": (259, 8768),
    "zinb-elempi": (196, 4416),
    "zinb-elempi-sharedpi": (194, 4418),
}
STUDENTS = {"I": 263_256, "II": 263_576, "III": 263_256, "IV": 263_576}


def compare() -> str:
    """Build every type of network and return its size in words, a line a type.

    Raises
    ------
    AssertionError
        If one has another size than published.
    """
    lines = []
    for name, (slope, intercept) in PUBLISHED.items():
        counted = [_size(DCANet(genes, DCASettings(ae_type=name))) for genes in (200, 1000)]
        assert counted == [slope * genes + intercept for genes in (200, 1000)], name
        lines.append(f"{name:21} {counted[0]:7,} (200 genes) {counted[1]:8,} (1,000 genes)  as published")
    for kind, expected in STUDENTS.items():
        assert _size(StudentNet(1000, StudentSettings(kind=kind))) == expected, kind
        lines.append(f"student model {kind:7} {'':21} {expected:8,} (1,000 genes)  as published")
    return "\n".join(lines)


def _size(net: DCANet | StudentNet) -> int:
    return sum(int(np.prod(w.shape)) for w in net.trainable_variables)
