"""For tests of plugins: run one in this process over packets that a test makes or reads.

    from zcframe.testing import run_plugin, tcp, udp

    def test_ports():
        result = run_plugin(Ports, [tcp(dport=80), udp(dport=53)], queues=2)
        assert result.report["53"] == 1 and not result.faults

docs/testing.md teaches it.
"""

from __future__ import annotations

from zcframe.framework.stats import Fault
from zcframe.framework.workbench.build import ethernet, ip, tcp, udp
from zcframe.framework.workbench.frames import write_capture
from zcframe.framework.workbench.interpret import interpret_plugin
from zcframe.framework.workbench.trial import Result, Verdicts, run_plugin

__all__ = [
    "Fault",
    "Result",
    "Verdicts",
    "ethernet",
    "interpret_plugin",
    "ip",
    "run_plugin",
    "tcp",
    "udp",
    "write_capture",
]
