"""Prints what is said of outputs that cannot be: SPEC, a tab, and the line; what could be opened is closed again."""

from __future__ import annotations

from collections.abc import Callable

from zcframe.framework.errors import ZcframeError
from zcframe.framework.outputs.make import Asked, choose_outputs, make_outputs
from zcframe.framework.outputs.output import Input
from zcframe.framework.privileges import drop_privileges

SPECS = (
    f"tap:{'a' * 16}",
    "tap:a%d",
    "tap:near",
    "tap:down",
    "tap:one,queues=2",
    "tap:x,mtu=70000",
    "iface:nea",
    "iface:down",
    "tap:x,queues=2,shares=3",
)


def attempt(spec: str, read: str = "lo") -> str:
    try:
        ((output, _),) = make_outputs(choose_outputs([spec], Asked(None, None, 1)), [Input(read, 0)])
        try:
            output.open()
        finally:
            output.close()
    except ZcframeError as error:
        return str(error)
    return "nothing"


def main(say: Callable[[str], None] = print) -> None:
    for spec in SPECS:
        say(f"{spec}\t{attempt(spec)}")
    say(f"tap:one\t{attempt('tap:one', 'one')}")
    say(f"iface:far\t{attempt('iface:far', 'near')}")
    say(f"iface:near\t{attempt('iface:near', 'near')}")
    say(f"any tap:x\t{attempt('tap:x', 'any')}")
    drop_privileges()
    say(f"unprivileged tap:x\t{attempt('tap:x')}")
    say(f"unprivileged iface:near\t{attempt('iface:near')}")


if __name__ == "__main__":
    main()
