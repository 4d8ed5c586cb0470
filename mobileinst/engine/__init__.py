"""The native engine: record the network as a graph, simplify it, pack weights, emit plans, run sessions."""

from mobileinst.engine.backend import Backend, active_backend
from mobileinst.engine.emit import Program, compile_program
from mobileinst.engine.fork_lock import ForkLock
from mobileinst.engine.graph import Graph, NativeOps, Node
from mobileinst.engine.parameters import Parameters
from mobileinst.engine.processors import Processors, default_threads, usable_processors
from mobileinst.engine.session import NativeModel, Session, thread_pool
from mobileinst.engine.size_cache import CACHED_SESSIONS, SizeCache

__all__ = [
    "CACHED_SESSIONS",
    "Backend",
    "ForkLock",
    "Graph",
    "NativeModel",
    "NativeOps",
    "Node",
    "Parameters",
    "Processors",
    "Program",
    "Session",
    "SizeCache",
    "active_backend",
    "compile_program",
    "default_threads",
    "thread_pool",
    "usable_processors",
]
