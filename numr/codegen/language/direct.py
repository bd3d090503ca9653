"""Kernel text to LLVM text by one walk of its syntax tree: no inference is needed, all is typed.

The same language, operations (operations.py) and result as inferred.py, which imports Numba first
(0.2 s) and takes ten times as long on each kernel; the tests run both and compare.
"""

from __future__ import annotations

import ast
import math
from typing import Any

from llvmlite import ir

from numr.codegen.language import operations

Value = tuple[Any, str]  # an LLVM value and its type code
_INDEX = ir.IntType(64)
_CONSTANTS = {"inf": math.inf, "nan": math.nan}
_OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.Div: "truediv",
    ast.FloorDiv: "floordiv",
    ast.Mod: "mod",
    ast.LShift: "lshift",
    ast.RShift: "rshift",
    ast.BitAnd: "and_",
    ast.BitOr: "or_",
    ast.BitXor: "xor",
    ast.USub: "neg",
    ast.UAdd: "pos",
    ast.Invert: "invert",
    ast.Not: "not_",
    ast.Eq: "eq",
    ast.NotEq: "ne",
    ast.Lt: "lt",
    ast.LtE: "le",
    ast.Gt: "gt",
    ast.GtE: "ge",
}


def _table() -> dict[tuple[str, tuple[str, ...]], tuple[str, operations.Emit]]:
    named = [*operations.OPERATORS, *operations.FUNCTIONS]
    return {(op.name, args): (ret, op.emit) for op in named for ret, args in op.signatures}


_TABLE = _table()
# Marks the end of an innermost loop that calls mathematics, for compile.py.
MATHEMATICS = "mathematics"
_FUNCTIONS = frozenset(op.name for op in operations.FUNCTIONS)
_CONVERSIONS = {**{c: c for c in operations.NUMBERS}, "boolean": "bool"}


class _Lowering(ast.NodeVisitor):
    """One kernel: LLVM's builder, each variable's slot and type, the loops around a statement."""

    def __init__(self, entry: str, params: tuple[str, ...], result: str | None) -> None:
        self.module = ir.Module(entry)
        kinds = [self._param(p) for p in params]
        returned = ir.VoidType() if result is None else operations.llvm_type(result)
        self.function = ir.Function(self.module, ir.FunctionType(returned, kinds), entry)
        self.entry, self.params, self.result = entry, params, result
        self.slots = self.function.append_basic_block("slots")
        self.builder = ir.IRBuilder(self.function.append_basic_block("body"))
        self.variables: dict[str, Value] = {}
        self.pointers: dict[str, Value] = {}
        self.loops: list[tuple[Any, Any]] = []  # where continue and break go
        self.opened = self.mathematics = 0  # how many loops, and calls of mathematics, so far

    @staticmethod
    def _param(code: str) -> Any:
        if code[1:2] != ":":
            return operations.llvm_type(code)
        return operations.llvm_type("u8" if code[2:] == "bool" else code[2:]).as_pointer()

    def error(self, node: ast.AST, what: str) -> TypeError:
        return TypeError(f"{self.entry}, line {getattr(node, 'lineno', 0)}: {what}")

    def run(self, definition: ast.FunctionDef) -> str:
        names = [a.arg for a in definition.args.args]
        if len(names) != len(self.params):
            raise self.error(definition, f"{len(self.params)} types for {len(names)} parameters")
        for name, code, arg in zip(names, self.params, self.function.args, strict=True):
            arg.name = "arg." + name
            if code[1:2] == ":":
                if code.startswith("p:"):
                    arg.add_attribute("noalias")
                self.pointers[name] = (arg, "u8" if code[2:] == "bool" else code[2:])
            else:
                self.store(definition, name, (arg, code))
        self.block(definition.body)
        if not self.builder.block.is_terminated:
            if self.result is None:
                self.builder.ret_void()
            else:
                self.builder.unreachable()
        ir.IRBuilder(self.slots).branch(self.function.blocks[1])
        return str(self.module)

    # statements

    def block(self, statements: list[ast.stmt]) -> None:
        for statement in statements:
            if self.builder.block.is_terminated:
                return
            self.visit(statement)

    def generic_visit(self, node: ast.AST) -> None:
        raise self.error(node, f"the kernel language has no {type(node).__name__}")

    def visit_Pass(self, node: ast.Pass) -> None:
        pass

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):
            self.value(node.value)

    def store(self, node: ast.AST, name: str, value: Value) -> None:
        slot = self.variables.get(name)
        if slot is None:
            builder = ir.IRBuilder(self.slots)
            slot = self.variables[name] = (builder.alloca(value[0].type, name=name), value[1])
        if slot[1] != value[1]:
            raise self.error(node, f"{name} is {slot[1]} and cannot become {value[1]}")
        self.builder.store(value[0], slot[0])

    def assign(self, target: ast.expr, value: Value) -> None:
        if isinstance(target, ast.Name):
            self.store(target, target.id, value)
        elif isinstance(target, ast.Subscript):
            pointer, code = self.element(target)
            stored = operations.convert(self.builder, code, (value[1],), [value[0]])
            self.builder.store(stored, pointer)
        else:
            raise self.error(target, "can only assign to a variable or an element")

    def visit_Assign(self, node: ast.Assign) -> None:
        value = self.value(node.value)
        for target in node.targets:
            self.assign(target, value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        operands = [self.value(node.target), self.value(node.value)]
        self.assign(node.target, self.operation(node, _OPERATORS[type(node.op)], operands))

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is None or self.result is None:
            self.builder.ret_void()
            return
        value, code = self.value(node.value)
        self.builder.ret(operations.convert(self.builder, self.result, (code,), [value]))

    def visit_If(self, node: ast.If) -> None:
        branches = [self.function.append_basic_block(n) for n in ("then", "else", "endif")]
        self.builder.cbranch(self.condition(node.test), branches[0], branches[1])
        for start, statements in zip(branches, (node.body, node.orelse), strict=False):
            self.builder.position_at_end(start)
            self.block(statements)
            if not self.builder.block.is_terminated:
                self.builder.branch(branches[2])
        self.builder.position_at_end(branches[2])

    def visit_While(self, node: ast.While) -> None:
        head, body, done = (self.function.append_basic_block(n) for n in ("while", "do", "done"))
        self.builder.branch(head)
        self.builder.position_at_end(head)
        self.builder.cbranch(self.condition(node.test), body, done)
        self.loop_body(node.body, body, head, done)

    def loop_body(self, statements: list[ast.stmt], body: Any, again: Any, done: Any) -> None:
        self.builder.position_at_end(body)
        self.loops.append((again, done))
        self.block(statements)
        self.loops.pop()
        if not self.builder.block.is_terminated:
            self.builder.branch(again)
        self.builder.position_at_end(done)

    def visit_Break(self, node: ast.Break) -> None:
        self.builder.branch(self.loops[-1][1])

    def visit_Continue(self, node: ast.Continue) -> None:
        self.builder.branch(self.loops[-1][0])

    def visit_For(self, node: ast.For) -> None:
        call, target = node.iter, node.target
        if not (isinstance(call, ast.Call) and getattr(call.func, "id", "") == "range"):
            raise self.error(node, "a for loop runs over a range")
        if not isinstance(target, ast.Name):
            raise self.error(node, "a for loop has one variable")
        bounds, code = self.bounds(call.args)
        kind = operations.llvm_type(code)
        start = bounds[0] if len(bounds) > 1 else ir.Constant(kind, 0)
        stop = bounds[min(len(bounds), 2) - 1]
        step = bounds[2] if len(bounds) == 3 else ir.Constant(kind, 1)
        before = self.builder.block
        names = ("for", "body", "next", "done")
        head, body, following, done = (self.function.append_basic_block(n) for n in names)
        self.builder.branch(head)
        self.builder.position_at_end(head)
        counter = self.builder.phi(kind)
        counter.add_incoming(start, before)
        self.builder.cbranch(self.in_range(counter, stop, step), body, done)
        self.builder.position_at_end(body)
        self.store(node, target.id, (counter, code))
        opened, mathematics = self.opened, self.mathematics
        self.opened += 1
        self.loop_body(node.body, body, following, done)
        self.builder.position_at_end(following)
        flags = ("nsw",) if len(bounds) < 3 else ()
        counter.add_incoming(self.builder.add(counter, step, flags=flags), following)
        if self.opened == opened + 1 and self.mathematics > mathematics:
            self.builder.comment(MATHEMATICS)
        self.builder.branch(head)
        self.builder.position_at_end(done)

    def bounds(self, args: list[ast.expr]) -> tuple[list[Any], str]:
        """The bounds of a range and their type: i32 if all are, else i64."""
        values = [self.value(a) for a in args]
        if all(code == "i32" for _, code in values):
            return [value for value, _ in values], "i32"
        return [self.as_index(a, v) for a, v in zip(args, values, strict=True)], "i64"

    def in_range(self, counter: Any, stop: Any, step: Any) -> Any:
        below = self.builder.icmp_signed("<", counter, stop)
        if isinstance(step, ir.Constant) and step.constant > 0:
            return below
        above = self.builder.icmp_signed(">", counter, stop)
        downward = self.builder.icmp_signed("<", step, ir.Constant(step.type, 0))
        return self.builder.select(downward, above, below)

    # expressions

    def integer(self, node: ast.expr) -> Any:
        return self.as_index(node, self.value(node))

    def as_index(self, node: ast.expr, found: Value) -> Any:
        value, code = found
        if code not in operations.INTS:
            raise self.error(node, f"an index or a bound is {code}, not an integer")
        return operations.convert(self.builder, "i64", (code,), [value])

    def condition(self, node: ast.expr) -> Any:
        value, code = self.value(node)
        if code != "bool":
            raise self.error(node, f"a condition is {code}, not bool")
        return value

    def operation(self, node: ast.AST, name: str, operands: list[Value]) -> Value:
        codes = tuple(code for _, code in operands)
        found = _TABLE.get((name, codes))
        if found is None:
            raise self.error(node, f"the kernel language has no {name} of ({', '.join(codes)})")
        result, emit = found
        return emit(self.builder, result, codes, [value for value, _ in operands]), result

    def element(self, node: ast.Subscript) -> Value:
        """The address of an element and the type of what is there."""
        name = node.value.id if isinstance(node.value, ast.Name) else ""
        if name not in self.pointers:
            raise self.error(node, "only pointer parameters have elements")
        pointer, code = self.pointers[name]
        return self.builder.gep(pointer, [self.integer(node.slice)]), code

    def value(self, node: ast.expr) -> Value:
        """The value of an expression."""
        match node:
            case ast.Constant(value=bool(literal)):
                return ir.Constant(operations.llvm_type("bool"), literal), "bool"
            case ast.Constant(value=int(literal)):
                code = "i64" if literal < 2**63 else "u64"
                return ir.Constant(_INDEX, literal), code
            case ast.Constant(value=float(literal)):
                return ir.Constant(operations.llvm_type("f64"), literal), "f64"
            case ast.Name(id=name):
                return self.name(node, name)
            case ast.Subscript():
                pointer, code = self.element(node)
                return self.builder.load(pointer), code
            case ast.BinOp(left=left, op=op, right=right):
                name = _OPERATORS.get(type(op), type(op).__name__)
                return self.operation(node, name, [self.value(left), self.value(right)])
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as literal)):
                return self.value(ast.copy_location(ast.Constant(-literal), node))
            case ast.UnaryOp(op=op, operand=operand):
                return self.operation(node, _OPERATORS[type(op)], [self.value(operand)])
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                name = _OPERATORS.get(type(op), type(op).__name__)
                return self.operation(node, name, [self.value(left), self.value(right)])
            case ast.BoolOp(op=op, values=values):
                return self.short_circuit(isinstance(op, ast.And), values)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
                return self.call(node, name, args)
        raise self.error(node, f"the kernel language has no {type(node).__name__}")

    def name(self, node: ast.AST, name: str) -> Value:
        slot = self.variables.get(name)
        if slot is not None:
            return self.builder.load(slot[0]), slot[1]
        if name in self.pointers:
            pointer, code = self.pointers[name]
            return pointer, f"s:{code}"
        if name in _CONSTANTS:
            return ir.Constant(operations.llvm_type("f64"), _CONSTANTS[name]), "f64"
        raise self.error(node, f"{name} is not defined")

    def call(self, node: ast.expr, name: str, args: list[ast.expr]) -> Value:
        to = _CONVERSIONS.get(name)
        if to in operations.FLOATS and len(args) == 1:
            literal = _literal(args[0])
            if literal is not None:  # a typed literal is a constant, not a conversion
                return ir.Constant(operations.llvm_type(to), literal), to
        self.mathematics += name in operations.MATH_1
        if name not in _FUNCTIONS:
            raise self.error(node, f"{name} is not a function of the kernel language")
        return self.operation(node, name, [self.value(a) for a in args])

    def short_circuit(self, conjunction: bool, values: list[ast.expr]) -> Value:
        """``and``, ``or``: later operands are evaluated only where they decide."""
        done = self.function.append_basic_block("decided")
        known = ir.Constant(operations.llvm_type("bool"), not conjunction)
        incoming = []
        for value in values[:-1]:
            here = self.condition(value)
            following = self.function.append_basic_block("operand")
            incoming.append((known, self.builder.block))
            targets = (following, done) if conjunction else (done, following)
            self.builder.cbranch(here, *targets)
            self.builder.position_at_end(following)
        incoming.append((self.condition(values[-1]), self.builder.block))
        self.builder.branch(done)
        self.builder.position_at_end(done)
        phi = self.builder.phi(operations.llvm_type("bool"))
        for value, source in incoming:
            phi.add_incoming(value, source)
        return phi, "bool"


def _literal(node: ast.expr) -> float | None:
    """The value of a number's literal, with its sign, or of inf or nan."""
    match node:
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            inner = _literal(operand)
            return None if inner is None else -inner
        case ast.Constant(value=float() | int() as value) if not isinstance(value, bool):
            return float(value)
        case ast.Name(id=name):
            return _CONSTANTS.get(name)
    return None


def lower(text: str, entry: str, params: tuple[str, ...], result: str | None = None) -> str:
    """The LLVM text of one kernel; its maths functions are left declared (vectormath.py)."""
    (definition,) = ast.parse(text).body
    if not isinstance(definition, ast.FunctionDef) or definition.name != entry:
        raise TypeError(f"a kernel's text is the definition of {entry}")
    return _Lowering(entry, params, result).run(definition)
