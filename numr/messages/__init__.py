"""The texts of numr's exceptions: what happened, where in the user's code, and what to do.

Every function returns an exception for its caller to raise. Shapes may hold symbolic sizes and
dtypes may be any object whose `str` is a dtype's name, so nothing of the graph is imported here.
"""

from numr.messages.arrays import axis_out_of_range as axis_out_of_range
from numr.messages.arrays import dtype_mismatch as dtype_mismatch
from numr.messages.arrays import index_out_of_range as index_out_of_range
from numr.messages.arrays import shape_mismatch as shape_mismatch
from numr.messages.autograd import changed_variable as changed_variable
from numr.messages.autograd import loss_not_an_array as loss_not_an_array
from numr.messages.autograd import loss_not_one_number as loss_not_one_number
from numr.messages.autograd import missing_gradient as missing_gradient
from numr.messages.autograd import no_variable as no_variable
from numr.messages.autograd import variable_not_inexact as variable_not_inexact
from numr.messages.autograd import wrong_gradient as wrong_gradient
from numr.messages.checking import wrong_result as wrong_result
from numr.messages.control import branches_differ as branches_differ
from numr.messages.control import cannot_raise as cannot_raise
from numr.messages.control import cannot_rewrite as cannot_rewrite
from numr.messages.control import changes_numpy as changes_numpy
from numr.messages.control import changes_outside as changes_outside
from numr.messages.control import changes_unknown as changes_unknown
from numr.messages.control import decided_by_python as decided_by_python
from numr.messages.control import endless_iterator as endless_iterator
from numr.messages.control import endless_recursion as endless_recursion
from numr.messages.control import loop_changes as loop_changes
from numr.messages.control import no_value as no_value
from numr.messages.control import not_one_truth as not_one_truth
from numr.messages.control import rebinds as rebinds
from numr.messages.control import returns_nothing as returns_nothing
from numr.messages.control import traced_within as traced_within
from numr.messages.devices import arguments_elsewhere as arguments_elsewhere
from numr.messages.devices import device_failed as device_failed
from numr.messages.devices import device_fault as device_fault
from numr.messages.devices import device_gap as device_gap
from numr.messages.devices import device_lacks_dtype as device_lacks_dtype
from numr.messages.devices import device_lost as device_lost
from numr.messages.devices import mixed_devices as mixed_devices
from numr.messages.devices import no_device as no_device
from numr.messages.devices import out_of_memory as out_of_memory
from numr.messages.devices import unknown_memory as unknown_memory
from numr.messages.exporting import bad_bundle as bad_bundle
from numr.messages.exporting import bad_spec as bad_spec
from numr.messages.exporting import cannot_call as cannot_call
from numr.messages.exporting import cannot_export as cannot_export
from numr.messages.exporting import no_target as no_target
from numr.messages.exporting import size_decided as size_decided
from numr.messages.exporting import size_leaked as size_leaked
from numr.messages.exporting import target_lacks_dtype as target_lacks_dtype
from numr.messages.rules import no_rule as no_rule
from numr.messages.rules import nonlinear_rule as nonlinear_rule
from numr.messages.rules import not_linear as not_linear
from numr.messages.rules import rule_misshaped as rule_misshaped
from numr.messages.rules import rule_returned as rule_returned
from numr.messages.rules import taken_moves as taken_moves
from numr.messages.rules import wrong_nondiff as wrong_nondiff
from numr.messages.text import shape_text as shape_text
from numr.messages.tracing import carry_changed as carry_changed
from numr.messages.tracing import leaked_value as leaked_value
from numr.messages.tracing import traced_value as traced_value
from numr.messages.tracing import unhashable_static as unhashable_static
from numr.messages.transforms import bad_map_axes as bad_map_axes
from numr.messages.transforms import (
    complex_without_holomorphic as complex_without_holomorphic,
)
from numr.messages.transforms import no_direction as no_direction
from numr.messages.transforms import not_complex as not_complex
from numr.messages.transforms import not_differentiable as not_differentiable
from numr.messages.transforms import not_inexact as not_inexact
from numr.messages.transforms import not_one_number as not_one_number
from numr.messages.transforms import wrong_argnums as wrong_argnums
