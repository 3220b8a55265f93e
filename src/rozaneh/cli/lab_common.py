"""What all commands of the lab share: its exceptions as faults a person can be told about."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rozaneh.core.errors import Fault, FaultKind


@contextmanager
def faults() -> Iterator[None]:
    """Turns the lab's own exceptions into faults; on other systems than Linux there is no lab.

    The lab is imported inside, never around: its modules need what only Linux has.
    """
    if sys.platform != "linux":
        raise Fault(FaultKind.UNSUPPORTED, "The lab needs Linux", hint="run it in a virtual machine with Linux")
    from rozaneh.lab.browser.devtools import DevToolsError
    from rozaneh.lab.demo import DemoFailed
    from rozaneh.lab.isolate import Failed, LabUnavailable
    from rozaneh.lab.matrix import MatrixError
    from rozaneh.lab.processes import NotReady
    from rozaneh.lab.profiles import ProfileError
    from rozaneh.lab.scenarios import ScenarioError
    from rozaneh.lab.subjects import SubjectError
    from rozaneh.lab.worlds import WorldError

    try:
        yield
    except LabUnavailable as error:
        hint = "in a checkout, `make demo` installs what the lab needs"
        raise Fault(FaultKind.UNSUPPORTED, str(error), hint=hint) from error
    except (ScenarioError, WorldError, ProfileError, SubjectError) as error:
        raise Fault(FaultKind.USAGE, str(error), hint="`rozaneh lab list` shows what there is") from error
    except MatrixError as error:
        raise Fault(FaultKind.USAGE, str(error)) from error
    except (DemoFailed, NotReady, DevToolsError, Failed, TimeoutError, OSError) as error:
        raise Fault(FaultKind.FAILED, "The world did not do what it must", why=str(error)) from error


def machine() -> dict[str, str]:
    """What a table says of the machine it was made on."""
    return {
        "machine": f"{os.cpu_count()} processors, {platform.system()} {platform.release()}, {platform.machine()}",
        "python": platform.python_version(),
    }
