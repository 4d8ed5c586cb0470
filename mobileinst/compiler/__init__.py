"""From the network's functions to native plans: record a graph, simplify it, pack weights, emit nodes."""

from mobileinst.compiler.backend import Backend, active_backend
from mobileinst.compiler.emit import Program, compile_program
from mobileinst.compiler.graph import Graph, NativeOps, Node
from mobileinst.compiler.parameters import Parameters

__all__ = [
    "Backend",
    "Graph",
    "NativeOps",
    "Node",
    "Parameters",
    "Program",
    "active_backend",
    "compile_program",
]
