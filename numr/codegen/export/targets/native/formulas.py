"""Formulas of sizes as LLVM text: values, and whether computing them overflows."""

from __future__ import annotations

from numr.ir.formulas import Formula, Tree

_CHECKED = {"+": "llvm.sadd.with.overflow.i64", "*": "llvm.smul.with.overflow.i64"}
DECLARED = (
    *(f"declare {{i64, i1}} @{name}(i64, i64)" for name in _CHECKED.values()),
    "declare i64 @llvm.smin.i64(i64, i64)",
    "declare i64 @llvm.smax.i64(i64, i64)",
)


class Body:
    """The body of one LLVM function as it is written, with the values of formulas in it.

    Args:
        symbols: the sizes that its parameters `%size.<symbol>` are.
    """

    def __init__(self, symbols: list[str]) -> None:
        self.lines: list[str] = []
        self.count = 0
        self.values = {s: f"%size.{s}" for s in symbols}
        self.known: dict[Tree, str] = {}
        # One bit a value: that sizes are not such as the function takes.
        self.refused: list[str] = []

    def new(self, text: str) -> str:
        """A line that makes a value; its name."""
        self.count += 1
        self.lines.append(f"  %v{self.count} = {text}")
        return f"%v{self.count}"

    def label(self) -> str:
        """A new name of a block."""
        self.count += 1
        return f"b{self.count}"

    def begin(self, label: str) -> None:
        """Begin a block."""
        self.lines.append(f"{label}:")

    def jump(self, label: str) -> None:
        """End a block with a jump."""
        self.lines.append(f"  br label %{label}")

    def branch(self, test: str, yes: str, no: str) -> None:
        """End a block with a choice."""
        self.lines.append(f"  br i1 {test}, label %{yes}, label %{no}")

    def settle(self, formula: Formula) -> str:
        """The value of a formula of the function's sizes; where it overflows, the sizes are refused.

        The entry settles all there are, so that later blocks find them.
        """
        return self._tree(formula.tree(), checked=True)

    def value(self, formula: Formula) -> str:
        """The value of a formula that was settled, or of one with the count of a loop."""
        return self._tree(formula.tree(), checked=False)

    def refuse(self, relation: str, value: str, bound: int = 0) -> None:
        """Refuse sizes where a value is in a relation ("slt", "ne", ..) to a number."""
        self.refused.append(self.new(f"icmp {relation} i64 {value}, {bound}"))

    def _tree(self, tree: Tree, checked: bool) -> str:
        if isinstance(tree, int):
            return str(tree)
        if isinstance(tree, str):
            return self.values[tree]
        found = self.known.get(tree)
        if found is None:
            operation, first, *rest = tree
            found = self._tree(first, checked)
            for operand in rest:
                found = self._operation(operation, found, self._tree(operand, checked), checked)
            if checked:
                self.known[tree] = found
        return found

    def _operation(self, operation: str, a: str, b: str, checked: bool) -> str:
        if operation in _CHECKED:
            if not checked:
                return self.new(f"{'add' if operation == '+' else 'mul'} i64 {a}, {b}")
            pair = self.new(f"call {{i64, i1}} @{_CHECKED[operation]}(i64 {a}, i64 {b})")
            self.refused.append(self.new(f"extractvalue {{i64, i1}} {pair}, 1"))
            return self.new(f"extractvalue {{i64, i1}} {pair}, 0")
        if operation in ("min", "max"):
            return self.new(f"call i64 @llvm.s{operation}.i64(i64 {a}, i64 {b})")
        # Rounded down. What is divided by a length of 0 belongs to arrays that have no elements.
        positive = self.new(f"icmp sgt i64 {b}, 0")
        divisor = self.new(f"select i1 {positive}, i64 {b}, i64 1")
        rest = self.new(f"srem i64 {a}, {divisor}")
        negative = self.new(f"icmp slt i64 {rest}, 0")
        if operation == "%":
            more = self.new(f"select i1 {negative}, i64 {divisor}, i64 0")
            return self.new(f"add i64 {rest}, {more}")
        quotient = self.new(f"sdiv i64 {a}, {divisor}")
        less = self.new(f"sext i1 {negative} to i64")
        return self.new(f"add i64 {quotient}, {less}")
