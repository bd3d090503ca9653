"""Kernel text to LLVM text through Numba's analysis, type inference and lowering.

The only file of the CPU backend that imports Numba, and the only one that uses names Numba does
not document. Why not ``numba.cfunc``: it optimises every module three times, wraps the function
twice, and its first use loads every NumPy overload (0.3 s); 38 ms for a three-line kernel. Here
Numba's own interpreter, inference and ``Lower`` run over a small registry (operations.py), with a calling
convention that has no exceptions, and the LLVM text is handed to machine.py, which optimises it
once. No Python object is ever referenced by the result.
"""

# Numba is typed in part only, and what is subclassed here is not.
# mypy: disallow-untyped-calls=False, disallow-subclassing-any=False, warn-unused-ignores=False

from __future__ import annotations

import contextlib
import gc
import operator
import threading
from collections.abc import Iterator
from typing import Any

from llvmlite import ir
from numba.core import (
    bytecode,
    callconv,
    compiler,
    cpu,
    funcdesc,
    imputils,
    interpreter,
    lowering,
    postproc,
    typed_passes,
    types,
    typing,
)
from numba.core.errors import TypingError
from numba.core.targetconfig import ConfigStack
from numba.core.typing import templates

from numr.codegen.language import operations

_TYPES: dict[str, Any] = {
    **{c: getattr(types, f"float{c[1:]}") for c in operations.FLOATS},
    **{c: getattr(types, f"int{c[1:]}") for c in operations.SIGNED},
    **{c: getattr(types, f"uint{c[1:]}") for c in operations.UNSIGNED},
    "bool": types.boolean,
}
_CODES = {t: c for c, t in _TYPES.items()}
_CODES |= {types.CPointer(t): f"s:{c}" for c, t in _TYPES.items()}


def parse_type(code: str) -> Any:
    """The Numba type of a parameter code such as ``p:f64`` or ``i64``."""
    if code[1:2] == ":":
        return types.CPointer(_TYPES["u8" if code[2:] == "bool" else code[2:]])
    return _TYPES[code]


class _Function:
    """The value that a name of the kernel language has while Numba analyses a kernel."""

    def __init__(self, name: str) -> None:
        self.__name__ = name


class _CallConv(callconv.BaseCallConv):  # type: ignore[misc]
    """Plain C arguments and result: kernels are total, so there is no status and no exception."""

    def _make_call_helper(self, builder: Any) -> Any:
        return None

    def return_value(self, builder: Any, retval: Any) -> None:
        if isinstance(builder.function.type.pointee.return_type, ir.VoidType):
            builder.ret_void()
        else:
            builder.ret(retval)

    def return_user_exc(self, builder: Any, *args: Any, **kwargs: Any) -> None:
        builder.ret_void()

    def get_function_type(self, restype: Any, argtypes: Any) -> Any:
        packer = self._get_arg_packer(argtypes)
        code = _CODES.get(restype)
        result = ir.VoidType() if code is None else operations.llvm_type(code)
        return ir.FunctionType(result, list(packer.argument_types))

    def decorate_function(
        self, fn: Any, args: Any, fe_argtypes: Any, noalias: bool = False
    ) -> None:
        self._get_arg_packer(fe_argtypes).assign_names(fn.args, ["arg." + a for a in args])
        for arg in fn.args:
            if isinstance(arg.type, ir.PointerType):
                arg.add_attribute("noalias")

    def get_arguments(self, func: Any) -> Any:
        return func.args


class _Modules:
    """What Numba's lowering asks of a code library: a module to fill. We keep its text."""

    name = "numr"

    def create_ir_module(self, name: str) -> Any:
        module = ir.Module(name)
        return module

    def add_ir_module(self, module: Any) -> None:
        self.module = module


class _TypingContext(typing.Context):  # type: ignore[misc]
    """A typing context that knows the kernel language and nothing else."""

    def init(self) -> None:
        self.signatures: dict[tuple[Any, tuple[Any, ...]], Any] = {}
        self.language: set[Any] = set()

    def refresh(self) -> None:
        pass

    def resolve_function_type(self, func: Any, args: Any, kws: Any) -> Any:
        """One dictionary look-up for the language's own operations (Numba rates every overload)."""
        key = getattr(func, "typing_key", func)
        wanted = tuple(map(types.unliteral, args))
        found = self.signatures.get((key, wanted))
        if (
            found is None and key in self.language
        ):  # no conversions: i64 & f64 is a printer's mistake
            given = ", ".join(_CODES.get(t, str(t)) for t in wanted)
            raise TypingError(f"the kernel language has no {key.__name__} of ({given})")
        return super().resolve_function_type(func, args, kws) if found is None else found


class _TargetContext(cpu.CPUContext):  # type: ignore[misc]
    """A CPU context without Numba's runtime, its NumPy overloads and its execution engine."""

    def init(self) -> None:
        self.is32bit = False
        self._internal_codegen = None
        self.operations: dict[Any, operations.Op] = {}

    def refresh(self) -> None:
        pass

    @property
    def call_conv(self) -> Any:
        return _CallConv(self)

    def get_abi_sizeof(self, ty: Any) -> int:
        """Asked only to warn about huge locals; scalars and loop states have none."""
        return 8

    def get_constant_generic(self, builder: Any, ty: Any, val: Any) -> Any:
        code = _CODES.get(types.unliteral(ty))
        return (
            self.get_dummy_value() if code is None else ir.Constant(operations.llvm_type(code), val)
        )

    def cast(self, builder: Any, val: Any, fromty: Any, toty: Any) -> Any:
        source, target = _CODES.get(types.unliteral(fromty)), _CODES.get(types.unliteral(toty))
        if source == target:
            return val
        if source is None or target is None:
            raise TypeError(f"a kernel cannot use a {fromty} as a {toty}")
        return operations.convert(builder, target, (source,), [val])

    def post_lowering(self, mod: Any, library: Any) -> None:
        pass


class _Lower(lowering.Lower):  # type: ignore[misc]
    """Numba's lowering, less what only Python exceptions and NumPy arrays need."""

    def _emit(self, key: Any, expr: Any, operands: Any, resty: Any) -> Any:
        signature = self.fndesc.calltypes[expr]
        op = self.context.operations[key]
        codes = tuple(_CODES[a] for a in signature.args)
        args = [
            self.context.cast(self.builder, self.loadvar(v.name), self.typeof(v.name), t)
            for v, t in zip(operands, signature.args, strict=True)
        ]
        value = op.emit(self.builder, _CODES[signature.return_type], codes, args)
        return self.context.cast(self.builder, value, signature.return_type, resty)

    def lower_binop(self, resty: Any, expr: Any, op: Any) -> Any:
        return self._emit(op, expr, (expr.lhs, expr.rhs), resty)

    def lower_expr(self, resty: Any, expr: Any) -> Any:
        if expr.op == "unary":
            return self._emit(expr.fn, expr, (expr.value,), resty)
        return super().lower_expr(resty, expr)

    def lower_call(self, resty: Any, expr: Any) -> Any:
        key = getattr(self.typeof(expr.func.name), "typing_key", None)
        if key in self.context.operations:
            return self._emit(key, expr, expr.args, resty)
        return super().lower_call(resty, expr)

    def emit_environment_object(self) -> None:
        """Kernels close over nothing, so there is no environment to hold."""


def _template(key: Any, cases: Any) -> Any:
    return type("KernelOp", (templates.ConcreteTemplate,), {"key": key, "cases": cases})


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Lowering makes many objects that all live to its end: collecting among them costs a third."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _flags() -> Any:
    flags: Any = compiler.Flags()
    for name, value in (("error_model", "numpy"), ("noalias", True)):
        setattr(flags, name, value)
    return flags


class Frontend:
    """One typing and one target context, with the kernel language in them."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.typing = _TypingContext()
        self.target = _TargetContext(self.typing, "cpu")
        self.namespace: dict[str, Any] = {
            "__name__": "numr",
            "inf": float("inf"),
            "nan": float("nan"),
        }
        self._borrow_from_numba()
        self._install_language()
        self.flags = _flags()

    def _borrow_from_numba(self) -> None:
        """Range loops and pointer access, and no more of Numba's 2000 registry entries."""
        from numba.core.typing import builtins as _typing  # noqa: F401
        from numba.cpython import builtins as _builtins  # noqa: F401
        from numba.cpython import rangeobj as _range  # noqa: F401

        wanted: set[Any] = {range, "getiter", "iternext", "pair_first", "pair_second"}
        wanted |= {operator.getitem, operator.setitem}
        names = {"Range", "GetIter", "IterNext", "PairFirst", "PairSecond"}
        names |= {"GetItemCPointer", "SetItemCPointer"}
        for function in templates.builtin_registry.functions:
            if names.intersection(base.__name__ for base in function.__mro__):
                self.typing.insert_function(function(self.typing))
        self.typing.insert_global(range, self._builtin(range))
        for access in (operator.getitem, operator.setitem):
            self.typing.insert_global(access, self._builtin(access))
        chosen = [f for f in imputils.builtin_registry.functions if f[1] in wanted]
        self.target.insert_func_defn(chosen)

    @staticmethod
    def _builtin(value: Any) -> Any:
        return next(k for v, k in templates.builtin_registry.globals if v is value)

    def _install_language(self) -> None:
        for op in operations.OPERATORS:
            key = getattr(operator, op.name)
            self._install(op, key)
            inplace = getattr(operator, "i" + op.name.rstrip("_"), None)
            if inplace is not None and op.name not in ("invert",):
                self._install(op, inplace)
        for op in operations.FUNCTIONS:
            key = _Function(op.name)
            self.namespace[op.name] = key
            self._install(op, key)
        # Numba wraps the condition of every branch in a call of bool.
        self._install(next(op for op in operations.FUNCTIONS if op.name == "boolean"), bool)

    def _install(self, op: operations.Op, key: Any) -> None:
        cases = [
            templates.signature(parse_type(r), *map(parse_type, args)) for r, args in op.signatures
        ]
        template = _template(key, cases)
        self.typing.insert_function(template(self.typing))
        self.typing.insert_global(key, types.Function(template))
        self.target.operations[key] = op
        self.typing.language.add(key)
        self.typing.signatures.update({(key, case.args): case for case in cases})

    def lower(self, text: str, entry: str, params: tuple[str, ...]) -> str:
        """The LLVM text of one kernel; its maths functions are left declared (vectormath.py)."""
        namespace = dict(self.namespace)
        exec(compile(text, f"<{entry}>", "exec"), namespace)
        args = tuple(parse_type(p) for p in params)
        with self.lock, _no_collection():
            identity = bytecode.FunctionIdentity.from_function(namespace[entry])
            code = interpreter.Interpreter(identity).interpret(bytecode.ByteCode(identity))
            postproc.PostProcessor(code).run(False)
            with ConfigStack().enter(self.flags):
                typemap, result, calltypes, _ = typed_passes.type_inference_stage(
                    self.typing, self.target, code, args, None, {}
                )
                described = funcdesc.PythonFunctionDescriptor.from_specialized_function(
                    code,
                    typemap,
                    result,
                    calltypes,
                    mangler=lambda *a, **k: entry,
                    inline=False,
                    noalias=True,
                    abi_tags=(),
                )
                library = _Modules()
                with self.target.push_code_library(library):
                    _Lower(self.target, library, described, code, metadata={}).lower()
        arguments = library.module.get_global(entry).args
        for argument, param in zip(arguments, params, strict=True):
            if param.startswith("s:"):
                argument.attributes.discard("noalias")
        return str(library.module)


_frontend: Frontend | None = None
_creation = threading.Lock()


def frontend() -> Frontend:
    """The process's front end, made on first use."""
    global _frontend
    with _creation:
        if _frontend is None:
            _frontend = Frontend()
        return _frontend
