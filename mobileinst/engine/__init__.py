"""The native engine: record the network as a graph, simplify it, pack weights, emit plans, run sessions."""

from mobileinst.engine.backend import Backend, active_backend
from mobileinst.engine.emit import Program, compile_program
from mobileinst.engine.fork_lock import ForkLock
from mobileinst.engine.graph import Graph, NativeOps, Node
from mobileinst.engine.parameters import Parameters
from mobileinst.engine.plain_tier import plain_tier_warning
from mobileinst.engine.precision import PRECISIONS, Precision, choose_precision, offered_precisions
from mobileinst.engine.processors import MAX_THREADS, Processors, default_threads, usable_processors
from mobileinst.engine.session import NativeModel, Session, input_image, thread_pool
from mobileinst.engine.size_cache import CACHED_SESSIONS, SizeCache

__all__ = [
    "CACHED_SESSIONS",
    "MAX_THREADS",
    "PRECISIONS",
    "Backend",
    "ForkLock",
    "Graph",
    "NativeModel",
    "NativeOps",
    "Node",
    "Parameters",
    "Precision",
    "Processors",
    "Program",
    "Session",
    "SizeCache",
    "active_backend",
    "choose_precision",
    "compile_program",
    "default_threads",
    "input_image",
    "offered_precisions",
    "plain_tier_warning",
    "thread_pool",
    "usable_processors",
]
