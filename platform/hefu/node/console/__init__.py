"""The console's API: what people of this organisation may see and do, one router per subject.

The shapes and the list of endpoints are in `hefu.node.console_models`. A router checks who asks and what they may do;
what happens lies in the services beside this package.
"""

from hefu.node.console.router import create_console_router

__all__ = ["create_console_router"]
