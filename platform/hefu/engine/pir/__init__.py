"""Private information retrieval: a record by position or by key, and the owner does not learn which.

single     one server, by position, on LWE (SimplePIR)
lookup     one server, by key, with payload; sealed: the asker reads nothing but its own
two_server two servers that do not collude, by position or key (distributed point functions)
labelled   many keys against a large list, with payload (labelled PSI from an oblivious PRF)

Each is a pair of programs per phase, one for either side; `retrieve` and `serve_*` exist for one server and for two, so
they are imported with their module: `from hefu.engine.pir import single, two_server`.
"""

from hefu.engine.pir import labelled, lookup, single, two_server
from hefu.engine.pir.choose import PirChoice, choose_pir
from hefu.engine.pir.delivery import deliver_table, receive_table
from hefu.engine.pir.keyed import KeyedTable, TableHeader, build_table
from hefu.engine.pir.keys import Keys
from hefu.engine.pir.labelled import prepare_list
from hefu.engine.pir.lattice import Hint, LatticeDatabase, prepare
from hefu.engine.pir.lookup import prepare_lookup
from hefu.engine.pir.two_server import Replica

__all__ = [
    "Hint",
    "KeyedTable",
    "Keys",
    "LatticeDatabase",
    "PirChoice",
    "Replica",
    "TableHeader",
    "build_table",
    "choose_pir",
    "deliver_table",
    "labelled",
    "lookup",
    "prepare",
    "prepare_list",
    "prepare_lookup",
    "receive_table",
    "single",
    "two_server",
]
