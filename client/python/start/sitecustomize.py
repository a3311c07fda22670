# SPDX-License-Identifier: Apache-2.0
"""Read by every Python that starts below `waybill run`, whose folder stands first in PYTHONPATH.

It costs a program that does not use OpenTelemetry next to nothing: it only waits for two modules to
be imported, and the rest is waybill/_otel_start.py's. Whatever goes wrong here is said in one line
on standard error and changes nothing for the program.

The client's package is in the folder `lib` beside this one. It comes last in sys.path, so a version
that the program has installed for itself is the one that is used.

A sitecustomize that this one hides is run as if it were not hidden.

Older Pythons (from 3.6 on) read this file too: they only run what it hides.
"""

import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))
_LIB = os.path.join(os.path.dirname(_HERE), "lib")

# module -> the function of waybill._otel_start that is called with it, right after its import
_WATCHED = {
    "opentelemetry.trace": "on_api",
    "opentelemetry.instrumentation.auto_instrumentation": "on_instrument",
}


def _imported(name, module):
    try:
        try:
            import waybill  # noqa: F401
        except ImportError:
            sys.path.append(_LIB)
        from waybill import _otel_start

        getattr(_otel_start, _WATCHED[name])(module, _LIB)
    except Exception as error:
        sys.stderr.write(
            f"waybill: OpenTelemetry is not traced in process {os.getpid()}: "
            f"{type(error).__name__}: {error}\n"
        )


class _Watch:
    """A finder that finds what the others find, and adds to its loader a call after the import."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name not in _WATCHED:
            return None
        for finder in sys.meta_path:
            find = None if finder is _Watch else getattr(finder, "find_spec", None)
            spec = find(name, path, target) if find is not None else None
            if spec is not None:
                _add_call(name, spec.loader)
                return spec
        return None


def _add_call(name, loader):
    load = getattr(loader, "exec_module", None)
    if load is None:
        return

    def exec_module(module):
        load(module)
        _imported(name, module)

    loader.exec_module = exec_module


def _run_hidden():
    from importlib.machinery import PathFinder

    others = [path for path in sys.path if os.path.abspath(path or os.curdir) != _HERE]
    spec = PathFinder.find_spec("sitecustomize", others)
    if spec is None or spec.loader is None:
        return
    from importlib import util

    module = util.module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


if sys.version_info >= (3, 10):  # noqa: UP036
    sys.meta_path.insert(0, _Watch)
_run_hidden()
