"""From the network's functions to native plans: record a graph, simplify it, pack weights, emit nodes."""

from mobileinst.compiler.emit import Program, compile_program
from mobileinst.compiler.graph import Graph, NativeOps, Node
from mobileinst.compiler.parameters import Parameters

__all__ = ["Graph", "NativeOps", "Node", "Parameters", "Program", "compile_program"]
